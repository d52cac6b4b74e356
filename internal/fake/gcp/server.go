package gcp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
)

// TokenURL is the audience that assertions must name, besides the fake's own URL.
const TokenURL = "https://oauth2.googleapis.com/token"

// Account is a service account with one key.
type Account struct {
	Email     string
	ProjectID string
	KeyID     string
	PublicKey *rsa.PublicKey
}

// Call is one request, successful or not.
type Call struct {
	Path  string
	Email string // of the account that the assertion or token names, if it was understood
	Scope string // that was asked for
	Code  string // of the error it was answered with; empty: success
}

// Server is the fake, a [http.Handler] for /token and /tokeninfo. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	faults  fault.Queue
	handler http.Handler

	mu       sync.Mutex
	accounts map[string]*account // :: e-mail → account
	tokens   map[string]issued   // :: access token → whose it is
	calls    []Call
}

type account struct {
	Account
	disabled    bool
	keyDisabled bool
	fresh       int // calls for which the key is not known yet
}

type issued struct {
	email   string
	scope   string
	expires time.Time
}

// New makes a fake without accounts. now tells the time; nil: [time.Now].
func New(now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{now: now, accounts: map[string]*account{}, tokens: map[string]issued{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.serveToken)
	mux.HandleFunc("/tokeninfo", s.serveTokenInfo)
	throttled := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		s.write(w, http.StatusTooManyRequests, map[string]any{
			"error": map[string]any{"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"},
		})
	})
	s.handler = fault.Wrap(&s.faults, contentType, throttled, mux)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Faults says how the next calls go wrong.
func (s *Server) Faults() *fault.Queue { return &s.faults }

// AddAccount adds or replaces an account.
func (s *Server) AddAccount(a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[a.Email] = &account{Account: a}
}

// CreateAccount makes an account with a new key, and returns the key file that Google would hand out.
func (s *Server) CreateAccount(name, projectID string) (keyFile []byte, err error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making RSA key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encoding RSA key: %w", err)
	}
	id := make([]byte, 20)
	rand.Read(id) // never fails, says crypto/rand
	a := Account{
		Email: name + "@" + projectID + ".iam.gserviceaccount.com", ProjectID: projectID, KeyID: hex.EncodeToString(id), PublicKey: &private.PublicKey,
	}
	s.AddAccount(a)
	return json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     a.ProjectID,
		"private_key_id": a.KeyID,
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":   a.Email,
		"client_id":      "100000000000000000001",
		"auth_uri":       "https://accounts.google.com/o/oauth2/auth",
		"token_uri":      TokenURL,
	}, "", "  ")
}

// SetDisabled disables or enables an account.
func (s *Server) SetDisabled(email string, disabled bool) {
	s.change(email, func(a *account) { a.disabled = disabled })
}

// SetKeyDisabled disables or enables the account's key.
func (s *Server) SetKeyDisabled(email string, disabled bool) {
	s.change(email, func(a *account) { a.keyDisabled = disabled })
}

// SetFresh makes the account's key unknown for its next calls, as new keys are for some seconds.
func (s *Server) SetFresh(email string, calls int) {
	s.change(email, func(a *account) { a.fresh = calls })
}

// SetShownAs makes the tokens of one account appear to be another's, which Google never does.
func (s *Server) SetShownAs(email, shownAs string) {
	s.change(email, func(a *account) { a.Email = shownAs })
}

// DeleteAccount removes an account.
func (s *Server) DeleteAccount(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accounts, email)
}

// Calls returns what was asked so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *Server) change(email string, edit func(*account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts[email]; ok {
		edit(a)
	}
}
