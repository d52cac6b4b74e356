package bao

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// Node is a standby of a server, as OpenBao has them since 2.5: it answers reads itself, from a copy of
// what the active node held some time ago, and passes everything else on. It is a [http.Handler].
type Node struct {
	active *Server

	// Guarded by the active server's lock.
	view  view
	lag   int // reads after a write that still see the copy from before it
	left  int // of them
	heard int // writes of the active node that the node has been told of
	seen  int // those that its copy holds
}

// view is what a node holds.
type view struct {
	namespaces map[string]*namespace
	tokens     map[string]*token
}

// AddStandby adds a standby to the server, which becomes the active node of a cluster and is reached at
// address. After a write the next lag reads at the standby still see the state before it.
func (s *Server) AddStandby(address string, lag int) *Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address == "" {
		s.address, s.activeSince = address, s.now().UTC().Truncate(time.Second)
	}
	n := &Node{active: s, lag: lag}
	n.catchUp()
	return n
}

// LoseQuorum takes the cluster its active node: standbys go on to read, and nobody writes.
func (s *Server) LoseQuorum(lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noQuorum = lost
}

// Reelect makes the active node one that has become active just now.
func (s *Server) Reelect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activeSince = s.activeSince.Add(time.Second)
}

// catchUp copies what the active node holds. The caller holds the lock.
func (n *Node) catchUp() {
	n.view = view{namespaces: map[string]*namespace{}, tokens: maps.Clone(n.active.tokens)}
	for path, ns := range n.active.namespaces {
		copied := *ns
		copied.engines = map[string]*engine{}
		for mount, e := range ns.engines {
			copied.engines[mount] = e.clone()
		}
		n.view.namespaces[path] = &copied
	}
	n.seen, n.heard = n.active.writes, n.active.writes
}

// clone copies an engine with all that it holds.
func (e *engine) clone() *engine {
	copied := newEngine()
	for path, entry := range e.entries {
		other := *entry
		other.versions = map[int]*version{}
		for number, v := range entry.versions {
			version := *v
			other.versions[number] = &version
		}
		copied.entries[path] = &other
	}
	return copied
}

// ServeHTTP implements [http.Handler].
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := trim(r.URL.Path)
	switch {
	case path == "sys/leader":
		n.active.mu.Lock()
		reply := n.active.leader(false)
		n.active.mu.Unlock()
		reply.write(w)
	case path == "sys/health":
		n.active.mu.Lock()
		reply := n.active.healthOf(Standby)
		n.active.mu.Unlock()
		reply.write(w)
	case r.Method == http.MethodGet && !strings.HasPrefix(path, "auth/"), r.Method == http.MethodDelete && n.unseen(path):
		n.read(w, r)
	default:
		n.active.ServeHTTP(w, r)
	}
}

// unseen reports whether the copy lacks the record that a deletion is of. The node then reads that there is nothing to do, and passes
// nothing on: OpenBao 2.6 does so.
func (n *Node) unseen(path string) bool {
	n.active.mu.Lock()
	defer n.active.mu.Unlock()
	for _, ns := range n.view.namespaces {
		for mount, e := range ns.engines {
			if below, of := strings.CutPrefix(path, mount+"/metadata/"); of && e.entries[below] != nil {
				return false
			}
		}
	}
	return true
}

// read answers from the copy.
func (n *Node) read(w http.ResponseWriter, r *http.Request) {
	s := n.active
	x := newExchange(r)
	s.mu.Lock()
	if n.heard != s.writes {
		n.heard, n.left = s.writes, n.lag
	}
	switch {
	case n.seen == s.writes:
	case n.left > 0:
		n.left--
	default:
		n.catchUp()
	}
	now := view{s.namespaces, s.tokens}
	s.namespaces, s.tokens = n.view.namespaces, n.view.tokens
	quorum := s.noQuorum
	s.noQuorum = false // A standby reads without one.
	reply := s.answer(x)
	s.noQuorum = quorum
	s.namespaces, s.tokens = now.namespaces, now.tokens
	s.note(x, reply)
	s.mu.Unlock()
	reply.write(w)
}

// leader is the answer of sys/leader. The caller holds the lock.
func (s *Server) leader(self bool) reply {
	body := map[string]any{"ha_enabled": s.address != "", "is_self": false, "leader_address": "", "leader_cluster_address": "", "performance_standby": false}
	if s.address != "" && !s.noQuorum {
		body["leader_address"], body["is_self"] = s.address, self
		if self {
			body["active_time"] = s.activeSince.Format(time.RFC3339Nano)
		}
	}
	return reply{status: http.StatusOK, body: body}
}
