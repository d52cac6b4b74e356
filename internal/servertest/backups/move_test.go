//go:build unix

package backups_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/server"
)

// socketCalls are the system calls with which a client talks to a server.
const socketCalls = "write,renameat,fsync"

// baoToken is the root token of the fake.
const baoToken = "s.EXAMPLEroot"

// newStopped makes a house whose server is stopped.
func newStopped(t *testing.T, n int) *house {
	t.Helper()
	h := newHouse(t, n)
	h.MustStop(t)
	return h
}

// copyData copies the data directory of a stopped server.
func (h *house) copyData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	check(t, os.CopyFS(dir, os.DirFS(h.DataDir)))
	check(t, os.Chmod(dir, 0o700))
	for _, name := range entries(t, dir) {
		check(t, os.Chmod(filepath.Join(dir, name), 0o600))
	}
	return dir
}

// wantAll wants a server with some settings to deliver every secret.
func (h *house) wantAll(t *testing.T, c server.Config) {
	t.Helper()
	got, want := h.deliver(t, h.mustServeAs(t, c)), map[string]string{}
	for i := range h.configs {
		want[fmt.Sprint("SECRET_", i)] = secret(i, 1)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMoveDatabase moves to PostgreSQL and serves from there.
func TestMoveDatabase(t *testing.T) {
	h := newStopped(t, 3)
	dir := h.copyData(t)
	c := settings(t, dir, h.keyFile, "FORGECROFT_DATABASE_URL", pgtest.New(t))
	moved, err := server.MigrateDatabase(t.Context(), c, nil, io.Discard)
	check(t, err)
	if moved.Rows["credential_configs"] != 3 || len(moved.Organizations) != 1 || moved.Organizations[0].AuditSequence < 7 {
		t.Errorf("got %+v", moved)
	}
	if names := entries(t, dir); !slices.Equal(names, []string{"lock", "metadata.db.moved", "vault.db"}) {
		t.Errorf("the data directory holds %v", names)
	}
	if _, err := server.MigrateDatabase(t.Context(), c, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "moved already") {
		t.Errorf("once more: got %v", err)
	}
	check(t, server.Fsck(t.Context(), c, false, io.Discard, io.Discard))
	h.wantAll(t, c)

	other := settings(t, newStopped(t, 1).copyData(t), h.keyFile, "FORGECROFT_DATABASE_URL", c.DatabaseURL.Reveal())
	if _, err := server.MigrateDatabase(t.Context(), other, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "empty database") {
		t.Errorf("into a database that holds another installation: got %v", err)
	}
	if _, err := server.MigrateDatabase(t.Context(), settings(t, dir, h.keyFile), nil, io.Discard); err == nil {
		t.Error("without a target: no error")
	}
}

// TestKilledMoveOfDatabase kills the move while it talks, and repeats it.
func TestKilledMoveOfDatabase(t *testing.T) {
	h := newStopped(t, 2)
	pgtest.Shared(t)
	var c server.Config
	prepare := func(t *testing.T) run {
		url := pgtest.New(t)
		c = settings(t, h.copyData(t), h.keyFile, "FORGECROFT_DATABASE_URL", url)
		return run{socketCalls, []string{"FORGECROFT_DATABASE_URL=" + url}, []string{"migrate", "database", "--from", "sqlite:" + c.DataDir, "--to", "postgres", "--key-file", h.keyFile}}
	}
	killEverywhere(t, 9, prepare, func(t *testing.T) {
		if slices.Contains(entries(t, c.DataDir), "metadata.db") {
			_, err := server.MigrateDatabase(t.Context(), c, nil, io.Discard)
			check(t, err)
		}
		check(t, server.Fsck(t.Context(), c, false, io.Discard, io.Discard))
		h.wantAll(t, c)
	})
}

// newBao starts a fake of OpenBao and returns the variables with which a server uses it.
func newBao(t *testing.T) []string {
	t.Helper()
	return serveBao(t, bao.New(nil, baoToken))
}

// serveBao lets a fake of OpenBao listen.
func serveBao(t *testing.T, vault *bao.Server) []string {
	t.Helper()
	listener := httptest.NewServer(vault)
	t.Cleanup(listener.Close)
	file := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(file, []byte(baoToken), 0o600))
	return []string{"FORGECROFT_VAULT", "openbao", "BAO_ADDR", listener.URL, "FORGECROFT_VAULT_TOKEN_FILE", file}
}

// TestMoveVault moves to OpenBao, with and without an envelope, and serves from there.
func TestMoveVault(t *testing.T) {
	h := newStopped(t, 3)
	for _, envelope := range []string{"on", "off"} {
		t.Run("envelope "+envelope, func(t *testing.T) {
			dir := h.copyData(t)
			keyFile := h.keyFile
			if envelope == "off" {
				keyFile = ""
			}
			c := settings(t, dir, keyFile, append(newBao(t), "FORGECROFT_VAULT_ENVELOPE", envelope)...)
			moved, err := server.MigrateVault(t.Context(), c, h.keyFile, nil, io.Discard)
			check(t, err)
			if moved.Secrets != 4 || len(moved.Missing) != 0 { // three, and the keys of the instance
				t.Errorf("got %+v", moved)
			}
			if names := entries(t, dir); !slices.Equal(names, []string{"lock", "metadata.db", "vault.db.moved"}) {
				t.Errorf("the data directory holds %v", names)
			}
			check(t, server.Fsck(t.Context(), c, false, io.Discard, io.Discard))
			h.wantAll(t, c)
			other := newStopped(t, 1)
			c.DataDir = other.copyData(t)
			if _, err := server.MigrateVault(t.Context(), c, other.keyFile, nil, io.Discard); err == nil {
				t.Error("the secrets of two installations went to one place")
			}
		})
	}
}

// TestKilledMoveOfVault kills the move while it talks, and repeats it (UPG-10).
func TestKilledMoveOfVault(t *testing.T) {
	h := newStopped(t, 3)
	variables := newBao(t)
	var c server.Config
	n := 0
	prepare := func(t *testing.T) run {
		n++
		mine := append(slices.Clone(variables), "FORGECROFT_VAULT_PREFIX", fmt.Sprint("attempt-", n))
		c = settings(t, h.copyData(t), h.keyFile, mine...)
		var environ []string
		for i := 0; i < len(mine); i += 2 {
			environ = append(environ, mine[i]+"="+mine[i+1])
		}
		return run{socketCalls, environ, []string{"migrate", "vault", "--from", "embedded:" + c.DataDir, "--to", "openbao", "--key-file", h.keyFile}}
	}
	killEverywhere(t, 1, prepare, func(t *testing.T) {
		if slices.Contains(entries(t, c.DataDir), "vault.db") {
			_, err := server.MigrateVault(t.Context(), c, "", nil, io.Discard)
			check(t, err)
		}
		check(t, server.Fsck(t.Context(), c, false, io.Discard, io.Discard))
		h.wantAll(t, c)
	})
}

// TestRestoreElsewhere restores a backup of the embedded stores into PostgreSQL and OpenBao, and a backup of those into a data directory again.
func TestRestoreElsewhere(t *testing.T) {
	h := newHouse(t, 3)
	path := h.mustBackUp(t)
	url := pgtest.New(t)
	targets := map[string][]string{
		"PostgreSQL":             {"FORGECROFT_DATABASE_URL", url},
		"OpenBao":                newBao(t),
		"PostgreSQL and OpenBao": append(newBao(t), "FORGECROFT_DATABASE_URL", pgtest.New(t)),
	}
	for name, variables := range targets {
		t.Run(name, func(t *testing.T) {
			c := settings(t, filepath.Join(t.TempDir(), "there"), h.keyFile, variables...)
			_, err := server.Restore(t.Context(), c, path, server.RestoreOptions{}, io.Discard)
			check(t, err)
			if _, err := server.Restore(t.Context(), c, path, server.RestoreOptions{}, io.Discard); err == nil {
				t.Error("restored twice")
			}
			back := filepath.Join(t.TempDir(), "back.tar")
			_, err = server.Backup(t.Context(), c, back, nil, io.Discard)
			check(t, err)
			h.wantAll(t, c)
			dir, _, err := h.restore(t, back, server.RestoreOptions{})
			check(t, err)
			h.wantAll(t, settings(t, dir, h.keyFile))
		})
	}
}

// TestSecretsElsewhere restores a backup of an installation whose secrets stayed in OpenBao, beside the OpenBao of then, and beside one that has lost some.
func TestSecretsElsewhere(t *testing.T) {
	h := newStopped(t, 3)
	variables := append(newBao(t), "FORGECROFT_VAULT_ENVELOPE", "off")
	c := settings(t, h.copyData(t), "", variables...)
	_, err := server.MigrateVault(t.Context(), c, h.keyFile, nil, io.Discard)
	check(t, err)
	path := filepath.Join(t.TempDir(), "backup.tar")
	m, err := server.Backup(t.Context(), c, path, nil, io.Discard)
	check(t, err)
	if m.Secrets != backup.SecretsExternal || len(m.Keys) != 0 {
		t.Errorf("got manifest %+v", m)
	}
	c.DataDir = filepath.Join(t.TempDir(), "restored")
	_, err = server.Restore(t.Context(), c, path, server.RestoreOptions{}, io.Discard)
	check(t, err)
	h.wantAll(t, c)

	empty := settings(t, filepath.Join(t.TempDir(), "lost"), "", append(newBao(t), "FORGECROFT_VAULT_ENVELOPE", "off")...)
	var lost *backup.LostError
	if _, err := server.Restore(t.Context(), empty, path, server.RestoreOptions{}, io.Discard); !errors.As(err, &lost) || len(lost.Secrets) != 4 {
		t.Errorf("beside an empty vault: got %v", err)
	}
	if names := entries(t, empty.DataDir); !slices.Equal(names, []string{"lock"}) {
		t.Errorf("left behind: %v", names)
	}
	restored, err := server.Restore(t.Context(), empty, path, server.RestoreOptions{Force: true}, io.Discard)
	check(t, err)
	if len(restored.Lost) != 4 {
		t.Errorf("lost: %v", restored.Lost)
	}
	h.mustServeAs(t, empty)
}
