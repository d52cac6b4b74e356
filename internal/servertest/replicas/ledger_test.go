//go:build unix

package replicas_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// ledger is between the clients and the proxy. It gives every request an id, under which the audit trail must know it, and holds each answer against what was
// answered before the request began: revisions and secret versions only grow, and none is given twice.
type ledger struct {
	t    *testing.T
	next http.RoundTripper

	mu       sync.Mutex
	works    map[string]*work  // request id → what it is an attempt at
	wanted   map[string]*work  // Idempotency-Key → the same
	versions map[string]int64  // object → the newest revision or secret version that was answered
	makers   map[string]string // object and revision → the work that made it
}

// work is what a client wants once, in however many attempts: all requests with one Idempotency-Key, or a single one.
type work struct {
	id, what     string
	changes      bool   // it is no mere look
	floor        int64  // the newest revision of its object that was answered before it began
	acknowledged bool   // one of its attempts was
	object       string // of the audit record; empty: whatever
	records      int    // in the audit trail
}

func newLedger(t *testing.T) *ledger {
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.MaxIdleConnsPerHost = 64
	t.Cleanup(next.CloseIdleConnections)
	return &ledger{t: t, next: next, works: map[string]*work{}, wanted: map[string]*work{}, versions: map[string]int64{}, makers: map[string]string{}}
}

// client makes a client whose requests are noted.
func (l *ledger) client(address, key string) (*sdk.Client, error) {
	return sdk.New(address, key, sdk.WithHTTPClient(&http.Client{Transport: l}))
}

// idempotencyKey in a context is the key of what the client makes with it.
type idempotencyKey struct{}

// RoundTrip implements [http.RoundTripper].
func (l *ledger) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	id := rand.Text()
	r.Header.Set("X-Request-Id", id)
	if key, given := r.Context().Value(idempotencyKey{}).(string); given {
		r.Header.Set("Idempotency-Key", key)
	}
	w := l.begin(r, id)
	reply, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(reply.Body)
	_ = reply.Body.Close()
	if err != nil {
		return nil, err
	}
	reply.Body = io.NopCloser(bytes.NewReader(body))
	if reply.StatusCode < 300 {
		l.end(w, r, reply.Header, body)
	}
	return reply, nil
}

// begin notes an attempt.
func (l *ledger) begin(r *http.Request, id string) *work {
	key := r.Header.Get("Idempotency-Key")
	object, _ := objectOf(r, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.wanted[key]
	if key == "" || w == nil {
		w = &work{id: id, what: r.Method + " " + r.URL.Path, changes: r.Method != http.MethodGet, floor: l.versions[object]}
	}
	if key != "" {
		l.wanted[key] = w
	}
	l.works[id] = w
	return w
}

// end notes an answer that acknowledges.
func (l *ledger) end(w *work, r *http.Request, header http.Header, body []byte) {
	object, version := objectOf(r, body)
	l.mu.Lock()
	defer l.mu.Unlock()
	w.acknowledged = true
	w.object, _, _ = strings.Cut(object, "/")
	if version == 0 {
		return
	}
	if tag := header.Get("Etag"); tag != "" && tag != fmt.Sprintf("%q", fmt.Sprint(version)) {
		l.t.Errorf("%s: the ETag is %s, the revision %d", w.what, tag, version)
	}
	made := fmt.Sprint(object, " ", version)
	switch maker := l.makers[made]; {
	case version < w.floor || w.changes && version == w.floor:
		l.t.Errorf("%s: it is at revision %d, after it was at %d", w.what, version, w.floor)
	case w.changes && maker != "" && maker != w.id:
		l.t.Errorf("%s: revision %d was given twice", w.what, version)
	case w.changes:
		l.makers[made] = w.id
	}
	l.versions[object] = max(l.versions[object], version)
}

// kinds are the collections whose objects the audit trail names.
var kinds = []string{"projects", "workspaces", "credential-configs", "api-keys"}

// objectOf names what a request is about, and the revision that an answer gives it; 0: none. Secret versions count for themselves.
func objectOf(r *http.Request, body []byte) (object string, version int64) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if !slices.Contains(kinds, parts[0]) {
		return "", 0
	}
	var answer struct {
		ID            string `json:"id"`
		Revision      int64  `json:"revision"`
		SecretVersion int64  `json:"secret_version"`
	}
	_ = json.Unmarshal(body, &answer) // Lists and the like have none of these.
	switch {
	case len(parts) == 1:
		return answer.ID, answer.Revision
	case len(parts) == 2:
		return parts[1], answer.Revision
	case parts[2] == "secrets":
		return parts[1] + "/secrets", answer.SecretVersion
	default:
		return parts[1], 0
	}
}

// mustReconcile holds the audit trails of some owners against what was acknowledged: each change and each delivery is recorded once, and nothing is recorded
// that nobody has asked for, or twice.
func (l *ledger) mustReconcile(t *testing.T, owners ...*sdk.Client) {
	t.Helper()
	for _, owner := range owners {
		for e, err := range sdk.All(context.Background(), sdk.ListOptions{Limit: 200, Query: map[string][]string{"outcome": {"allowed"}}}, owner.AuditEvents) {
			must(t, err)
			l.record(t, e)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	acknowledged := 0
	for _, w := range l.works {
		if !w.changes {
			continue
		}
		if w.acknowledged {
			acknowledged++
		}
		if w.records > 1 || w.acknowledged && w.records == 0 {
			t.Errorf("%s was acknowledged: %t, and is %d times in the audit trail", w.what, w.acknowledged, w.records)
		}
	}
	if acknowledged < 100 {
		t.Errorf("only %d changes were acknowledged", acknowledged)
	}
}

// record notes an audit record.
func (l *ledger) record(t *testing.T, e sdk.AuditEvent) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.works[e.RequestID]
	switch {
	case w == nil && e.ActorKeyID != "": // What the server does by itself has no actor.
		t.Errorf("%s of %s is in the audit trail, and nobody has asked for it", e.Action, e.ObjectID)
	case w != nil:
		w.records++
		if !w.changes || w.object != "" && w.object != e.ObjectID {
			t.Errorf("%s is in the audit trail as %s of %s", w.what, e.Action, e.ObjectID)
		}
	}
}
