package bao

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// maxEntry is the most that the storage takes as one value (raft's max_entry_size), in bytes.
const maxEntry = 1 << 20

// engine is a key-value engine of version 2.
type engine struct {
	entries map[string]*entry // path → entry
}

// entry is what a path holds.
type entry struct {
	created, updated time.Time
	current          int // the newest version; 0: none yet
	maxVersions      int // 0: as many as the engine keeps, which is 10
	versions         map[int]*version
}

// version is one version of an entry.
type version struct {
	data      json.RawMessage // nil: destroyed
	created   time.Time
	deleted   time.Time // zero: not deleted
	destroyed bool
}

func newEngine() *engine { return &engine{entries: map[string]*entry{}} }

// Stored returns the data of the newest version under a path of an engine, deleted or not. It is false if there is none.
func (s *Server) Stored(namespace, mount, path string) (json.RawMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.namespaces[namespace].engines[mount].entries[path]
	if e == nil || e.versions[e.current] == nil {
		return nil, false
	}
	return e.versions[e.current].data, true
}

// Tamper replaces the data of the newest version under a path, as somebody who may write to the storage would.
func (s *Server) Tamper(namespace, mount, path string, data json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.namespaces[namespace].engines[mount].entries[path]
	e.versions[e.current].data = data
}

// Versions returns which versions of a path still have their data, in no order.
func (s *Server) Versions(namespace, mount, path string) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := []int{}
	if e := s.namespaces[namespace].engines[mount].entries[path]; e != nil {
		for number, v := range e.versions {
			if v.data != nil {
				kept = append(kept, number)
			}
		}
	}
	return kept
}

// serveEngine finds the engine of a path, the longest mount first, and what is asked of it.
func (s *Server) serveEngine(x *exchange, ns *namespace, t *token) reply {
	if mount, found := strings.CutPrefix(x.path, "sys/internal/ui/mounts/"); found {
		return s.serveMount(x, ns, t, strings.Trim(mount, "/"))
	}
	var at *engine
	mount := ""
	for path, e := range ns.engines {
		if strings.HasPrefix(x.path, path+"/") && len(path) >= len(mount) {
			mount, at = path, e
		}
	}
	if at == nil {
		if !s.may(t, x.namespace, x.path, "read") && !s.may(t, x.namespace, x.path, "update") {
			return denied()
		}
		return failure(http.StatusNotFound, "no handler for route "+quoted(x.path)+". route entry not found.")
	}
	operation, path, _ := strings.Cut(strings.TrimPrefix(x.path, mount+"/"), "/")
	if path == "" && operation != "config" && x.method != "LIST" {
		return failure(http.StatusNotFound, "unsupported path")
	}
	capability := at.capability(x.method, operation, path)
	if !s.may(t, x.namespace, x.path, capability) {
		return denied()
	}
	return s.operate(x, at, operation+" "+x.method, path)
}

// capability is what a policy must allow for a call.
func (e *engine) capability(method, operation, path string) string {
	switch method {
	case http.MethodGet:
		return "read"
	case "LIST":
		return "list"
	case http.MethodDelete:
		return "delete"
	}
	if _, exists := e.entries[path]; operation == "data" && !exists {
		return "create"
	}
	return "update"
}

// serveMount tells whoever may see anything of an engine what it is.
func (s *Server) serveMount(x *exchange, ns *namespace, t *token, mount string) reply {
	if ns.engines[mount] == nil || !s.seesAny(t, x.namespace, mount) {
		return failure(http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path "+quoted(mount+"/"))
	}
	return s.success(http.StatusOK, map[string]any{
		"accessor": "kv_EXAMPLE", "description": "", "local": false, "options": map[string]string{"version": "2"}, "path": mount + "/",
		"config": map[string]any{"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false}, "type": "kv", "uuid": "EXAMPLE",
	})
}

// seesAny reports whether a token's policies name anything below a mount.
func (s *Server) seesAny(t *token, namespace, mount string) bool {
	if s.may(t, namespace, mount+"/", "read") {
		return true
	}
	for _, name := range t.policies {
		for pattern := range s.namespaces[t.namespace].policies[name] {
			if strings.Contains(pattern, mount+"/") {
				return true
			}
		}
	}
	return false
}

// operate does what is asked of an engine.
func (s *Server) operate(x *exchange, e *engine, call, path string) reply {
	switch call {
	case "data GET":
		return s.readData(x, e, path)
	case "data POST":
		return s.writeData(x, e, path)
	case "data DELETE":
		e.softDelete(path, nil, s.now())
		return done()
	case "delete POST", "undelete POST", "destroy POST":
		return s.changeVersions(x, e, strings.TrimSuffix(call, " POST"), path)
	case "metadata GET":
		return s.readMetadata(e, path)
	case "metadata POST":
		return s.writeMetadata(x, e, path)
	case "metadata LIST":
		return s.list(x, e, path)
	case "metadata DELETE":
		delete(e.entries, path)
		return done()
	case "config GET":
		return s.success(http.StatusOK, map[string]any{"cas_required": false, "delete_version_after": "0s", "max_versions": 0})
	}
	return failure(http.StatusMethodNotAllowed, "unsupported operation")
}

// Everything returns the data of all versions in an engine, in no order.
func (s *Server) Everything(namespace, mount string) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []json.RawMessage{}
	for _, e := range s.namespaces[namespace].engines[mount].entries {
		for _, v := range e.versions {
			all = append(all, v.data)
		}
	}
	return all
}
