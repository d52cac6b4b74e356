package cloudflare

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
)

// The statuses of a token.
const (
	Active   = "active"
	Disabled = "disabled"
	Expired  = "expired"
)

const contentType = "application/json"

// Token is an API token.
type Token struct {
	Value     string
	ID        string    // 32 hexadecimal digits
	AccountID string    // of the account that owns it; empty: a user's token
	Status    string    // empty: active
	NotBefore time.Time // zero: since ever
	ExpiresOn time.Time // zero: never
	Elsewhere bool      // restricted to other addresses than the caller's
	Fresh     int       // calls for which the token is not known yet
}

// Call is one request, successful or not.
type Call struct {
	Path    string
	TokenID string // empty: unknown token
	Code    int    // of the error it was answered with; 0: success
}

// Server is the fake, a [http.Handler] under /client/v4. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	faults  fault.Queue
	handler http.Handler

	mu     sync.Mutex
	tokens map[string]Token // :: value → token
	calls  []Call
}

// New makes a fake without tokens. now tells the time; nil: [time.Now].
func New(now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{now: now, tokens: map[string]Token{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /client/v4/user/tokens/verify", s.serveVerify)
	mux.HandleFunc("GET /client/v4/accounts/{account}/tokens/verify", s.serveVerify)
	throttled := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		s.fail(w, http.StatusTooManyRequests, 10429, "Rate limited. Please wait and consider throttling your request speed")
	})
	s.handler = fault.Wrap(&s.faults, contentType, throttled, mux)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Faults says how the next calls go wrong.
func (s *Server) Faults() *fault.Queue { return &s.faults }

// AddToken adds or replaces a token.
func (s *Server) AddToken(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Status == "" {
		t.Status = Active
	}
	s.tokens[t.Value] = t
}

// SetStatus changes a token's status.
func (s *Server) SetStatus(value, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tokens[value]; ok {
		t.Status = status
		s.tokens[value] = t
	}
}

// DeleteToken removes a token.
func (s *Server) DeleteToken(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, value)
}

// Calls returns what was asked so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// serveVerify answers about the token in the Authorization header, if this endpoint is the one of its owner.
func (s *Server) serveVerify(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{Path: r.URL.Path}
	defer func() { s.calls = append(s.calls, call) }()
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || value == "" || strings.ContainsAny(value, " \t") {
		call.Code = 6003
		s.fail(w, http.StatusBadRequest, call.Code, "Invalid request headers")
		return
	}
	token, ok := s.tokens[value]
	if !ok || token.AccountID != r.PathValue("account") {
		call.Code = 1000
		s.fail(w, http.StatusUnauthorized, call.Code, "Invalid API Token")
		return
	}
	if token.Fresh > 0 {
		token.Fresh--
		s.tokens[value] = token
		call.Code = 1000
		s.fail(w, http.StatusUnauthorized, call.Code, "Invalid API Token")
		return
	}
	call.TokenID = token.ID
	if token.Elsewhere {
		call.Code = 9109
		s.fail(w, http.StatusForbidden, call.Code, "Cannot use the access token from location: 203.0.113.7")
		return
	}
	result := map[string]any{"id": token.ID, "status": s.status(token)}
	if !token.NotBefore.IsZero() {
		result["not_before"] = token.NotBefore.UTC().Format(time.RFC3339)
	}
	if !token.ExpiresOn.IsZero() {
		result["expires_on"] = token.ExpiresOn.UTC().Format(time.RFC3339)
	}
	s.write(w, http.StatusOK, map[string]any{
		"result": result, "success": true, "errors": []any{},
		"messages": []any{map[string]any{"code": 10000, "message": "This API Token is valid and active", "type": nil}},
	})
}

// status turns an active token into an expired one when its time has come.
func (s *Server) status(token Token) string {
	if token.Status == Active && !token.ExpiresOn.IsZero() && !s.now().Before(token.ExpiresOn) {
		return Expired
	}
	return token.Status
}

func (s *Server) fail(w http.ResponseWriter, status, code int, message string) {
	s.write(w, status, map[string]any{
		"success": false, "errors": []any{map[string]any{"code": code, "message": message}}, "messages": []any{}, "result": nil,
	})
}

func (s *Server) write(w http.ResponseWriter, status int, reply map[string]any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(reply) // a reader that is gone needs no answer
}
