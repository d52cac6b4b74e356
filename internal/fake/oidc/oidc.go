// Package oidc is a fake of an OpenID Connect provider that behaves: it signs ID tokens (RS256), hands each code out once, checks the client, the redirect address and PKCE
// (RFC 6749, RFC 7636), rotates its keys, and can be told to lie in every way that a client must notice. Only tests import it.
package oidc

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Client is the registration of a client.
type Client struct {
	ID, Secret  string // an empty secret: a public client
	RedirectURL string
}

// Server is a provider at which one person is always logged in. It is safe for concurrent use.
type Server struct {
	client Client
	now    func() time.Time
	mux    *http.ServeMux

	mu     sync.Mutex
	issuer string
	key    *rsa.PrivateKey
	keyID  string
	old    *rsa.PrivateKey // the one before, still published
	oldID  string
	person map[string]any // claims of who is logged in
	hidden []string       // claims that only the user info endpoint tells
	lie    func(claims map[string]any)
	sign   func(signed string) string // replaces the signature, if not nil
	down   bool
	deny   string // the error that the authorization endpoint answers with
	codes  map[string]grant
	tokens map[string]bool
}

// grant is what a code stands for.
type grant struct {
	nonce, challenge, redirect string
	authTime                   time.Time
}

// New makes a provider. A nil clock is the system's.
func New(c Client, now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{
		client: c, now: now, mux: http.NewServeMux(), codes: map[string]grant{}, tokens: map[string]bool{},
		person: map[string]any{"sub": "248289761001"},
	}
	s.RotateKey()
	s.mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	s.mux.HandleFunc("GET /keys", s.keys)
	s.mux.HandleFunc("GET /authorize", s.authorize)
	s.mux.HandleFunc("POST /token", s.token)
	s.mux.HandleFunc("GET /userinfo", s.userInfo)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		http.Error(w, "out of order", http.StatusBadGateway)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// set changes the provider.
func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// At says where the provider is reached, which is its issuer.
func (s *Server) At(address string) { s.set(func() { s.issuer = address }) }

// LogIn has a person with these claims be there; sub is required.
func (s *Server) LogIn(claims map[string]any) { s.set(func() { s.person = claims }) }

// Hide keeps claims out of the ID token: only the user info endpoint tells them.
func (s *Server) Hide(claims ...string) { s.set(func() { s.hidden = claims }) }

// Lie changes the claims of every ID token before it is signed; nil ends that.
func (s *Server) Lie(lie func(claims map[string]any)) { s.set(func() { s.lie = lie }) }

// SignWith has the third part of ID tokens be made by another: of the first two, joined with a dot. nil ends that.
func (s *Server) SignWith(sign func(signed string) string) { s.set(func() { s.sign = sign }) }

// Deny has the authorization endpoint answer with an error; empty ends that.
func (s *Server) Deny(code string) { s.set(func() { s.deny = code }) }

// SetDown has every request fail, or none.
func (s *Server) SetDown(down bool) { s.set(func() { s.down = down }) }

// RotateKey makes a new key to sign with. The one before stays published.
func (s *Server) RotateKey() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // The system's source of randomness failed.
	}
	s.set(func() { s.old, s.oldID, s.key, s.keyID = s.key, s.keyID, key, rand.Text() })
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	write(w, map[string]any{
		"issuer": s.issuer, "authorization_endpoint": s.issuer + "/authorize", "token_endpoint": s.issuer + "/token", "userinfo_endpoint": s.issuer + "/userinfo",
		"jwks_uri": s.issuer + "/keys", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (s *Server) keys(w http.ResponseWriter, _ *http.Request) {
	published := []map[string]string{publish(s.key, s.keyID)}
	if s.old != nil {
		published = append(published, publish(s.old, s.oldID))
	}
	write(w, map[string]any{"keys": published})
}

// publish is a key as RFC 7517 has it.
func publish(key *rsa.PrivateKey, id string) map[string]string {
	return map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}
}

// authorize is where a browser comes: the person is logged in already, and sent back at once.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != s.client.ID || q.Get("redirect_uri") != s.client.RedirectURL {
		http.Error(w, "unknown client or redirect address", http.StatusBadRequest) // never redirected: RFC 6749, section 4.1.2.1
		return
	}
	answer := url.Values{"state": {q.Get("state")}, "iss": {s.issuer}}
	switch {
	case s.deny != "":
		answer.Set("error", s.deny)
	case q.Get("response_type") != "code" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") || q.Get("code_challenge_method") != "S256":
		answer.Set("error", "invalid_request")
	default:
		authTime := s.now().Add(-time.Hour) // They logged in some time ago,
		if q.Get("prompt") == "login" {
			authTime = s.now() // and do it again when asked to.
		}
		code := rand.Text()
		s.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), authTime}
		answer.Set("code", code)
	}
	http.Redirect(w, r, s.client.RedirectURL+"?"+answer.Encode(), http.StatusSeeOther)
}

// token exchanges a code, once.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != s.client.ID || secret != s.client.Secret {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	code := r.PostFormValue("code")
	g, known := s.codes[code]
	delete(s.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != g.redirect ||
		subtle.ConstantTimeCompare([]byte(encode(sum[:])), []byte(g.challenge)) != 1 {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	access := rand.Text()
	s.tokens[access] = true
	write(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": s.idToken(g)})
}

// idToken signs who is there.
func (s *Server) idToken(g grant) string {
	claims := map[string]any{
		"iss": s.issuer, "aud": s.client.ID, "iat": s.now().Unix(), "exp": s.now().Add(5 * time.Minute).Unix(), "auth_time": g.authTime.Unix(), "nonce": g.nonce,
	}
	for name, value := range s.person {
		if !slices.Contains(s.hidden, name) {
			claims[name] = value
		}
	}
	if s.lie != nil {
		s.lie(claims)
	}
	head, _ := json.Marshal(map[string]string{"alg": "RS256", "kid": s.keyID, "typ": "JWT"}) // Strings cannot fail.
	body, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	signed := encode(head) + "." + encode(body)
	if s.sign != nil {
		return signed + "." + s.sign(signed)
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return ""
	}
	return signed + "." + encode(signature)
}

// userInfo tells all claims to whoever has a token.
func (s *Server) userInfo(w http.ResponseWriter, r *http.Request) {
	token, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !is || !s.tokens[token] {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	write(w, s.person)
}

// refuse answers as RFC 6749, section 5.2 says.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q,"error_description":"refused"}`, code)
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // A client that has gone needs no answer.
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
