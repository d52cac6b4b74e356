package bao

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
)

// State is what a server is able to do.
type State string

// The states, and the status with which sys/health tells them.
const (
	Active             State = "active"              // 200
	Sealed             State = "sealed"              // 503
	Uninitialised      State = "uninitialised"       // 501
	Standby            State = "standby"             // 429: passes nothing on to the active node
	RecoverySecondary  State = "recovery_secondary"  // 472
	PerformanceStandby State = "performance_standby" // 473: answers reads itself
	RateLimited        State = "rate_limited"        // 200, but everything else is 429
)

// RetryAfter is what a [RateLimited] server asks for, in seconds.
const RetryAfter = 7

// keptCalls bounds how many calls are remembered.
const keptCalls = 4096

// Call is one request.
type Call struct {
	Method    string // LIST for a list, however it was asked for
	Path      string // without /v1/
	Namespace string
	Status    int
}

// Server is the fake, a [http.Handler]. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	faults  fault.Queue
	handler http.Handler

	mu         sync.Mutex
	state      State
	lose       int                   // that many replies are lost after the work is done
	namespaces map[string]*namespace // path without slashes around it, "" the root → what it holds
	tokens     map[string]*token     // value → token
	serial     int                   // of the next thing that needs a name
	plainLists bool                  // lists know no pages
	calls      []Call

	// Of a cluster; see [Server.AddStandby].
	address     string    // of this node, the active one; empty: there is no cluster
	activeSince time.Time // when it became active
	noQuorum    bool
	writes      int // that were made so far
}

// namespace holds what belongs to one namespace.
type namespace struct {
	engines  map[string]*engine           // mount path → key-value engine
	policies map[string]Policy            // name → policy
	roles    map[string]*AppRole          // role id → role
	accounts map[string]map[string]string // Kubernetes role → JWT → policy
	lives    map[string]Life              // Kubernetes role → life of its tokens
}

// New makes a fake with a root token, the root namespace, and an engine at secret/ in it. now tells the time; nil: [time.Now].
func New(now func() time.Time, rootToken string) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{now: now, state: Active, namespaces: map[string]*namespace{}, tokens: map[string]*token{}}
	s.AddNamespace("")
	s.tokens[rootToken] = &token{value: rootToken, policies: []string{"root"}, created: now()}
	throttled := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveRateLimited(w, trim(r.URL.Path)) })
	s.handler = fault.Wrap(&s.faults, contentType, throttled, http.HandlerFunc(s.serve))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Faults says how the next calls go wrong.
func (s *Server) Faults() *fault.Queue { return &s.faults }

// LoseReplies makes the next n calls do their work and then cut the connection before the answer.
func (s *Server) LoseReplies(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// SetState changes what the server is able to do.
func (s *Server) SetState(state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// ListWithoutPages makes lists answer with everything, as HashiCorp Vault does: it knows neither after nor limit.
func (s *Server) ListWithoutPages() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plainLists = true
}

// AddNamespace makes a namespace, such as team/a, with an engine at secret/.
func (s *Server) AddNamespace(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespaces[path] = &namespace{
		engines: map[string]*engine{"secret": newEngine()}, policies: map[string]Policy{}, roles: map[string]*AppRole{},
		accounts: map[string]map[string]string{}, lives: map[string]Life{},
	}
}

// AddEngine mounts another key-value engine of version 2 in a namespace.
func (s *Server) AddEngine(namespace, mount string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespaces[namespace].engines[mount] = newEngine()
}

// RemoveEngine unmounts an engine, with all it holds.
func (s *Server) RemoveEngine(namespace, mount string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.namespaces[namespace].engines, mount)
}

// Calls returns what was asked lately, in order. Faults are not among them.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Forget clears what [Server.Calls] returns.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// serve answers one call.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	x := newExchange(r)
	s.mu.Lock()
	reply := s.answer(x)
	if x.method != http.MethodGet && x.method != "LIST" && !strings.HasPrefix(x.path, "sys/") {
		s.writes++
	}
	lost := s.lose > 0
	if lost {
		s.lose--
	}
	s.note(x, reply)
	s.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // net/http's word for "cut the connection"
	}
	reply.write(w)
}

// newExchange reads a request.
func newExchange(r *http.Request) *exchange {
	x := &exchange{request: r, method: r.Method, path: trim(r.URL.Path), namespace: strings.Trim(r.Header.Get("X-Vault-Namespace"), "/")}
	if x.method == http.MethodPut {
		x.method = http.MethodPost // OpenBao takes both for the same.
	}
	if r.Method == http.MethodGet && r.URL.Query().Get("list") == "true" {
		x.method = "LIST"
	}
	return x
}

// note remembers a call. The caller holds the lock.
func (s *Server) note(x *exchange, r reply) {
	if len(s.calls) == keptCalls {
		s.calls = append(s.calls[:0], s.calls[keptCalls/2:]...)
	}
	s.calls = append(s.calls, Call{x.method, x.path, x.namespace, r.status})
}

// trim takes the version of the API off a path.
func trim(path string) string { return strings.TrimPrefix(path, "/v1/") }

// answer finds the answer to one call, in the order in which the real server looks at things: state, namespace, path without a token, token, policy.
func (s *Server) answer(x *exchange) reply {
	switch x.path {
	case "sys/health":
		return s.health(x)
	case "sys/leader":
		return s.leader(true)
	}
	if s.noQuorum {
		return failure(http.StatusInternalServerError, "local node not active but active cluster node not found")
	}
	if refusal := s.refuse(x); refusal.status != 0 {
		return refusal
	}
	ns, found := s.namespaces[x.namespace]
	if !found {
		return failure(http.StatusNotFound, "namespace not found")
	}
	switch x.path {
	case "auth/approle/login":
		return s.loginAppRole(x, ns)
	case "auth/kubernetes/login":
		return s.loginKubernetes(x, ns)
	}
	t := s.caller(x)
	if t == nil {
		return failure(http.StatusForbidden, "permission denied")
	}
	if reply := s.serveToken(x, t); reply.status != 0 {
		return reply
	}
	return s.serveEngine(x, ns, t)
}
