package backup_test

import (
	"context"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// org is the one organization of these tests.
const org = "0192f3a0-0000-7000-8000-00000000000a"

// world is a database and a vault without a server.
type world struct {
	dir   string
	keys  string
	store *store.Store
	vault *embedded.Vault
}

// check fails a test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the stores in a directory of its own, with the keys of a file.
func open(t testing.TB, keys string) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), keys: keys}
	check(t, os.Chmod(w.dir, 0o700))
	var err error
	w.store, err = store.OpenSQLite(t.Context(), store.Options{Path: filepath.Join(w.dir, "metadata.db")})
	check(t, err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.vault, err = embedded.Open(t.Context(), embedded.Options{Path: filepath.Join(w.dir, "vault.db"), Keys: embedded.FileKeys(keys)})
	check(t, err)
	t.Cleanup(func() { _ = w.vault.Close() })
	return w
}

// furnished is a world with n credential configs that have secrets.
func furnished(t testing.TB, n int) *world {
	t.Helper()
	w := open(t, filepath.Join(t.TempDir(), "vault.key"))
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	instance := forgecroft.Instance{ID: newID(), KeysReference: newReference(), CreatedAt: now}
	check(t, w.vault.Put(t.Context(), instance.KeysReference, forgecroft.Binding{OrganizationID: instance.ID, CredentialConfigID: "instance-keys", Version: 1}, forgecroft.NewSecret("EXAMPLE")))
	w.update(t, func(ctx context.Context, tx forgecroft.Tx) error {
		if err := tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: now}); err != nil {
			return err
		}
		return tx.CreateInstance(ctx, instance)
	})
	var wait sync.WaitGroup
	for worker := range 32 {
		wait.Go(func() {
			for i := worker; i < n; i += 32 {
				w.add(t, i, now)
			}
		})
	}
	wait.Wait()
	return w
}

// add makes a config with a secret and an audit entry.
func (w *world) add(t testing.TB, i int, now time.Time) {
	c := forgecroft.CredentialConfig{
		ID: newID(), OrganizationID: org, Name: fmt.Sprint("config ", i), Type: "generic_env", Revision: 1, SecretVersion: 1, Reference: newReference(),
		Fields: []string{"TOKEN"}, SecretSize: 40, SecretsStoredAt: now, CreatedBy: newID(), CreatedAt: now, UpdatedAt: now,
	}
	if err := w.vault.Put(t.Context(), c.Reference, c.Binding(), forgecroft.NewSecret(fmt.Sprint("EXAMPLE-secret-", i))); err != nil {
		t.Error(err)
	}
	err := w.store.Update(t.Context(), func(tx forgecroft.Tx) error {
		e := forgecroft.AuditEvent{ID: newID(), OrganizationID: org, Time: now, Action: "credential_config.create", Outcome: "allowed", Details: forgecroft.AuditDetails(nil)}
		e.Digest = e.Sum()
		if err := tx.CreateCredentialConfig(t.Context(), c); err != nil {
			return err
		}
		return tx.AppendAudit(t.Context(), &e)
	})
	if err != nil {
		t.Error(err)
	}
}

func (w *world) update(t testing.TB, fn func(ctx context.Context, tx forgecroft.Tx) error) {
	t.Helper()
	check(t, w.store.Update(t.Context(), func(tx forgecroft.Tx) error { return fn(t.Context(), tx) }))
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// newReference makes a reference of two ids.
func newReference() forgecroft.Reference {
	a, b := uuid.New(), uuid.New()
	text := base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(append(a[:], b[:4]...))
	return forgecroft.Reference(strings.ToLower(text))
}

// source is what a backup of the world is taken of.
func (w *world) source() backup.Source {
	return backup.Source{Store: w.store, Vault: w.vault, Dir: w.dir, Product: "test", Holder: newID(), Now: time.Now}
}

// mustBackUp writes a backup.
func (w *world) mustBackUp(t testing.TB) string {
	t.Helper()
	taken, err := backup.Take(t.Context(), w.source())
	check(t, err)
	defer taken.Close()
	path := filepath.Join(t.TempDir(), "backup.tar")
	f, err := os.Create(path)
	check(t, err)
	n, err := taken.WriteTo(f)
	check(t, err)
	check(t, f.Close())
	if n != taken.Size() {
		t.Errorf("the backup has %d bytes, and said %d", n, taken.Size())
	}
	return path
}

// ring is the world's key ring.
func (w *world) ring(t testing.TB) *envelope.Ring {
	t.Helper()
	ring, err := embedded.FileKeys(w.keys).Load()
	check(t, err)
	return ring
}
