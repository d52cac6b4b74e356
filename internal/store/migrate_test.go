//go:build linux

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
)

// The environment of a process that opens a database, and is killed while that is migrated.
const (
	victimPath   = "FORGECROFT_TEST_VICTIM_PATH" // the SQLite file, or
	victimURL    = "FORGECROFT_TEST_VICTIM_URL"  // the PostgreSQL database
	victimDiesAt = "FORGECROFT_TEST_VICTIM_DIES_AT"
)

// victim is the main function of that process; false: this is another one.
func victim() (code int, is bool) {
	var at int
	if _, err := fmt.Sscan(os.Getenv(victimDiesAt), &at); err != nil {
		return 0, false
	}
	seen := 0
	store.WatchMigrations(func() {
		if seen++; seen == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	s, err := openEither(context.Background(), os.Getenv(victimPath), os.Getenv(victimURL))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	_ = s.Close()
	return 0, true
}

// openEither opens a database of either kind.
func openEither(ctx context.Context, path, url string) (*store.Store, error) {
	if url != "" {
		return store.OpenPostgres(ctx, store.Options{URL: forgecroft.NewSecret(url)})
	}
	return store.OpenSQLite(ctx, store.Options{Path: path})
}

// TestKilledMigration checks UPG-2: killed before any statement of any migration, the next start completes them, and what was there before is there.
func TestKilledMigration(t *testing.T) {
	databases := []struct {
		name   string
		create func(t *testing.T) (path, url string)
		schema func(t *testing.T, db *sql.DB) string
	}{
		{"sqlite", func(t *testing.T) (string, string) { return filepath.Join(t.TempDir(), "metadata.db"), "" }, schemaOfSQLite},
		{"postgres", func(t *testing.T) (string, string) { return "", pgtest.New(t) }, schemaOfPostgres},
	}
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			golden := string(read(t, "schema."+database.name+".golden.sql"))
			deaths := 0
			for dies := true; dies; deaths++ {
				path, url := database.create(t)
				dies = kill(t, path, url, deaths+1)
				if !dies {
					break
				}
				db := rawDatabase(t, path, url)
				furnished := furnish(t, db)
				s, err := openEither(t.Context(), path, url)
				if err != nil {
					t.Fatalf("killed before statement %d: %v", deaths+1, err)
				}
				if err := s.Integrity(t.Context()); err != nil {
					t.Errorf("killed before statement %d: %v", deaths+1, err)
				}
				found, err := s.Organizations(t.Context())
				if err != nil || furnished != (len(found) == 1) {
					t.Errorf("killed before statement %d: got %v and error %v, organization stored before: %t", deaths+1, found, err, furnished)
				}
				if got := database.schema(t, db); got != golden {
					t.Errorf("killed before statement %d: the tables are not those of the golden file", deaths+1)
				}
				if err := errors.Join(s.Close(), db.Close()); err != nil {
					t.Error(err)
				}
			}
			if deaths < 3*int(store.Schema()) {
				t.Errorf("only %d statements were seen", deaths)
			}
		})
	}
}

// kill lets a process open a database and die before its n-th statement; false: it lived.
func kill(t *testing.T, path, url string, n int) (died bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimPath+"="+path, victimURL+"="+url, fmt.Sprint(victimDiesAt, "=", n))
	out, err := cmd.CombinedOutput()
	if status, is := cmd.ProcessState.Sys().(syscall.WaitStatus); is && status.Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("statement %d: %v\n%s", n, err, out)
	}
	return false
}

// rawDatabase opens a database behind the store's back.
func rawDatabase(t *testing.T, path, url string) *sql.DB {
	t.Helper()
	driver, source := "sqlite", path
	if url != "" {
		driver, source = "pgx", url
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// furnish stores something in a half migrated database, if it has got so far.
func furnish(t *testing.T, db *sql.DB) bool {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM organizations").Scan(&n); err != nil {
		return false // The table is not there.
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO organizations (id, name, created_at) VALUES ('01a20b7f-5de9-7cf6-b34d-5826f28d237c', 'before', 1)"); err != nil {
		t.Fatal(err)
	}
	return true
}

// oldFile makes a database of the first schema, by dying before the second migration, with an organization.
func oldFile(t *testing.T, directory string) string {
	t.Helper()
	path := filepath.Join(directory, "metadata.db")
	for n := 1; ; n++ {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if !kill(t, path, "", n) {
			t.Fatal("the migrations came to their end")
		}
		db := rawDatabase(t, path, "")
		furnished := furnish(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if furnished {
			return path
		}
	}
}

// TestCopyBeforeMigration checks UPG-5: the copy is the whole file as it was, an earlier draft of it does no harm, and there is none where nothing is migrated.
func TestCopyBeforeMigration(t *testing.T) {
	directory := t.TempDir()
	path := oldFile(t, directory)
	if err := os.WriteFile(filepath.Join(directory, "metadata-schema-1.db.new"), []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(t, directory).Close(); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := filepath.Glob(filepath.Join(directory, "metadata-*"))
	if want := filepath.Join(directory, "metadata-schema-1.db"); err != nil || !slices.Equal(kept, []string{want}) {
		t.Fatalf("got copies %q and error %v, want %s alone", kept, err, want)
	}
	if err := os.Rename(kept[0], path); err != nil {
		t.Fatal(err)
	}
	s := open(t, directory)
	found, err := s.Organizations(t.Context())
	if err != nil || len(found) != 1 || found[0].Name != "before" {
		t.Errorf("got %v and error %v from the copy, want what was stored before", found, err)
	}
	if err := s.Integrity(t.Context()); err != nil {
		t.Errorf("the copy: %v", err)
	}
}

// TestNoRoomForTheCopy checks the other half of UPG-5: where the disk is too full, nothing begins, and it begins when there is room.
func TestNoRoomForTheCopy(t *testing.T) {
	directory := t.TempDir()
	if err := unix.Mount("tmpfs", directory, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mounting a small file system needs privileges: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(directory, unix.MNT_DETACH) })
	path := oldFile(t, directory)
	filler := filepath.Join(directory, "filler")
	fill(t, filler)
	if info, err := os.Stat(filler); err != nil || os.Truncate(filler, info.Size()-100<<10) != nil { // SQLite itself needs a little.
		t.Fatal(err)
	}
	before := read(t, path)
	err := reopen(t, path)
	if !errors.Is(err, forgecroft.KindStorageFull) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("got %v, want %s, and what to do", err, forgecroft.KindStorageFull)
	}
	if !slices.Equal(before, read(t, path)) {
		t.Error("the file was changed")
	}
	if copies, _ := filepath.Glob(filepath.Join(directory, "metadata-*")); len(copies) > 0 {
		t.Errorf("there are copies: %q", copies)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	open(t, directory)
}
