//go:build linux

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
)

// notDumped are the tables that a dump leaves out, with the reason.
var notDumped = map[string]string{ // table → reason
	"leases":           "they belong to processes that run",
	"sessions":         "they belong to browsers that are signed in",
	"goose_db_version": "the schema makes itself",
	"sqlite_sequence":  "SQLite's own",
}

// TestTablesAreComplete compares what a dump holds with the tables as the migrations make them: a column that is added must be dumped.
func TestTablesAreComplete(t *testing.T) {
	db, err := sql.Open("sqlite", closedFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `
		SELECT m.name, c.name, lower(c.type) FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var want, got []string
	for rows.Next() {
		var name, column, kind string
		if err := rows.Scan(&name, &column, &kind); err != nil {
			t.Fatal(err)
		}
		if notDumped[name] == "" {
			want = append(want, name+"."+column+" "+kind)
		}
	}
	for _, table := range store.Tables() {
		for _, c := range table.Columns {
			got = append(got, table.Name+"."+c.Name+" "+string(c.Kind))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); rows.Err() != nil || diff != "" {
		t.Errorf("dumped columns (-schema +dump), %v:\n%s", rows.Err(), diff)
	}
}

// dumped is everything that a store holds.
func dumped(t *testing.T, s *store.Store) map[string][][]any {
	t.Helper()
	all := map[string][][]any{} // table → rows
	err := s.Snapshot(t.Context(), func(snapshot store.Snapshot) error {
		for _, table := range store.Tables() {
			err := snapshot.Rows(t.Context(), table, func(values []any) error {
				row := slices.Clone(values)
				for i, v := range row {
					if b, is := v.([]byte); is {
						row[i] = slices.Clone(b)
					}
				}
				all[table.Name] = append(all[table.Name], row)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// loadAll loads rows, table after table.
func loadAll(t *testing.T, s *store.Store, all map[string][][]any) error {
	t.Helper()
	return s.Load(t.Context(), func(insert func(store.Table, []any) error) error {
		for _, table := range store.Tables() {
			for _, row := range all[table.Name] {
				if err := insert(table, row); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// furnished makes a store with a row in most tables, and a config whose source is newer than itself.
func furnished(t *testing.T) *store.Store {
	t.Helper()
	s := open(t, t.TempDir())
	older, newer := newConfig("older"), newConfig("newer")
	older.ID, newer.ID = "0192f3a0-0000-7000-8000-000000000001", "0192f3a0-0000-7000-8000-000000000002"
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		event := forgecroft.AuditEvent{ID: "e", OrganizationID: org, Time: start, Action: "a.b", Outcome: "allowed", Details: forgecroft.AuditDetails(nil)}
		event.Digest = event.Sum()
		key := forgecroft.APIKey{ID: "k", OrganizationID: org, Name: "ключ ✓", Role: forgecroft.RoleOwner, Hash: make([]byte, 32), CreatedAt: start}
		errs := []error{
			tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start}),
			tx.CreateInstance(ctx, forgecroft.Instance{ID: "i", KeysReference: forgecroft.Reference(strings.Repeat("0", 32)), CreatedAt: start}),
			tx.CreateCredentialConfig(ctx, older), tx.CreateCredentialConfig(ctx, newer),
			tx.CreateAPIKey(ctx, key), tx.AppendAudit(ctx, &event),
		}
		older.SourceID, older.Revision = newer.ID, older.Revision+1
		return errors.Join(append(errs, tx.UpdateCredentialConfig(ctx, older))...)
	})
	return s
}

func TestDumpAndLoad(t *testing.T) {
	from := furnished(t)
	all := dumped(t, from)
	targets := map[string]func(t *testing.T) *store.Store{
		"SQLite":     func(t *testing.T) *store.Store { return open(t, t.TempDir()) },
		"PostgreSQL": func(t *testing.T) *store.Store { return openPostgres(t, pgtest.New(t)) },
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			to := target(t)
			if err := loadAll(t, to, all); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(all, dumped(t, to)); diff != "" {
				t.Errorf("after loading (-from +to):\n%s", diff)
			}
			if err := loadAll(t, to, all); err == nil {
				t.Error("a database that holds data was loaded into")
			}
		})
	}
}

// TestLoadIsWholeOrNothing breaks off in the middle.
func TestLoadIsWholeOrNothing(t *testing.T) {
	all := dumped(t, furnished(t))
	to := open(t, t.TempDir())
	broken := errors.New("broken off")
	err := to.Load(t.Context(), func(insert func(store.Table, []any) error) error {
		tables := store.Tables()
		if err := insert(tables[0], all[tables[0].Name][0]); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := loadAll(t, to, all); err != nil {
		t.Errorf("loading after an attempt that failed: %v", err)
	}
	wrong := map[string][][]any{"organizations": {{"id", "name", "no integer"}}}
	if err := loadAll(t, open(t, filepath.Join(t.TempDir())), wrong); err == nil || !strings.Contains(err.Error(), "created_at") {
		t.Errorf("a value of another kind: got %v", err)
	}
}

// TestSnapshotIsOneState writes while a snapshot is read.
func TestSnapshotIsOneState(t *testing.T) {
	s := furnished(t)
	configs := store.Tables()[slices.IndexFunc(store.Tables(), func(t store.Table) bool { return t.Name == "credential_configs" })]
	count := func(snapshot store.Snapshot) int {
		n := 0
		if err := snapshot.Rows(t.Context(), configs, func([]any) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	err := s.Snapshot(t.Context(), func(snapshot store.Snapshot) error {
		before := count(snapshot)
		update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
			return tx.CreateCredentialConfig(ctx, newConfig("meanwhile"))
		})
		if after := count(snapshot); after != before {
			t.Errorf("got %d rows, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
