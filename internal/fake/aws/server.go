package aws

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
)

// User is an IAM user with one access key.
type User struct {
	Account         string // 12 digits
	Name            string
	AccessKeyID     string
	SecretAccessKey string
}

// ARN returns the user's ARN.
func (u User) ARN() string { return "arn:aws:iam::" + u.Account + ":user/" + u.Name }

// Role is an IAM role.
type Role struct {
	ARN string
	// Trusted lists who may assume it: account ids (anyone in that account), ARNs of users, or ARNs of roles.
	Trusted []string
	// ExternalID is what callers must send; empty: the trust policy does not ask for one.
	ExternalID string
	// MaxSession is the longest session; 0: an hour.
	MaxSession time.Duration
	// WebIdentityToken is the one token that AssumeRoleWithWebIdentity accepts; empty: none.
	WebIdentityToken string
}

// Call is one request that the fake understood, successful or not.
type Call struct {
	Action      string
	AccessKeyID string // empty if unsigned
	Region      string // that the signature is for
	Params      url.Values
	Code        string // of the error it was answered with; empty: success
}

// Server is the fake, a [http.Handler]. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	faults  fault.Queue
	handler http.Handler

	mu       sync.Mutex
	keys     map[string]*key // :: access key id → key
	roles    map[string]Role // :: ARN → role
	disabled map[string]bool // :: region → STS is switched off there
	unknown  map[string]bool // :: action → it is not known

	denials    map[string]int  // :: role ARN → calls that it still denies
	notEnabled map[string]bool // :: region → the account has not enabled it
	calls      []Call
}

// key is a long-term or temporary key and whom it stands for.
type key struct {
	secret   string
	token    string    // of a session; empty: long-term
	expires  time.Time // zero: never
	account  string
	arn      string
	userID   string
	inactive bool
	fresh    int // calls for which the key is not known yet
}

// New makes a fake without users and roles. now tells the time; nil: [time.Now].
func New(now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{now: now, keys: map[string]*key{}, roles: map[string]Role{}, disabled: map[string]bool{}, unknown: map[string]bool{}, denials: map[string]int{}, notEnabled: map[string]bool{}}
	throttled := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.writeError(w, &stsError{http.StatusBadRequest, "Throttling", "Rate exceeded"})
	})
	s.handler = fault.Wrap(&s.faults, "text/xml", throttled, http.HandlerFunc(s.serve))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Faults says how the next calls go wrong.
func (s *Server) Faults() *fault.Queue { return &s.faults }

// Forget makes an action unknown, as in servers that know a part of STS only.
func (s *Server) Forget(action string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown[action] = true
}

// AddUser adds or replaces a user's key.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[u.AccessKeyID] = &key{secret: u.SecretAccessKey, account: u.Account, arn: u.ARN(), userID: "AIDA" + strings.ToUpper(u.Name) + "EXAMPLE"}
}

// AddRole adds or replaces a role.
func (s *Server) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
}

// DeleteRole removes a role; its sessions live on, as they do at AWS.
func (s *Server) DeleteRole(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.roles, arn)
}

// SetActive switches a key off or on.
func (s *Server) SetActive(accessKeyID string, active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[accessKeyID]; ok {
		k.inactive = !active
	}
}

// DeleteKey removes a key.
func (s *Server) DeleteKey(accessKeyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, accessKeyID)
}

// SetFresh makes a key unknown for its next calls, as new keys are for some seconds.
func (s *Server) SetFresh(accessKeyID string, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[accessKeyID]; ok {
		k.fresh = calls
	}
}

// SetRoleFresh makes a role deny its next calls, as it does for some seconds after its trust policy has changed.
func (s *Server) SetRoleFresh(arn string, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denials[arn] = calls
}

// SetNotEnabled makes a region one that the account has not enabled: it knows none of its keys.
func (s *Server) SetNotEnabled(region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notEnabled[region] = true
}

// DisableRegion switches STS off in a region.
func (s *Server) DisableRegion(region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled[region] = true
}

// Calls returns what was asked so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// newSession makes temporary keys. The caller holds the lock.
func (s *Server) newSession(account, arn, userID string, life time.Duration) (id string, k *key) {
	id = "ASIA" + random(10)
	k = &key{
		secret: random(20) + "EXAMPLE1", token: "FakeSession/" + random(60) + "EXAMPLE==",
		expires: s.now().Add(life).UTC().Truncate(time.Second), account: account, arn: arn, userID: userID,
	}
	s.keys[id] = k
	return id, k
}

// random returns n random bytes as capital letters and digits; 10 bytes are 16 characters.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails, says crypto/rand
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}

// requestID looks like AWS's.
func requestID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
