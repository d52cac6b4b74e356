//go:build linux

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/store/storetest"
)

var rewrite = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	if code, is := victim(); is {
		os.Exit(code)
	}
	goleak.VerifyTestMain(pgtest.Runner{M: m})
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) forgecroft.Store { return open(t, t.TempDir()) })
}

// open opens the store in a directory.
func open(t testing.TB, directory string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: filepath.Join(directory, "metadata.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// reopen expects a failure.
func reopen(t *testing.T, path string) error {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: path})
	if err == nil {
		_ = s.Close()
		t.Fatal("the store opened the file")
	}
	return err
}

// closedFile makes a database with some objects and returns its path.
func closedFile(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	s := open(t, directory)
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		if err := tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start}); err != nil {
			return err
		}
		for n := range 200 {
			if err := tx.CreateCredentialConfig(ctx, newConfig(fmt.Sprint("c", n))); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(directory, "metadata.db")
}

// raw runs SQL on a closed database behind the store's back.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range statements {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func TestReopen(t *testing.T) {
	path := closedFile(t)
	s := open(t, filepath.Dir(path))
	configs, err := s.CredentialConfigs(t.Context(), org, forgecroft.CredentialConfigFilter{}, forgecroft.Page{Limit: 1000})
	if err != nil || len(configs) != 200 {
		t.Errorf("after a new start: got %d configs and error %v, want 200", len(configs), err)
	}
	if err := s.Integrity(t.Context()); err != nil {
		t.Errorf("integrity: %v", err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	directory := t.TempDir()
	open(t, directory)
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != 3 {
		t.Fatalf("got %d files and error %v, want the database, its log and the log's index", len(entries), err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode())
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestDamageIsRefused checks DUR-21.
func TestDamageIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		damage func(content []byte) []byte
	}{
		{"magic", func(b []byte) []byte { b[3] ^= 1; return b }},
		{"journal mode", func(b []byte) []byte { b[18] = 1; return b }},
		{"application", func(b []byte) []byte { b[68] ^= 1; return b }},
		{"cut off", func(b []byte) []byte { return b[:len(b)-4096] }},
		{"cut in the header", func(b []byte) []byte { return b[:50] }},
		{"schema page", func(b []byte) []byte { clear(b[100:2000]); return b }},
		{"page in the middle", func(b []byte) []byte { clear(b[len(b)/2&^4095:][:4096]); return b }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := closedFile(t)
			if err := os.WriteFile(path, test.damage(read(t, path)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := reopen(t, path); !errors.Is(err, forgecroft.KindIntegrity) {
				t.Errorf("got %v, want %s", err, forgecroft.KindIntegrity)
			}
		})
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metadata.db")
	raw(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE recipes (id INTEGER)")
	if err := reopen(t, path); !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("got %v, want %s", err, forgecroft.KindIntegrity)
	}
}

func TestIntegrityFindsDanglingRows(t *testing.T) {
	path := closedFile(t)
	s := open(t, filepath.Dir(path))
	raw(t, path, "PRAGMA foreign_keys = OFF", "DELETE FROM organizations")
	if err := s.Integrity(t.Context()); !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("got %v, want %s", err, forgecroft.KindIntegrity)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := reopen(t, path); !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("the next start: got %v, want %s", err, forgecroft.KindIntegrity)
	}
}

// TestLockedByAnother checks CON-11: a writer that never gives way is an answer, not a hang.
func TestLockedByAnother(t *testing.T) {
	path := closedFile(t)
	s := open(t, filepath.Dir(path))
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	nothing := func(forgecroft.Tx) error { return nil }
	if err := s.Update(t.Context(), nothing); !errors.Is(err, forgecroft.KindUnavailable) {
		t.Errorf("while another holds the lock: got %v, want %s", err, forgecroft.KindUnavailable)
	}
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), nothing); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestMigrationNames demands consecutive numbers, so that two that were written at the same time are noticed.
func TestMigrationNames(t *testing.T) {
	for _, directory := range []string{"migrations/sqlite", "migrations/postgres"} {
		files, err := fs.Glob(os.DirFS("."), directory+"/*")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got %d files and error %v", directory, len(files), err)
		}
		for i, file := range files {
			if want := fmt.Sprintf("%s/%05d_", directory, i+1); !strings.HasPrefix(file, want) || !strings.HasSuffix(file, ".sql") {
				t.Errorf("got %s, want %s….sql", file, want)
			}
			if strings.Contains(string(read(t, file)), "+goose Down") {
				t.Errorf("%s goes backwards; migrations are forward-only", file)
			}
		}
	}
}
