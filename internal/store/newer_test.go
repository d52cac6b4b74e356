//go:build linux

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/store/storetest"
)

// newerSchema is the version of a migration that this binary does not know.
const newerSchema = 9999

// tablesOf lists the tables of a database.
func tablesOf(t *testing.T, db *sql.DB, postgres bool) []string {
	t.Helper()
	if postgres {
		return texts(t, db, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname")
	}
	return texts(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
}

// mustMigrateFurther does what a newer binary does while older ones run: it only adds. Every table gets a column, and a table is new. Should it deadlock with them, it
// tries again, as a supervisor starts such a binary again.
func mustMigrateFurther(t *testing.T, path, url string) {
	t.Helper()
	db := rawDatabase(t, path, url)
	defer db.Close()
	statements := []string{"CREATE TABLE newer (id TEXT PRIMARY KEY)", fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, TRUE)", newerSchema)}
	for _, table := range tablesOf(t, db, url != "") {
		statements = append(statements, "ALTER TABLE "+table+" ADD COLUMN newer TEXT")
	}
	if len(statements) < 10 {
		t.Fatalf("there are only %d tables", len(statements)-2)
	}
	var err error
	for range 20 {
		if err = transact(t.Context(), db, statements); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// transact runs statements, all or none.
func transact(ctx context.Context, db *sql.DB, statements []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // After the commit it does nothing.
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return tx.Commit()
}

// TestOlderStoresGoOn migrates a database under stores that were opened before, and work. Meanwhile they may say that they are busy, and nothing else; afterwards nothing
// fails, but that an older binary cannot start any more.
func TestOlderStoresGoOn(t *testing.T) {
	url, stores := replicas(t, 2)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group, begun sync.WaitGroup
	begun.Add(len(stores))
	for _, s := range stores {
		group.Go(func() {
			done := sync.OnceFunc(begun.Done)
			defer done()
			for ctx.Err() == nil {
				if err := workOnce(t.Context(), s); err != nil && !errors.Is(err, forgecroft.KindUnavailable) {
					t.Error(err)
					return
				}
				done()
			}
		})
	}
	begun.Wait()
	mustMigrateFurther(t, "", url)
	stop()
	group.Wait()
	for range 3 {
		for _, s := range stores {
			if err := errors.Join(workOnce(t.Context(), s), s.Integrity(t.Context())); err != nil {
				t.Error(err)
			}
		}
		refuseNewer(t, "", url)
	}
}

// workOnce makes a config and its secret version, reads both in every way that a delivery does, and deletes them.
func workOnce(ctx context.Context, s *store.Store) error {
	config := newConfig(newID())
	key := forgecroft.APIKey{ID: newID(), OrganizationID: org, Name: "ci", Role: forgecroft.RoleRunner, Hash: make([]byte, 32), CreatedAt: start}
	project := forgecroft.Project{ID: newID(), OrganizationID: org, Name: newID(), Revision: 1, CreatedAt: start, UpdatedAt: start}
	workspace := forgecroft.Workspace{ID: newID(), OrganizationID: org, ProjectID: project.ID, Name: newID(), CredentialConfigIDs: []string{config.ID}, Revision: 1, CreatedAt: start, UpdatedAt: start}
	err := s.Update(ctx, func(tx forgecroft.Tx) error {
		event := newEvent()
		for _, err := range []error{
			tx.CreateProject(ctx, project), tx.CreateCredentialConfig(ctx, config), tx.CreateWorkspace(ctx, workspace), tx.CreateAPIKey(ctx, key), tx.AppendAudit(ctx, &event),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if found, err := s.CredentialConfig(ctx, org, config.ID); err != nil || found.Name != config.Name || !slices.Equal(found.WorkspaceIDs, []string{workspace.ID}) {
		return errors.Join(err, fmt.Errorf("the config is %+v", found))
	}
	if found, err := s.Workspace(ctx, org, workspace.ID); err != nil || !slices.Equal(found.CredentialConfigIDs, workspace.CredentialConfigIDs) {
		return errors.Join(err, fmt.Errorf("the workspace is %+v", found))
	}
	if found, err := s.Authenticate(ctx, key.ID); err != nil || found.Role != key.Role {
		return errors.Join(err, fmt.Errorf("the key is %+v", found))
	}
	config.Revision, workspace.Revision, workspace.CredentialConfigIDs = 2, 2, nil
	return s.Update(ctx, func(tx forgecroft.Tx) error {
		for _, err := range []error{tx.UpdateCredentialConfig(ctx, config), tx.UpdateWorkspace(ctx, workspace), tx.DeleteCredentialConfig(ctx, org, config.ID)} {
			if err != nil {
				return fmt.Errorf("changing: %w", err)
			}
		}
		return nil
	})
}

// TestOlderStoreDoesEverything runs the whole suite on stores whose database a newer binary has migrated, in the long form: it takes as long as that of PostgreSQL.
func TestOlderStoreDoesEverything(t *testing.T) {
	if os.Getenv("FORGECROFT_CRASH") != "long" {
		t.Skip("only with FORGECROFT_CRASH=long")
	}
	storetest.Run(t, func(t *testing.T) forgecroft.Store {
		url := pgtest.New(t)
		s := openPostgres(t, url)
		mustMigrateFurther(t, "", url)
		return s
	})
}

// refuseNewer wants a database that a newer binary has migrated to be refused.
func refuseNewer(t *testing.T, path, url string) {
	t.Helper()
	s, err := openEither(t.Context(), path, url)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(newerSchema)) || !strings.Contains(err.Error(), "newer Forgecroft") {
		t.Errorf("got %v, want a refusal with the version and what to do", err)
	}
}

// TestNewerSchemaIsLeftAlone checks UPG-3: an older binary does not start, and nothing at all is different afterwards.
func TestNewerSchemaIsLeftAlone(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		path := closedFile(t)
		mustMigrateFurther(t, path, "")
		before := filesIn(t, filepath.Dir(path))
		refuseNewer(t, path, "")
		if after := filesIn(t, filepath.Dir(path)); len(before) == 0 || !slices.Equal(before, after) {
			t.Errorf("there were %d files, and are %d, or they were changed", len(before), len(after))
		}
	})
	t.Run("postgres", func(t *testing.T) {
		url := pgtest.New(t)
		if err := workOnce(t.Context(), ourStore(t, url)); err != nil {
			t.Fatal(err)
		}
		mustMigrateFurther(t, "", url)
		before := rowsIn(t, url)
		refuseNewer(t, "", url)
		if after := rowsIn(t, url); len(before) < 20 || !slices.Equal(before, after) {
			t.Errorf("the database held %d tables and rows, and holds %d, or they were changed", len(before), len(after))
		}
	})
}

// ourStore opens a store in an empty database, makes an organization in it, and closes it when the test ends.
func ourStore(t *testing.T, url string) *store.Store {
	t.Helper()
	s := openPostgres(t, url)
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start})
	})
	return s
}

// filesIn is every file of a directory: its name and what is in it.
func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files = append(files, e.Name()+": "+string(read(t, filepath.Join(dir, e.Name()))))
	}
	return files
}

// rowsIn is the schema of a database and all rows, with the transaction that wrote each.
func rowsIn(t *testing.T, url string) []string {
	t.Helper()
	db := rawDatabase(t, "", url)
	defer db.Close()
	db.SetMaxOpenConns(1) // which sees all organizations
	if _, err := db.ExecContext(t.Context(), "SET forgecroft.organization_id = '*'"); err != nil {
		t.Fatal(err)
	}
	all := []string{schemaOfPostgres(t, db)}
	for _, table := range tablesOf(t, db, true) {
		all = append(all, table)
		all = append(all, texts(t, db, "SELECT xmin || ' ' || t::text FROM "+table+" t ORDER BY 1")...)
	}
	return all
}

// oldDatabase makes a PostgreSQL database of the first schema, by dying before the second migration.
func oldDatabase(t *testing.T) string {
	t.Helper()
	for n := 1; ; n += 4 { // The second migration has more statements than that, and is taken back where it is cut off.
		url := pgtest.New(t)
		if !kill(t, "", url, n) {
			t.Fatal("the migrations came to their end")
		}
		db := rawDatabase(t, "", url)
		furnished := furnish(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if furnished {
			return url
		}
	}
}

// TestMigrationGivesWay has somebody read a table for longer than a migration waits for it: the migration lets the others through, comes back, and gets it in the end.
func TestMigrationGivesWay(t *testing.T) {
	url := oldDatabase(t)
	reader, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	for _, statement := range []string{"BEGIN", "LOCK TABLE credential_configs IN ACCESS SHARE MODE"} {
		if _, err := reader.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	opened := make(chan error, 1)
	go func() {
		s, err := store.OpenPostgres(t.Context(), store.Options{URL: forgecroft.NewSecret(url)})
		if err == nil {
			err = errors.Join(s.Check(t.Context()), s.Close())
		}
		opened <- err
	}()
	waits := func() bool {
		return queryInt(t, url, "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND l.mode = 'AccessExclusiveLock' AND NOT l.granted") > 0
	}
	eventually(t, 20*time.Second, "the migration waits for the table", waits)
	eventually(t, 20*time.Second, "the migration gives way", func() bool { return !waits() })
	if n := queryInt(t, url, "SELECT count(*) FROM workspaces"); n != 0 {
		t.Errorf("%d workspaces", n)
	}
	eventually(t, 20*time.Second, "the migration tries again", waits)
	if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
