//go:build unix

// Package replicas_test runs three servers on one PostgreSQL and one OpenBao behind a proxy, disturbs them all, and holds what clients saw against
// what a single, undisturbed server would have done.
package replicas_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/servertest/leak"
	"github.com/forgecroft/forgecroft/internal/servertest/process"
	"github.com/forgecroft/forgecroft/sdk"
)

const rootToken = "s.EXAMPLEroot"

// binary is the program under test; see [TestMain].
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests builds the program once.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "forgecroft-replicas-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = process.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// house is an installation of several replicas.
type house struct {
	t        *testing.T
	dir      string
	database *pgtest.Server
	url      string // of the database
	vault    *bao.Server
	gate     *gate            // in front of the vault
	listener *httptest.Server // of the vault, with the gate
	address  string           // of the vault
	proxy    *httptest.Server
	ledger   *ledger     // of all that clients ask
	owner    *sdk.Client // through the proxy
	ownerKey string
	project  string // the id of one that is called [control]
	ended    ended

	tenants   []*sdk.Client // owners of other organizations
	strangers []*stranger
	canary    string       // is in every secret
	scanner   leak.Scanner // looks for the canary
	sent      atomic.Int64 // bytes that the vault was sent
	logged    atomic.Int64 // bytes that replicas have logged before they were killed
	turn      atomic.Int64

	mu       sync.Mutex
	replicas []*process.Server // nil: being started
}

// newHouse starts n replicas.
func newHouse(t *testing.T, n int) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), database: pgtest.MustStart(t, ""), vault: bao.New(nil, rootToken), replicas: make([]*process.Server, n)}
	t.Cleanup(h.database.Stop)
	h.url = h.database.MustCreate(t)
	h.canary = rand.Text() + rand.Text()
	h.scanner.Add("the canary", h.canary)
	h.gate = &gate{next: &leak.Tap{Next: h.vault, See: func(what string, sent []byte) {
		h.sent.Add(int64(len(sent)))
		h.scanner.Check(t, what, sent)
	}}}
	must(t, h.startVault("127.0.0.1:0"))
	t.Cleanup(h.killVault)
	h.address = h.listener.URL
	if err := os.WriteFile(h.path("token"), []byte(rootToken), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.killAll)
	for i := range n {
		if err := h.start(i); err != nil {
			t.Fatal(err)
		}
	}
	h.proxy = httptest.NewServer(&httputil.ReverseProxy{Rewrite: h.choose, ErrorHandler: noAnswer, ErrorLog: nil})
	t.Cleanup(h.proxy.Close)
	key, err := os.ReadFile(h.path("owner.key"))
	if err != nil {
		t.Fatal(err)
	}
	h.ownerKey = strings.TrimSpace(string(key))
	h.ledger = newLedger(t)
	h.owner, err = h.ledger.client(h.proxy.URL, h.ownerKey)
	must(t, err)
	project, err := h.owner.CreateProject(t.Context(), sdk.CreateProject{Name: control})
	must(t, err)
	h.project = project.ID
	return h
}

// startVault lets the vault listen at an address. What it keeps outlives [house.killVault], as on a disk.
func (h *house) startVault(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	h.listener = &httptest.Server{Listener: listener, Config: &http.Server{Handler: h.gate}}
	h.listener.Start()
	return nil
}

// killVault ends the vault: connections break, in the middle of an answer too, and new ones are refused.
func (h *house) killVault() {
	_ = h.listener.Config.Close()
	h.gate.thaw() // Nothing answers any more; httptest waits for those who are in.
	h.listener.Close()
}

// gate is in front of the vault. Frozen, it takes requests and does nothing with them until it thaws, as a stopped process does.
type gate struct {
	next http.Handler

	mu     sync.Mutex
	frozen chan struct{} // closed when it thaws; nil: it is not frozen
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen = make(chan struct{})
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen != nil {
		close(g.frozen)
		g.frozen = nil
	}
}

// ServeHTTP implements [http.Handler].
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	frozen := g.frozen
	g.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	g.next.ServeHTTP(w, r)
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// command is the program with the settings that all replicas share.
func (h *house) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, append(args, "--key-file", h.path("vault.key"), "--vault", "openbao", "--vault-addr", h.address, "--vault-token-file", h.path("token"))...)
	cmd.Env = []string{"HOME=" + h.dir, "PATH=" + os.Getenv("PATH"), "FORGECROFT_DATABASE_URL=" + h.url}
	return cmd
}

// start starts a replica.
func (h *house) start(i int) error {
	s, err := process.Start(h.command("server", "--listen", "127.0.0.1:0", "--owner-key-file", h.path("owner.key"), "--log-level", "debug"))
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replicas[i] = s
	return nil
}

// replica is one that runs; nil while it is being started.
func (h *house) replica(i int) *process.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.replicas[i]
}

// restart kills a replica and starts it again, which may take several attempts while the rest is disturbed too.
func (h *house) restart(i int) error {
	s := h.replica(i)
	h.mu.Lock()
	h.replicas[i] = nil
	h.mu.Unlock()
	if s != nil {
		h.kill(s)
	}
	var err error
	for range 20 {
		if err = h.start(i); err == nil {
			return nil
		}
	}
	return err
}

func (h *house) killAll() {
	for i := range h.replicas {
		if s := h.replica(i); s != nil {
			s.Signal(syscall.SIGCONT)
			h.kill(s)
		}
	}
}

// kill kills a replica and scans all that it said.
func (h *house) kill(s *process.Server) {
	s.Kill()
	h.logged.Add(int64(s.Log.Len()))
	h.scanner.Check(h.t, "the log of a replica", s.Log.Bytes())
	h.scanner.Check(h.t, "the output of a replica", []byte(s.Said()))
}

// choose sends requests to the replicas in turn.
func (h *house) choose(r *httputil.ProxyRequest) {
	for range h.replicas {
		if s := h.replica(int(h.turn.Add(1)) % len(h.replicas)); s != nil {
			target, err := url.Parse(s.URL)
			if err == nil {
				r.SetURL(target)
				return
			}
		}
	}
	r.Out.URL.Host = "" // Nobody is there: no answer.
}

// noAnswer is what a client gets when a replica goes away under its request: whether it was done nobody knows.
func noAnswer(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }

// undecided reports whether a failure leaves open what has happened.
func undecided(err error) bool {
	var problem *sdk.Error
	if !errors.As(err, &problem) {
		return true // no whole answer
	}
	return problem.Status >= 500
}
