//go:build unix

// Package backups_test takes backups of whole servers, spoils them, restores them, and looks whether everything is as it was.
package backups_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// house is a server with credentials, of which the tests know every secret.
type house struct {
	*servertest.Server
	keyFile   string
	workspace string
	configs   []string // of type generic_env, all attached to the workspace
}

// newHouse starts a server with n credentials, whose key is kept elsewhere.
func newHouse(t *testing.T, n int) *house {
	t.Helper()
	return newHouseOn(t, n, "sqlite")
}

// newHouseOn is newHouse with a database: sqlite, or postgres.
func newHouseOn(t *testing.T, n int, database string) *house {
	t.Helper()
	t.Setenv("FORGECROFT_TEST_DATABASE", database) // Where things are moved from, and to, is what these tests are about.
	h := &house{keyFile: filepath.Join(t.TempDir(), "vault.key")}
	h.Server = servertest.MustStart(t, map[string]string{"key-file": h.keyFile, "log-level": "error"})
	project, err := h.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "shop"})
	check(t, err)
	workspace, err := h.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "prod", ProjectID: project.ID})
	check(t, err)
	h.workspace = workspace.ID
	for i := range n {
		id, err := h.newConfig(t.Context(), fmt.Sprint("config ", i))
		check(t, err)
		h.configs = append(h.configs, id)
		check(t, h.storeSecret(t.Context(), id, i, 1))
	}
	_, err = h.Owner.UpdateWorkspace(t.Context(), h.workspace, 0, sdk.UpdateWorkspace{CredentialConfigIDs: &h.configs})
	check(t, err)
	return h
}

// check fails the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newConfig makes a credential config.
func (h *house) newConfig(ctx context.Context, name string) (string, error) {
	config, err := h.Owner.CreateCredentialConfig(ctx, sdk.CreateCredentialConfig{Name: name, CredentialType: "generic_env"})
	return config.ID, err
}

// secret is what the variable of config i holds after it was stored n times.
func secret(i, n int) string { return fmt.Sprintf("EXAMPLE-secret-%d-%d-wJalrXUtnFEMI", i, n) }

// storeSecret stores the secret of config i for the n-th time.
func (h *house) storeSecret(ctx context.Context, id string, i, n int) error {
	value, err := json.Marshal(secret(i, n))
	if err != nil {
		return err
	}
	_, err = h.Owner.StoreSecrets(ctx, id, sdk.StoreSecrets{Data: map[string]json.RawMessage{fmt.Sprint("SECRET_", i): value}})
	return err
}

// mustBackUp takes a backup of the running server.
func (h *house) mustBackUp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.tar")
	_, err := backup.WriteFile(path, func(w io.Writer) error { return h.Owner.Backup(t.Context(), w) })
	check(t, err)
	return path
}

// settings is the configuration of a server on a directory. more are environment variables: name, value and so on.
func settings(t testing.TB, dir, keyFile string, more ...string) server.Config {
	t.Helper()
	getenv := func(name string) string {
		if i := slices.Index(more, name); i >= 0 {
			return more[i+1]
		}
		return ""
	}
	c, err := server.LoadConfig(map[string]string{"data-dir": dir, "key-file": keyFile, "listen": "127.0.0.1:0", "log-level": "error"}, getenv)
	check(t, err)
	return c
}

// restore restores a backup into a new directory.
func (h *house) restore(t *testing.T, path string, o server.RestoreOptions) (string, server.Restored, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	restored, err := server.Restore(t.Context(), settings(t, dir, h.keyFile), path, o, io.Discard)
	return dir, restored, err
}

// mustServe starts a server on a restored directory and returns a client with the old owner key.
func (h *house) mustServe(t *testing.T, dir, keyFile string) *sdk.Client {
	t.Helper()
	return h.mustServeAs(t, settings(t, dir, keyFile))
}

// mustServeAs is mustServe with other settings.
func (h *house) mustServeAs(t *testing.T, c server.Config) *sdk.Client {
	t.Helper()
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := server.Run(ctx, c, writer, io.Discard)
		_ = writer.CloseWithError(io.EOF)
		done <- err
	}()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { check(t, stop()) })
	said := make([]byte, 4096)
	n, err := io.ReadAtLeast(reader, said, 60)
	if err != nil {
		t.Fatalf("the restored server did not start: %v, %v", err, stop())
	}
	_, url, found := strings.Cut(string(said[:n]), "listens on ")
	if !found {
		t.Fatalf("the restored server says %q", said[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	url, _, _ = strings.Cut(url, " ")
	client, err := sdk.New(url, h.OwnerKey)
	check(t, err)
	return client
}

// deliver returns the secrets of all configs by the server of a client.
func (h *house) deliver(t *testing.T, client *sdk.Client) map[string]string {
	t.Helper()
	env, err := client.Deliver(t.Context(), h.workspace, sdk.DeliverRequest{})
	check(t, err)
	return env.Env
}

// entries lists a directory; nil if it is not there.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	check(t, err)
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}
