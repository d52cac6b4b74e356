package bao

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Life says how long a token lives.
type Life struct {
	TTL     time.Duration // from its making or last renewal; 0: for ever
	Max     time.Duration // from its making; 0: no bound
	NoRenew bool          // it cannot be renewed
}

// Policy says what may be done: path, which may end in *, → capabilities: create, read, update, delete, list. Paths are those of the
// namespace that the policy is in.
type Policy map[string][]string

// token is one token.
type token struct {
	value     string
	namespace string
	policies  []string
	life      Life
	created   time.Time
	expires   time.Time // zero: never
	display   string
}

// AddPolicy adds or replaces a policy of a namespace.
func (s *Server) AddPolicy(namespace, name string, p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespaces[namespace].policies[name] = p
}

// AddToken makes a token with a value of the caller's.
func (s *Server) AddToken(namespace, value string, life Life, policies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addToken(namespace, value, "token", life, policies)
}

// RevokeToken takes a token away.
func (s *Server) RevokeToken(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, value)
}

// Tokens counts the tokens that are alive.
func (s *Server) Tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, t := range s.tokens {
		if t.alive(s.now()) {
			n++
		}
	}
	return n
}

func (s *Server) addToken(namespace, value, display string, life Life, policies []string) *token {
	t := &token{value: value, namespace: namespace, policies: policies, life: life, created: s.now(), display: display}
	t.extend(s.now())
	s.tokens[value] = t
	return t
}

// issue makes a token for somebody who logged in.
func (s *Server) issue(namespace, display string, life Life, policies []string) *token {
	s.serial++
	return s.addToken(namespace, fmt.Sprintf("s.EXAMPLE%017d", s.serial), display, life, policies)
}

// extend gives a token its full life again, as far as its bound lets it.
func (t *token) extend(now time.Time) {
	if t.life.TTL == 0 {
		return
	}
	t.expires = now.Add(t.life.TTL)
	if bound := t.created.Add(t.life.Max); t.life.Max > 0 && bound.Before(t.expires) {
		t.expires = bound
	}
}

// alive reports whether a token is good at a moment.
func (t *token) alive(now time.Time) bool { return t.expires.IsZero() || now.Before(t.expires) }

// left is what a token has to live, in seconds; 0: for ever.
func (t *token) left(now time.Time) int64 {
	if t.expires.IsZero() {
		return 0
	}
	return int64(t.expires.Sub(now) / time.Second)
}

// caller finds the token of a call: a live one, of the namespace or one above it.
func (s *Server) caller(x *exchange) *token {
	value := x.request.Header.Get("X-Vault-Token")
	if value == "" {
		value, _ = strings.CutPrefix(x.request.Header.Get("Authorization"), "Bearer ")
	}
	t := s.tokens[value]
	if t == nil || !t.alive(s.now()) {
		return nil
	}
	if t.namespace != "" && x.namespace != t.namespace && !strings.HasPrefix(x.namespace, t.namespace+"/") {
		return nil
	}
	return t
}

// serveToken answers what a token may ask about itself, which the default policy allows to all.
func (s *Server) serveToken(x *exchange, t *token) reply {
	switch {
	case x.path == "auth/token/lookup-self" && x.method == http.MethodGet:
		return s.success(http.StatusOK, s.describe(t))
	case x.path == "auth/token/renew-self" && x.method == http.MethodPost:
		if t.life.NoRenew || t.expires.IsZero() {
			return failure(http.StatusBadRequest, "lease is not renewable")
		}
		t.extend(s.now())
		return s.envelope(http.StatusOK, nil, s.auth(t))
	case x.path == "auth/token/revoke-self" && x.method == http.MethodPost:
		delete(s.tokens, t.value)
		return done()
	}
	if x.path == "sys/capabilities-self" && x.method == http.MethodPost {
		return s.capabilities(x, t)
	}
	return reply{}
}

// capabilities tells what a token may do with paths, as the default policy lets every token ask.
func (s *Server) capabilities(x *exchange, t *token) reply {
	var asked struct{ Paths []string }
	if refusal := x.body(&asked); refusal.status != 0 {
		return refusal
	}
	told := map[string]any{}
	for _, path := range asked.Paths {
		given := []string{}
		for _, capability := range []string{"create", "delete", "list", "read", "update"} {
			if s.may(t, x.namespace, path, capability) {
				given = append(given, capability)
			}
		}
		switch {
		case slices.Contains(t.policies, "root"):
			given = []string{"root"}
		case len(given) == 0:
			given = []string{"deny"}
		}
		told[path] = given
	}
	return s.success(http.StatusOK, told)
}

// describe is what lookup-self tells.
func (s *Server) describe(t *token) map[string]any {
	var expires any
	if !t.expires.IsZero() {
		expires = stamp(t.expires)
	}
	return map[string]any{
		"accessor": "accessor.EXAMPLE", "creation_time": t.created.Unix(), "creation_ttl": int64(t.life.TTL / time.Second), "display_name": t.display,
		"entity_id": "", "expire_time": expires, "explicit_max_ttl": int64(t.life.Max / time.Second), "id": t.value, "issue_time": stamp(t.created), "meta": nil,
		"num_uses": 0, "orphan": true, "path": "auth/token/create", "policies": t.policies, "renewable": t.renewable(), "ttl": t.left(s.now()), "type": "service",
	}
}

// auth is what a login or a renewal answers.
func (s *Server) auth(t *token) map[string]any {
	return map[string]any{
		"client_token": t.value, "accessor": "accessor.EXAMPLE", "policies": t.policies, "token_policies": t.policies, "metadata": nil,
		"lease_duration": t.left(s.now()), "renewable": t.renewable(), "entity_id": "", "token_type": "service", "orphan": true, "mfa_requirement": nil, "num_uses": 0,
	}
}

func (t *token) renewable() bool { return !t.life.NoRenew && !t.expires.IsZero() }

// may reports whether a token's policies allow something at a path of a namespace.
func (s *Server) may(t *token, namespace, path, capability string) bool {
	if slices.Contains(t.policies, "root") {
		return true
	}
	full := path
	if namespace != t.namespace {
		full = strings.TrimPrefix(strings.TrimPrefix(namespace, t.namespace), "/") + "/" + path
	}
	for _, name := range t.policies {
		for pattern, capabilities := range s.namespaces[t.namespace].policies[name] {
			prefix, open := strings.CutSuffix(pattern, "*")
			if (pattern == full || open && strings.HasPrefix(full, prefix)) && slices.Contains(capabilities, capability) {
				return true
			}
		}
	}
	return false
}

// RevokeTokens takes all tokens away, those with the root policy excepted.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, t := range s.tokens {
		if !slices.Contains(t.policies, "root") {
			delete(s.tokens, value)
		}
	}
}
