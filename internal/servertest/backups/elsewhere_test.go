//go:build unix

package backups_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/server"
)

// elsewhere is an empty PostgreSQL database and an empty OpenBao to restore into.
type elsewhere struct {
	database string
	vault    *bao.Server
	settings []string // the variables of a server on them
}

func newElsewhere(t *testing.T) elsewhere {
	t.Helper()
	e := elsewhere{database: pgtest.New(t), vault: bao.New(nil, baoToken)}
	e.settings = append([]string{"FORGECROFT_DATABASE_URL", e.database}, serveBao(t, e.vault)...)
	return e
}

// restore restores a backup there, with a key file.
func (e elsewhere) restore(t *testing.T, path, keyFile string, o server.RestoreOptions) error {
	t.Helper()
	_, err := server.Restore(t.Context(), settings(t, "", keyFile, e.settings...), path, o, io.Discard)
	return err
}

// contents is all that the database holds: its tables and all of their rows.
func (e elsewhere) contents(t *testing.T) (rows []string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), e.database)
	check(t, err)
	defer c.Close(t.Context())
	_, err = c.Exec(t.Context(), "SET forgecroft.organization_id = '*'")
	check(t, err)
	for _, table := range ask(t, c, "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 1") {
		rows = append(rows, table)
		rows = append(rows, ask(t, c, "SELECT t::text FROM "+pgx.Identifier{table}.Sanitize()+" t ORDER BY 1")...)
	}
	return rows
}

// ask returns the one column of what is asked for.
func ask(t *testing.T, c *pgx.Conn, text string) []string {
	t.Helper()
	rows, err := c.Query(t.Context(), text)
	check(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	check(t, err)
	return all
}

// writes are the calls that change what the vault holds.
func (e elsewhere) writes() (all []string) {
	for _, call := range e.vault.Calls() {
		if call.Method != http.MethodGet && call.Method != "LIST" && !strings.HasPrefix(call.Path, "auth/") {
			all = append(all, call.Method+" "+call.Path)
		}
	}
	return all
}

// wantUntouched wants both to be as they were.
func (e elsewhere) wantUntouched(t *testing.T, before []string) {
	t.Helper()
	if after := e.contents(t); !slices.Equal(before, after) {
		t.Errorf("the database held %d tables and rows, and holds %d: %.300q", len(before), len(after), after)
	}
	if writes := e.writes(); len(writes) > 0 {
		t.Errorf("the vault was sent %q", writes)
	}
}

// TestRefusalsTouchNothingElsewhere restores what cannot be restored into a database and a vault: they stay empty, and a good backup goes there afterwards (BAK-5, BAK-6,
// BAK-8).
func TestRefusalsTouchNothingElsewhere(t *testing.T) {
	h := newHouse(t, 3)
	other := newHouse(t, 1)
	good := h.mustBackUp(t)
	early := unpack(t, good)
	check(t, h.storeSecret(t.Context(), h.configs[1], 1, 2))
	check(t, h.Owner.DeleteWorkspace(t.Context(), h.workspace))
	swapped := pack(t, mixHalves(t, unpack(t, h.mustBackUp(t)), early))
	text, err := os.ReadFile(good)
	check(t, err)
	flipped := bytes.Clone(text)
	flipped[len(text)/2] ^= 1

	e := newElsewhere(t)
	for _, test := range []struct {
		name, path, keyFile string
		force               bool
	}{
		{"another key", good, other.keyFile, false},
		{"no key", good, filepath.Join(t.TempDir(), "nothing.key"), false},
		{"the halves of two backups", swapped, h.keyFile, false},
		{"a bit flipped", spoil(t, flipped), h.keyFile, false},
		{"a bit flipped, by force", spoil(t, flipped), h.keyFile, true},
		{"cut off", spoil(t, text[:len(text)-1]), h.keyFile, false},
		{"cut off, by force", spoil(t, text[:len(text)/2]), h.keyFile, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := e.restore(t, test.path, test.keyFile, server.RestoreOptions{Force: test.force}); err == nil {
				t.Error("it was restored")
			}
			e.wantUntouched(t, nil)
		})
	}
	t.Run("checked only", func(t *testing.T) {
		check(t, e.restore(t, good, h.keyFile, server.RestoreOptions{CheckOnly: true}))
		e.wantUntouched(t, nil)
	})
	check(t, e.restore(t, good, h.keyFile, server.RestoreOptions{}))
	if len(e.contents(t)) < 10 || len(e.writes()) < 4 {
		t.Error("a good backup leaves no trace either: this test looks at the wrong places")
	}
	h.wantAll(t, settings(t, "", h.keyFile, e.settings...))
}

// TestRestoreReplacesNothingElsewhere restores where another installation is, wholly or by half: what is there stays, and nothing is put beside it.
func TestRestoreReplacesNothingElsewhere(t *testing.T) {
	h, other := newHouse(t, 2), newHouse(t, 1)
	path := h.mustBackUp(t)
	theirs := newElsewhere(t)
	check(t, theirs.restore(t, other.mustBackUp(t), other.keyFile, server.RestoreOptions{}))
	held := len(theirs.vault.Everything("", "secret"))
	ours := newElsewhere(t)
	for _, test := range []struct {
		name            string
		database, vault elsewhere
	}{
		{"another installation's", theirs, theirs},
		{"another installation's database", theirs, ours},
		{"another installation's vault", ours, theirs},
	} {
		for _, force := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, by force: %t", test.name, force), func(t *testing.T) {
				target := elsewhere{test.database.database, test.vault.vault, slices.Concat(test.database.settings[:2], test.vault.settings[2:])}
				before := target.contents(t)
				target.vault.Forget()
				if err := target.restore(t, path, h.keyFile, server.RestoreOptions{Force: force}); err == nil {
					t.Error("it was restored")
				}
				target.wantUntouched(t, before)
			})
		}
	}
	if now := len(theirs.vault.Everything("", "secret")); now != held {
		t.Errorf("the other installation's vault held %d secrets, and holds %d", held, now)
	}
	other.wantAll(t, settings(t, "", other.keyFile, theirs.settings...))
}
