// Package upgrade_test lets today's server open what earlier ones have left: whole installations that were made by the version of each schema.
package upgrade_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/servertest/process"
	"github.com/forgecroft/forgecroft/internal/store"
)

// binary is the built program.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "forgecroft-upgrade-*")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = process.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return pgtest.Runner{M: m}.Run()
}

// The parts of an installation.
const (
	dataDir      = "data"         // the data directory, with the vault's key
	dumpFile     = "dump.sql"     // the database, if it is PostgreSQL's
	ownerKeyFile = "owner.key"    // the owner's API key
	answersFile  = "answers.json" // what the server answered
)

// TestUpgrade checks UPG-1 and UPG-9: whatever schema an installation has, today's server opens it, everything is there as it was, the check finds nothing, and of a
// SQLite file the copy from before is a way back.
func TestUpgrade(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.tar.gz")
	check(t, err)
	if want := 2*int(store.Schema()) - 1; len(archives) != want { // The first schema knew no PostgreSQL.
		t.Errorf("there are %d installations and %d schemas: make those of the newest with TestRecord", len(archives), store.Schema())
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			unpack(t, archive, dir)
			h := installed{dir: dir, data: dataDir}
			if text, err := os.ReadFile(filepath.Join(dir, dumpFile)); err == nil {
				h.database = pgtest.New(t)
				load(t, h.database, string(text))
			}
			h.compare(t, binary)
			h.fsck(t)
			if h.database == "" {
				h.wayBack(t, filepath.Base(archive))
			}
		})
	}
}

// TestUpgradePaths upgrades by the paths that users give: relative ones, as make run does, absolute ones, and names with characters that mean
// something in an address.
func TestUpgradePaths(t *testing.T) {
	for _, name := range []string{"data", "./data", "two words", "a?b", "a#b", "100%25", "a%b", "ä;b&c='d'", "nested/again/data"} {
		for _, absolute := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/absolute=%t", strings.ReplaceAll(name, "/", "_"), absolute), func(t *testing.T) {
				t.Parallel()
				h := installed{dir: t.TempDir(), data: name}
				unpack(t, "testdata/schema-1-sqlite.tar.gz", h.dir)
				check(t, os.MkdirAll(filepath.Dir(filepath.Join(h.dir, name)), 0o700))
				if filepath.Clean(name) != dataDir {
					check(t, os.Rename(filepath.Join(h.dir, dataDir), filepath.Join(h.dir, name)))
				}
				if absolute {
					h.data = filepath.Join(h.dir, name)
				}
				h.compare(t, binary)
				h.fsck(t)
				h.wayBack(t, "schema-1-sqlite.tar.gz")
			})
		}
	}
}

// installed is an installation in a directory.
type installed struct {
	dir      string // where its commands are run
	data     string // the data directory, as the commands are given it
	database string // URL; empty: SQLite, in the data directory
}

// file is a file of the data directory.
func (h installed) file(name string) string {
	if filepath.IsAbs(h.data) {
		return filepath.Join(h.data, name)
	}
	return filepath.Join(h.dir, h.data, name)
}

// command is a command of the program on the installation.
func (h installed) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, append(args, "--data-dir", h.data)...)
	cmd.Dir = h.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + h.dir}
	if h.database != "" {
		cmd.Env = append(cmd.Env, "FORGECROFT_DATABASE_URL="+h.database)
	}
	return cmd
}

// serve runs fn while a server of the program has the installation.
func (h installed) serve(t *testing.T, program string, fn func(installation)) {
	t.Helper()
	owner := filepath.Join(h.dir, ownerKeyFile)
	server, err := process.Start(h.command(program, "server", "--listen", "127.0.0.1:0", "--owner-key-file", owner, "--log-level", "warn"))
	check(t, err)
	defer server.Kill()
	key, err := os.ReadFile(owner)
	check(t, err)
	fn(installation{t, server.URL, strings.TrimSpace(string(key))})
	if code := server.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("the server ended with code %d:\n%s", code, &server.Log)
	}
}

// compare asks what was asked before.
func (h installed) compare(t *testing.T, program string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, answersFile))
	check(t, err)
	var asked []question
	check(t, json.Unmarshal(text, &asked))
	if len(asked) < 20 {
		t.Fatalf("only %d questions were asked", len(asked))
	}
	h.serve(t, program, func(i installation) {
		for _, q := range asked {
			status, answer := i.ask(q)
			if status != q.Status {
				t.Errorf("%s %s: got %d, was %d: %v", q.Method, q.Path, status, q.Status, answer)
			}
			for _, d := range lacks(q.Answer, answer, "") {
				t.Errorf("%s %s: %s", q.Method, q.Path, d)
			}
		}
	})
}

// fsck runs the check.
func (h installed) fsck(t *testing.T) {
	t.Helper()
	if out, err := h.command(binary, "server", "fsck").CombinedOutput(); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}

// wayBack puts the copy from before the migration in place of the file, and upgrades again.
func (h installed) wayBack(t *testing.T, archive string) {
	t.Helper()
	var schema int64
	_, err := fmt.Sscanf(archive, "schema-%d-", &schema)
	check(t, err)
	file, kept := h.file("metadata.db"), h.file(fmt.Sprintf("metadata-schema-%d.db", schema))
	if schema == store.Schema() {
		if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("nothing was migrated, but there is a copy from before (%v)", err)
		}
		return
	}
	info, err := os.Stat(kept)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v", info.Mode())
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	check(t, os.Rename(kept, file))
	h.compare(t, binary)
}

// volatile are members that change when one looks at them, or with the time, and the words of problems.
var volatile = []string{"last_used_at", "last_delivered_at", "delivery_id", "request_id", "next_cursor", "detail", "title", "type"}

// lacks tells what of an old answer is not in a new one, which may have more members, and more elements that have an id.
func lacks(before, now any, path string) (differences []string) {
	switch before := before.(type) {
	case object:
		present, is := now.(object)
		if !is {
			return []string{fmt.Sprintf("%s: got %v, was an object", path, now)}
		}
		for name, value := range before {
			if !slices.Contains(volatile, name) {
				differences = append(differences, lacks(value, present[name], path+"."+name)...)
			}
		}
		return differences
	case []any:
		present, is := now.([]any)
		if !is {
			return []string{fmt.Sprintf("%s: got %v, was a list", path, now)}
		}
		for n, value := range before {
			differences = append(differences, lacks(value, counterpart(value, n, present), fmt.Sprintf("%s[%d]", path, n))...)
		}
		return differences
	}
	if !reflect.DeepEqual(before, now) {
		return []string{fmt.Sprintf("%s: got %v, was %v", path, now, before)}
	}
	return nil
}

// counterpart finds the element of the same id, or else of the same place.
func counterpart(before any, n int, now []any) any {
	if o, is := before.(object); is && o["id"] != nil {
		for _, candidate := range now {
			if c, is := candidate.(object); is && c["id"] == o["id"] {
				return c
			}
		}
		return nil
	}
	if n < len(now) {
		return now[n]
	}
	return nil
}

func TestLacks(t *testing.T) {
	before := object{"id": "a", "list": []any{object{"id": "b", "n": 1.0}, object{"id": "c"}}, "delivery_id": "d"}
	tests := []struct {
		name string
		now  any
		want int // differences
	}{
		{"the same", before, 0},
		{"more", object{"id": "a", "list": []any{object{"id": "new"}, object{"id": "c"}, object{"id": "b", "n": 1.0, "m": 2.0}}, "more": true}, 0},
		{"another value", object{"id": "a", "list": []any{object{"id": "b", "n": 2.0}, object{"id": "c"}}}, 1},
		{"an element less", object{"id": "a", "list": []any{object{"id": "b", "n": 1.0}}}, 1},
		{"another kind", object{"id": "a", "list": "b, c"}, 1},
		{"nothing", nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := lacks(before, test.now, ""); len(got) != test.want {
				t.Errorf("got %q, want %d", got, test.want)
			}
		})
	}
}

// load fills an empty database with a dump.
func load(t *testing.T, url, dump string) {
	t.Helper()
	var statements []string
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, `\`) { // psql's own commands
			statements = append(statements, line)
		}
	}
	c, err := pgx.Connect(t.Context(), url)
	check(t, err)
	defer c.Close(t.Context())
	_, err = c.PgConn().Exec(t.Context(), strings.Join(statements, "")).ReadAll()
	check(t, err)
}

// unpack unpacks an archive.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	check(t, err)
	defer f.Close()
	plain, err := gzip.NewReader(f)
	check(t, err)
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		check(t, err)
		path := filepath.Join(dir, h.Name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		content, err := io.ReadAll(r)
		check(t, err)
		check(t, os.WriteFile(path, content, 0o600))
	}
}
