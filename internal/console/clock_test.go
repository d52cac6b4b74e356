package console_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/console"
	"github.com/forgecroft/forgecroft/internal/credtype"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
)

// bench is a console over real stores, with a clock that tests move and stores that tests take away.
type bench struct {
	browser
	key   string
	store forgecroft.Store

	log servertest.Buffer

	mu         sync.Mutex
	now        time.Time
	storeFails error
	vaultFails error
	trailFails error                          // on every page of the trail but the first
	tampers    func(e *forgecroft.AuditEvent) // changes the trail behind the server's back
}

// Now is the time of the bench.
func (b *bench) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// fail takes the stores away, or gives them back.
func (b *bench) fail(ofStore, ofVault error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.storeFails, b.vaultFails = ofStore, ofVault
}

// spoil changes what becomes of the trail.
func (b *bench) spoil(fails error, tampers func(e *forgecroft.AuditEvent)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trailFails, b.tampers = fails, tampers
}

func (b *bench) failures() (ofStore, ofVault error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.storeFails, b.vaultFails
}

// lostStore is a store that can be taken away.
type lostStore struct {
	forgecroft.Store
	b *bench
}

func (s lostStore) Session(ctx context.Context, hash []byte) (forgecroft.Session, error) {
	if err, _ := s.b.failures(); err != nil {
		return forgecroft.Session{}, err
	}
	return s.Store.Session(ctx, hash)
}

func (s lostStore) AuditEvents(ctx context.Context, organizationID string, f forgecroft.AuditFilter, p forgecroft.Page) ([]forgecroft.AuditEvent, error) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.b.trailFails != nil && p.After != "" {
		return nil, s.b.trailFails
	}
	events, err := s.Store.AuditEvents(ctx, organizationID, f, p)
	for i := range events {
		if s.b.tampers != nil {
			s.b.tampers(&events[i])
		}
	}
	return events, err
}

// lostVault is a vault that can be taken away.
type lostVault struct {
	forgecroft.Vault
	b *bench
}

func (v lostVault) Check(ctx context.Context) error {
	if _, err := v.b.failures(); err != nil {
		return err
	}
	return v.Vault.Check(ctx)
}

func (v lostVault) Put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	if _, err := v.b.failures(); err != nil {
		return err
	}
	return v.Vault.Put(ctx, ref, binding, value)
}

// mustBench starts one, and signs in.
func mustBench(t *testing.T) *bench {
	t.Helper()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bench{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	vault := must(embedded.Open(ctx, embedded.Options{Path: filepath.Join(dir, "vault.db"), Keys: embedded.FileKeys(filepath.Join(dir, "vault.key"))}))(t)
	metadata := must(store.OpenSQLite(ctx, store.Options{Path: filepath.Join(dir, "metadata.db")}))(t)
	t.Cleanup(func() { _, _ = metadata.Close(), vault.Close() })
	b.store = metadata
	logger := slog.New(slog.NewTextHandler(&b.log, nil))
	config := broker.Config{Store: lostStore{metadata, b}, Vault: lostVault{vault, b}, KeyRing: vault, Types: credtype.Registry(credtype.Config{}), Logger: logger, Now: b.Now}
	door := must(broker.Open(ctx, config, func(k broker.OwnerKey) error { b.key = k.Raw.Reveal(); return nil }))(t)
	web := must(console.New(console.Config{Broker: door, Logger: logger, Version: "test", Now: b.Now}))(t)
	server := httptest.NewServer(web.Before(http.NotFoundHandler()))
	t.Cleanup(server.Close)
	jar := must(cookiejar.New(nil))(t)
	b.browser = browser{t, server.URL, &http.Client{Jar: jar}}
	if p := b.post("/console/sign-in", url.Values{"api_key": {b.key}}); p.Status != http.StatusOK {
		t.Fatalf("signing in: status %d\n%s", p.Status, p.Body)
	}
	return b
}

func TestIdleSessionsEnd(t *testing.T) {
	b := mustBench(t)
	b.advance(29 * time.Minute)
	if p := b.get("/console/"); p.Status != http.StatusOK {
		t.Fatalf("after 29 minutes: got status %d, want 200", p.Status)
	}
	b.advance(30 * time.Minute)
	if p := b.get("/console/credentials"); p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, `name="next" value="/console/credentials"`) {
		t.Errorf("after 30 minutes without use: got status %d, want 401 and a way back\n%s", p.Status, p.Body)
	}
}

func TestBusySessionsEnd(t *testing.T) {
	b := mustBench(t)
	for range 35 {
		b.advance(20 * time.Minute)
		if p := b.get("/console/projects"); p.Status != http.StatusOK {
			t.Fatalf("a busy session ended at %s", b.Now())
		}
	}
	b.advance(20 * time.Minute)
	if p := b.get("/console/projects"); p.Status != http.StatusUnauthorized {
		t.Errorf("after twelve hours: got status %d, want 401", p.Status)
	}
}

// TestDangerWantsTheKeyAgain lets five minutes pass before a deletion (UI-8).
func TestDangerWantsTheKeyAgain(t *testing.T) {
	b := mustBench(t)
	project := b.fill("/console/projects/new", "name", "platform").Path
	b.advance(5 * time.Minute)
	if p := b.get(project + "/delete"); !strings.Contains(p.Body, `name="api_key"`) {
		t.Errorf("the key is not asked for:\n%s", p.Body)
	}
	for name, key := range map[string]string{"no key": "", "another key": "fc_live_EXAMPLE"} {
		if p := b.fill(project+"/delete", "confirm", "platform", "api_key", key); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: got status %d, want 422", name, p.Status)
		}
	}
	if p := b.fill("/console/keys/new", "name", "mine", "role", "owner", "confirm", "owner", "scope", "", "days", "30"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("giving rights away without the key: got status %d, want 422", p.Status)
	}
	if p := b.fill("/console/system/rotate", "confirm", "rotate"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("rotating without the key: got status %d, want 422", p.Status)
	}
	p := b.fill(project+"/delete", "confirm", "platform", "api_key", b.key)
	if p.Path != "/console/projects" || strings.Contains(p.Body, b.key) {
		t.Errorf("with the key: status %d at %s\n%s", p.Status, p.Path, p.Body)
	}
	if p := b.get("/console/system/rotate"); strings.Contains(p.Body, `name="api_key"`) {
		t.Error("the key is asked for right after it was given")
	}
}

// TestDegraded takes the vault away, then the database: pages say so, and nothing of the failure (UI-11).
func TestDegraded(t *testing.T) {
	b := mustBench(t)
	credential := strings.TrimSuffix(b.fill("/console/credentials/new?type=generic_env", "name", "database").Path, "/secrets")
	broken := &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: "vault_sealed", Message: "The vault is sealed.", Cause: os.ErrDeadlineExceeded}
	b.fail(nil, broken)
	for _, path := range []string{"/console/", "/console/system", credential} {
		if p := b.get(path); p.Status != http.StatusOK || (path != credential && !strings.Contains(p.Body, "not reachable")) {
			t.Errorf("%s without the vault: status %d\n%s", path, p.Status, p.Body)
		}
	}
	p := b.upload(credential+"/secrets", "name0", "NAME", "value0", "EXAMPLE")
	if p.Status != http.StatusServiceUnavailable || !strings.Contains(p.Body, "cannot be reached") || strings.Contains(p.Body, "EXAMPLE") {
		t.Errorf("storing without the vault: status %d\n%s", p.Status, p.Body)
	}
	for name, err := range map[string]error{"unavailable": forgecroft.KindUnavailable, "internal": os.ErrPermission, "integrity": forgecroft.KindIntegrity} {
		b.fail(err, nil)
		p := b.get("/console/")
		if p.Status < http.StatusInternalServerError || strings.Contains(p.Body, err.Error()+"<") || strings.Contains(p.Body, "goroutine") || p.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: status %d\n%s", name, p.Status, p.Body)
		}
	}
	b.fail(nil, nil)
	if p := b.get("/console/"); p.Status != http.StatusOK {
		t.Errorf("when all is back: got status %d, want 200", p.Status)
	}
}

// TestCredentialsEnd lets the end come that a provider has named: first it is near, then it is past.
func TestCredentialsEnd(t *testing.T) {
	b := mustBench(t)
	config, _, _ := strings.Cut(b.fill("/console/credentials/new?type=cloudflare_api_token", "name", "dns", "project_id", "").Path, "/secrets")
	b.upload(config+"/secrets", "data.api_token", "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMP")
	organizations := must(b.store.Organizations(t.Context()))(t)
	result := forgecroft.Verification{Valid: true, Conclusive: true, SecretVersion: 1, CheckedAt: b.Now(), ExpiresAt: b.Now().Add(5 * 24 * time.Hour)}
	err := b.store.Update(t.Context(), func(tx forgecroft.Tx) error {
		return tx.RecordVerification(t.Context(), organizations[0].ID, strings.TrimPrefix(config, "/console/credentials/"), result)
	})
	if err != nil {
		t.Fatal(err)
	}
	const calm, near, past = "Every credential that was looked at", ">Expire soon<", ">Expired<"
	for _, step := range []struct {
		days int
		want string
	}{{0, near}, {5, past}} {
		b.advance(time.Duration(step.days) * 24 * time.Hour)
		b.post("/console/sign-in", url.Values{"api_key": {b.key}})
		p := b.get("/console/")
		for _, words := range []string{calm, near, past} {
			if strings.Contains(p.Body, words) != (words == step.want) {
				t.Errorf("%d days later it must say %q and does not, or says %q beside:\n%s", step.days, step.want, words, p.Body)
			}
		}
	}
}

// TestUnusedCredentials lets a month pass, and then two more: a credential that nobody uses is named, and one that is used is not.
func TestUnusedCredentials(t *testing.T) {
	b := mustBench(t)
	b.fill("/console/projects/new", "name", "platform")
	config := strings.TrimSuffix(b.fill("/console/credentials/new?type=generic_env", "name", "forgotten", "project_id", "").Path, "/secrets")
	if p := b.upload(config+"/secrets", "name0", "TF_VAR_a", "value0", "EXAMPLE"); !strings.Contains(p.Body, "stored") {
		t.Fatalf("storing: status %d\n%s", p.Status, p.Body)
	}
	for _, step := range []struct {
		days       int
		want, none string
	}{{29, "was stored or used in the last 30 days", "Unused for"}, {1, "Unused for 30 days", "Unused for 90 days"}, {60, "Unused for 90 days", "Unused for 30 days"}} {
		b.advance(time.Duration(step.days) * 24 * time.Hour)
		b.post("/console/sign-in", url.Values{"api_key": {b.key}})
		if p := b.get("/console/"); p.Status != http.StatusOK || !strings.Contains(p.Body, step.want) || strings.Contains(p.Body, step.none) {
			t.Errorf("%d days later: status %d; want %q and not %q in\n%s", step.days, p.Status, step.want, step.none, p.Body)
		}
	}
}

// TestExportThatBreaksOff takes the database away in the middle of an export: a browser must not take what it has for the whole trail.
func TestExportThatBreaksOff(t *testing.T) {
	b := mustBench(t)
	for i := range broker.MaxPage {
		b.fill("/console/projects/new", "name", fmt.Sprint("p", i))
	}
	b.spoil(forgecroft.KindUnavailable, nil)
	reply, err := b.client.Get(b.base + "/console/audit/export")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if reply.StatusCode != http.StatusOK || len(text) == 0 || err == nil {
		t.Errorf("got status %d and %d bytes, then %v; want 200, some events, then a broken transfer", reply.StatusCode, len(text), err)
	}
	if log := b.log.String(); !strings.Contains(log, "exporting the audit trail") || strings.Contains(log, `"panic"`) || strings.Contains(log, "stack=") {
		t.Errorf("the log says:\n%s", log)
	}
}

// TestTamperedEvent changes an event: the page that a filter brings it up on says so, and any other does not.
func TestTamperedEvent(t *testing.T) {
	b := mustBench(t)
	b.fill("/console/projects/new", "name", "platform")
	b.spoil(nil, func(e *forgecroft.AuditEvent) {
		if e.Action == "project.create" {
			e.ActorName = "nobody"
		}
	})
	for query, want := range map[string]string{"action=project.create": "is not what was recorded", "action=organization.create": ">intact<"} {
		here := regexp.MustCompile(`<dd id="here">.*</dd>`).FindString(b.get("/console/audit?" + query).Body)
		if !strings.Contains(here, want) {
			t.Errorf("%s: got %q, want %q", query, here, want)
		}
	}
}
