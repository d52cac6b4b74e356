//go:build unix

package backups_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/sdk"
)

// load keeps changing everything while backups are taken.
type load struct {
	h     *house
	acked []atomic.Int64 // config → how often storing its secret was acknowledged
	stop  context.CancelFunc
	wait  sync.WaitGroup
}

// startLoad begins to store secrets anew, and to make and delete configs with secrets.
func startLoad(t *testing.T, h *house) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{h: h, acked: make([]atomic.Int64, len(h.configs)), stop: stop}
	for i, id := range h.configs {
		l.acked[i].Store(1)
		l.wait.Go(func() {
			for n := 2; ctx.Err() == nil; n++ {
				if err := h.storeSecret(context.WithoutCancel(ctx), id, i, n); err != nil {
					t.Errorf("storing secrets: %v", err)
					return
				}
				l.acked[i].Store(int64(n))
			}
		})
	}
	for worker := range 2 {
		l.wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := l.comeAndGo(context.WithoutCancel(ctx), fmt.Sprintf("passing %d %d", worker, n)); err != nil {
					t.Errorf("making and deleting: %v", err)
					return
				}
			}
		})
	}
	return l
}

// comeAndGo makes a config, stores its secret and deletes it: the secret is destroyed at once.
func (l *load) comeAndGo(ctx context.Context, name string) error {
	id, err := l.h.newConfig(ctx, name)
	if err != nil {
		return err
	}
	if err := l.h.storeSecret(ctx, id, 1000, 1); err != nil {
		return err
	}
	return l.h.Owner.DeleteCredentialConfig(ctx, id)
}

// TestUnderLoad takes backups while secrets are stored and destroyed as fast as they can be. Every backup is restored: nothing in it may be missing, and it holds
// everything that was acknowledged before it began (BAK-1).
func TestUnderLoad(t *testing.T) {
	for database, backups := range map[string]int{"sqlite": 20, "postgres": 10} {
		t.Run(database, func(t *testing.T) {
			if testing.Short() {
				backups = 3
			}
			h := newHouseOn(t, 4, database)
			h.backUpUnderLoad(t, backups)
		})
	}
}

// backUpUnderLoad takes and restores backups.
func (h *house) backUpUnderLoad(t *testing.T, backups int) {
	t.Helper()
	l := startLoad(t, h)
	type taken struct {
		path   string
		before []int64
	}
	var all []taken
	for range backups {
		var before []int64
		for i := range l.acked {
			before = append(before, l.acked[i].Load())
		}
		all = append(all, taken{h.mustBackUp(t), before})
	}
	l.stop()
	l.wait.Wait()
	for i, b := range all {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			dir, restored, err := h.restore(t, b.path, server.RestoreOptions{})
			check(t, err)
			if len(restored.Lost) > 0 || len(restored.Manifest.Missing) > 0 {
				t.Errorf("lost: %v, missing before: %v", restored.Lost, restored.Manifest.Missing)
			}
			got := h.deliver(t, h.mustServe(t, dir, h.keyFile))
			for config, least := range b.before {
				h.wantSecret(t, got, config, int(least), int(l.acked[config].Load()))
			}
		})
	}
}

// wantSecret wants one of the secrets that were stored between two moments.
func (h *house) wantSecret(t *testing.T, env map[string]string, config, least, most int) {
	t.Helper()
	got := env[fmt.Sprint("SECRET_", config)]
	for n := least; n <= most; n++ {
		if got == secret(config, n) {
			return
		}
	}
	t.Errorf("config %d delivers %q, want one of versions %d to %d", config, got, least, most)
}

// TestDestructionsGoOn looks whether what waited for a backup is destroyed after it.
func TestDestructionsGoOn(t *testing.T) {
	h := newHouse(t, 2)
	h.mustBackUp(t)
	check(t, (&load{h: h}).comeAndGo(t.Context(), "after the backup"))
	h.MustStop(t)
	var report bytes.Buffer
	check(t, server.Fsck(t.Context(), settings(t, h.DataDir, h.keyFile), false, &report, io.Discard))
	if !strings.Contains(report.String(), "entries in the vault:     3 (0 waiting") { // two secrets and the instance keys
		t.Errorf("got\n%s", &report)
	}
	h.MustRun(t)
}

// TestOneAtATime asks for a backup while the server gets another one ready.
func TestOneAtATime(t *testing.T) {
	h := newHouse(t, 2)
	var conflicts, done atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			err := h.Owner.Backup(t.Context(), io.Discard)
			var refused *sdk.Error
			switch {
			case err == nil:
				done.Add(1)
			case errors.As(err, &refused) && refused.Code == "backup_running":
				conflicts.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
	}
	wait.Wait()
	if done.Load() == 0 {
		t.Error("none of the backups was taken")
	}
}

// TestNothingSecretInside looks for secrets, keys and API keys in every form in which an archive could hold them (BAK-4).
func TestNothingSecretInside(t *testing.T) {
	h := newHouse(t, 3)
	ring, err := os.ReadFile(h.keyFile)
	check(t, err)
	contents := plainContents(t, h.mustBackUp(t))
	hidden := []string{h.OwnerKey, secret(0, 1), secret(1, 1), secret(2, 1)}
	for line := range strings.Lines(string(ring)) {
		if !strings.HasPrefix(line, "#") {
			hidden = append(hidden, strings.TrimSpace(line), strings.TrimSpace(line)[5:40])
		}
	}
	for _, s := range hidden {
		for _, form := range [][]byte{[]byte(s), []byte(base64.StdEncoding.EncodeToString([]byte(s))), []byte(base64.RawURLEncoding.EncodeToString([]byte(s)))} {
			if bytes.Contains(contents, form[:len(form)-4]) {
				t.Errorf("the backup holds a secret of %d bytes", len(s))
			}
		}
	}
	if !bytes.Contains(contents, []byte("config 0")) {
		t.Error("the backup does not hold what is no secret either: this test looks at the wrong thing")
	}
}

// plainContents is the archive as it is and, after it, all that it holds uncompressed.
func plainContents(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	all := slices.Clone(raw)
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, err)
		if strings.HasSuffix(h.Name, ".gz") {
			plain, err := gzip.NewReader(bytes.NewReader(content))
			check(t, err)
			content, err = io.ReadAll(plain)
			check(t, err)
		}
		all = append(all, content...)
	}
}

// TestOffline takes a backup of a stopped server, and none of a running one.
func TestOffline(t *testing.T) {
	h := newHouse(t, 2)
	c := settings(t, h.DataDir, h.keyFile)
	path := t.TempDir() + "/backup.tar"
	if _, err := server.Backup(t.Context(), c, path, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "running") {
		t.Errorf("beside a running server: got %v", err)
	}
	h.MustStop(t)
	m, err := server.Backup(t.Context(), c, path, nil, io.Discard)
	check(t, err)
	if len(m.Organizations) != 1 || len(m.Keys) != 1 || m.Keys[0].Records != 3 || m.Secrets != backup.SecretsSealed {
		t.Errorf("got manifest %+v", m)
	}
	if _, err := server.Backup(t.Context(), c, path, nil, io.Discard); err == nil {
		t.Error("a backup was replaced")
	}
	if names := entries(t, h.DataDir); slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "backup") }) {
		t.Errorf("the data directory holds %v", names)
	}
	h.MustRun(t)
}

// TestRestoreBesideARotatedKey restores into a directory that holds nothing but the key file, as a rotation leaves it: with an empty file beside it, by which servers take turns.
func TestRestoreBesideARotatedKey(t *testing.T) {
	h := newHouse(t, 2)
	_, err := h.Owner.RotateVaultKey(t.Context())
	check(t, err)
	path, dir := h.mustBackUp(t), filepath.Join(t.TempDir(), "restored")
	check(t, os.Mkdir(dir, 0o700))
	for _, suffix := range []string{"", ".lock"} {
		text, err := os.ReadFile(h.keyFile + suffix)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, "vault.key"+suffix), text, 0o600))
	}
	_, err = server.Restore(t.Context(), settings(t, dir, filepath.Join(dir, "vault.key")), path, server.RestoreOptions{}, io.Discard)
	check(t, err)
	h.wantSecret(t, h.deliver(t, h.mustServe(t, dir, filepath.Join(dir, "vault.key"))), 0, 1, 1)
}

// TestOnlyOwners asks with lesser keys.
func TestOnlyOwners(t *testing.T) {
	h := newHouse(t, 1)
	for _, role := range []string{"admin", "writer", "reader"} {
		reply := h.MustCall(t, h.OwnerKey, "POST", "/api-keys", `{"name":"`+role+`","role":"`+role+`"}`)
		_, key, found := strings.Cut(reply.Body, `"key":"`)
		if !found {
			continue // no such role
		}
		key, _, _ = strings.Cut(key, `"`)
		if err := h.MustClient(t, key).Backup(t.Context(), io.Discard); !errors.Is(err, sdk.ErrForbidden) {
			t.Errorf("%s: got %v", role, err)
		}
	}
	h.mustBackUp(t)
	events := h.MustCall(t, h.OwnerKey, "GET", "/audit-events?action=instance.backup", "")
	if !strings.Contains(events.Body, `"outcome":"denied"`) || !strings.Contains(events.Body, `"outcome":"allowed"`) {
		t.Errorf("the trail says %s", events.Body)
	}
}
