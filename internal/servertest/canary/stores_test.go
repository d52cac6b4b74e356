package canary_test

import (
	"database/sql"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // reads a copy of the vault

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/internal/servertest/leak"
)

// stores is where a server keeps things.
type stores interface {
	// start starts a server on them, with more flags.
	start(t *testing.T, flags map[string]string) *servertest.Server
	// sealed is what the vault keeps of each config's newest version, by the config's id.
	sealed(t *testing.T) map[string][]byte
	// scanLive scans what the running server leaves if it is killed now.
	scanLive(t *testing.T, s *leak.Scanner)
	// scanEnded scans what the stopped server has left. It returns how many bytes.
	scanEnded(t *testing.T, s *leak.Scanner) int
}

var (
	_ stores = (*embedded)(nil)
	_ stores = (*remote)(nil)
)

// embedded is the data directory.
type embedded struct{ dir string }

func (e *embedded) start(t *testing.T, flags map[string]string) *servertest.Server {
	t.Helper()
	s := servertest.MustStartOn(t, "", flags)
	e.dir = s.DataDir
	return s
}

// sealed reads from a copy of the vault's files.
func (e *embedded) sealed(t *testing.T) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"vault.db", "vault.db-wal"} {
		data, err := os.ReadFile(filepath.Join(e.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT credential_config_id, sealed FROM secret ORDER BY version`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	blobs := map[string][]byte{}
	for rows.Next() {
		var id string
		var blob []byte
		if err := rows.Scan(&id, &blob); err != nil {
			t.Fatal(err)
		}
		blobs[id] = blob
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return blobs
}

// scanLive wants write-ahead logs, too: a crash leaves them behind.
func (e *embedded) scanLive(t *testing.T, s *leak.Scanner) {
	t.Helper()
	s.CheckTree(t, e.dir)
	logs, err := filepath.Glob(filepath.Join(e.dir, "*-wal"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("there is no write-ahead log to look into: %v", err)
	}
	if !slices.ContainsFunc(logs, func(path string) bool { info, err := os.Stat(path); return err == nil && info.Size() > 0 }) {
		t.Error("all write-ahead logs are empty")
	}
}

func (e *embedded) scanEnded(t *testing.T, s *leak.Scanner) int {
	t.Helper()
	return s.CheckTree(t, e.dir)
}

// remote is a PostgreSQL of its own, and an OpenBao to which somebody listens.
type remote struct {
	database *pgtest.Server
	vault    *bao.Server
	address  string // of the vault
	token    string // the file with the vault's token

	mu   sync.Mutex
	sent []said // to the vault; guarded by mu
}

// newRemote starts both. It comes before the tests choose a directory for temporary files: PostgreSQL's user cannot enter that.
func newRemote(t *testing.T) *remote {
	t.Helper()
	const rootToken = "s.EXAMPLEroot"
	r := &remote{database: pgtest.MustStart(t, ""), vault: bao.New(nil, rootToken), token: filepath.Join(t.TempDir(), "token")}
	t.Cleanup(r.database.Stop)
	if err := os.WriteFile(r.token, []byte(rootToken), 0o600); err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(&leak.Tap{Next: r.vault, See: r.see})
	t.Cleanup(listener.Close)
	r.address = listener.URL
	return r
}

// see keeps what the vault was sent.
func (r *remote) see(what string, sent []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, said{what, string(sent)})
}

func (r *remote) start(t *testing.T, flags map[string]string) *servertest.Server {
	t.Helper()
	flags["vault"], flags["vault-addr"], flags["vault-token-file"] = "openbao", r.address, r.token
	return servertest.MustStartOn(t, r.database.MustCreate(t), flags)
}

// sealed reads the documents in the vault. What an earlier one says of a config is overwritten by what a later version says.
func (r *remote) sealed(t *testing.T) map[string][]byte {
	t.Helper()
	blobs, newest := map[string][]byte{}, map[string]int64{}
	for _, text := range r.vault.Everything("", "secret") {
		if text == nil {
			continue // It was destroyed.
		}
		var document struct {
			Credential string `json:"credential"`
			Version    int64  `json:"version"`
			Sealed     []byte `json:"sealed"`
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		if id := document.Credential; document.Version >= newest[id] {
			blobs[id], newest[id] = document.Sealed, document.Version
		}
	}
	return blobs
}

// scanLive scans what the vault was sent until now, and forgets it: what is sealed may be sent there, and is looked for later.
func (r *remote) scanLive(t *testing.T, s *leak.Scanner) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sent) < 50 {
		t.Errorf("the vault was sent only %d requests", len(r.sent))
	}
	r.check(t, s)
	r.sent = nil
}

func (r *remote) scanEnded(t *testing.T, s *leak.Scanner) int {
	t.Helper()
	r.database.Halt()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.check(t, s)
	return s.CheckTree(t, r.database.DataDir())
}

// check scans what the vault was sent, and what it holds.
func (r *remote) check(t *testing.T, s *leak.Scanner) {
	t.Helper()
	for _, sent := range r.sent {
		s.Check(t, sent.what, []byte(sent.text))
	}
	for _, text := range r.vault.Everything("", "secret") {
		s.Check(t, "the vault", text)
	}
}
