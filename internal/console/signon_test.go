package console_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/fake/oidc"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// publicHost is where browsers reach the server: what listens there is the test's to say.
const publicHost = "127.0.0.1:9"

// company is a server whose people sign on at a provider.
type company struct {
	*servertest.Server
	provider *oidc.Server
	name     string // of the provider
}

func newCompany(t *testing.T) *company {
	t.Helper()
	provider := oidc.New(oidc.Client{ID: "forgecroft", Secret: "EXAMPLE-client-secret", RedirectURL: "http://" + publicHost + "/console/sign-on/callback"}, nil)
	listener := httptest.NewServer(provider)
	t.Cleanup(listener.Close)
	provider.At(listener.URL)
	file := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(file, []byte("EXAMPLE-client-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.MustStart(t, map[string]string{
		"public-url": "http://" + publicHost, "oidc-issuer": listener.URL, "oidc-client-id": "forgecroft", "oidc-client-secret-file": file,
		"oidc-roles": "ops=owner, devs=member, shop=reader@shop",
	})
	return &company{s, provider, strings.TrimPrefix(listener.URL, "http://")}
}

// mustOpen opens a browser that reaches the server at its public address.
func (c *company) mustOpen(t *testing.T) *browser {
	t.Helper()
	b := mustBrowser(t, c.Server)
	real := strings.TrimPrefix(b.base, "http://")
	b.base = "http://" + publicHost
	b.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == publicHost {
			address = real
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	return b
}

// mustSignOn has somebody with these groups sign on, and returns the browser with the page in between.
func (c *company) mustSignOn(t *testing.T, next string, groups ...string) (*browser, page) {
	t.Helper()
	c.provider.LogIn(map[string]any{"sub": "alice", "email": "alice@example.com", "groups": groups})
	b := c.mustOpen(t)
	return b, b.get("/console/sign-on?" + url.Values{"next": {next}}.Encode())
}

func TestSignOn(t *testing.T) {
	c := newCompany(t)
	b := c.mustOpen(t)
	if p := b.get("/console/workspaces"); !strings.Contains(p.Body, "Sign in with "+c.name) || !strings.Contains(p.Body, "/console/sign-on?next=%2Fconsole%2Fworkspaces") {
		t.Fatalf("the sign-in page offers no sign-on:\n%s", p.Body)
	}
	b, p := c.mustSignOn(t, "/console/workspaces", "devs")
	if p.Status != http.StatusOK || p.Header.Get("Refresh") != "0; url=/console/workspaces" || !strings.Contains(p.Body, `href="/console/workspaces"`) {
		t.Fatalf("got %d, %q:\n%s", p.Status, p.Header.Get("Refresh"), p.Body)
	}
	if cookie := p.cookie("forgecroft-session"); cookie == nil || cookie.SameSite != http.SameSiteStrictMode || !cookie.HttpOnly {
		t.Errorf("the session's cookie: %+v", cookie)
	}
	if home := b.get("/console/"); !strings.Contains(home.Body, "alice@example.com") || !strings.Contains(home.Body, "member") {
		t.Errorf("the home page does not know her:\n%s", home.Body)
	}
	if p := b.post("/console/sign-out", nil); !strings.Contains(p.Body, "You are signed out") {
		t.Errorf("signing out: %d", p.Status)
	}
	events, err := c.Owner.AuditEvents(t.Context(), sdk.ListOptions{Limit: 5})
	if err != nil || events.Items[0].ActorName != "alice@example.com" || events.Items[0].Action != "session.delete" {
		t.Errorf("%v; the trail ends with %+v", err, events.Items[0])
	}
}

// TestSignOnIsRefused checks what people read who do not get in, and that the way by API key stays.
func TestSignOnIsRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(c *company)
		groups  []string
		status  int
		want    string
	}{
		{"no group", func(*company) {}, []string{"guests"}, http.StatusForbidden, "none of your groups"},
		{"a project that is not there", func(*company) {}, []string{"shop"}, http.StatusForbidden, "none of your groups"},
		{"denied there", func(c *company) { c.provider.Deny("access_denied") }, []string{"ops"}, http.StatusForbidden, "does not let you in"},
		{"a forged token", func(c *company) { c.provider.SignWith(func(string) string { return "" }) }, []string{"ops"}, http.StatusUnauthorized, "does not prove"},
		{"out of order", func(c *company) { c.provider.SetDown(true) }, []string{"ops"}, http.StatusServiceUnavailable, "API key meanwhile"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCompany(t)
			test.prepare(c)
			b, p := c.mustSignOn(t, "/console/", test.groups...)
			if p.Status != test.status || !strings.Contains(p.Body, test.want) || !strings.Contains(p.Body, `name="api_key"`) {
				t.Errorf("got %d:\n%s", p.Status, p.Body)
			}
			if p.cookie("forgecroft-session") != nil {
				t.Error("there is a session all the same")
			}
			if p := b.post("/console/sign-in", url.Values{"api_key": {c.OwnerKey}}); !strings.Contains(p.Body, "Sign out") {
				t.Errorf("by API key: %d", p.Status)
			}
		})
	}
}

// TestSignOnThatWasNotBegun checks that nobody is signed on by an address that somebody else sends them.
func TestSignOnThatWasNotBegun(t *testing.T) {
	c := newCompany(t)
	c.provider.LogIn(map[string]any{"sub": "mallory", "groups": []string{"ops"}})
	attacker := c.mustOpen(t)
	attacker.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == publicHost {
			return http.ErrUseLastResponse
		}
		return nil
	}
	sent, err := url.Parse(attacker.get("/console/sign-on").Header.Get("Location"))
	if err != nil || sent.Query().Get("code") == "" {
		t.Fatalf("no answer to send: %v", sent)
	}
	victim := c.mustOpen(t)
	p := victim.get(sent.RequestURI())
	if p.Status != http.StatusUnauthorized || p.cookie("forgecroft-session") != nil || !strings.Contains(p.Body, "not begun in this browser") {
		t.Errorf("got %d:\n%s", p.Status, p.Body)
	}
}

// TestSignOnAgain checks acts that cannot be undone: who signed on long ago proves once more who they are.
func TestSignOnAgain(t *testing.T) {
	c := newCompany(t)
	project, err := c.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "doomed"})
	if err != nil {
		t.Fatal(err)
	}
	path := "/console/projects/" + project.ID + "/delete"
	again := "/console/sign-on?fresh=1&next=" + url.QueryEscape(path)
	b, _ := c.mustSignOn(t, "/console/", "ops") // They logged in at the provider an hour ago.
	p := b.get(path)
	if !strings.Contains(p.Body, strings.ReplaceAll(again, "&", "&amp;")) || strings.Contains(p.Body, `name="api_key"`) {
		t.Fatalf("the page does not ask to sign on again:\n%s", p.Body)
	}
	if p := b.fill(path, "confirm", "doomed"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Sign on once more") {
		t.Errorf("deleting at once: %d", p.Status)
	}
	if p := b.get("/console/keys/new"); !strings.Contains(p.Body, "/console/sign-on?fresh=1") {
		t.Error("giving rights away does not ask to sign on again")
	}
	c.provider.Lie(func(claims map[string]any) { delete(claims, "auth_time") })
	if p := b.get(again); p.Status != http.StatusForbidden || !strings.Contains(p.Body, "auth_time") {
		t.Errorf("a provider that does not say when: %d", p.Status)
	}
	c.provider.Lie(nil)
	if p := b.get(again); p.Header.Get("Refresh") != "0; url="+path {
		t.Fatalf("signing on again: %d %q", p.Status, p.Header.Get("Refresh"))
	}
	if p := b.fill(path, "confirm", "doomed"); p.Status != http.StatusOK || !strings.Contains(p.Body, "Deleted.") {
		t.Errorf("deleting: %d\n%s", p.Status, p.Body)
	}
}

// TestSignOnLeadsNowhereElse checks that the way through the provider ends in the console alone.
func TestSignOnLeadsNowhereElse(t *testing.T) {
	c := newCompany(t)
	for _, next := range []string{"https://evil.example.com/", "//evil.example.com", "/docs", "/console/\r\nX: y", "javascript:alert(1)"} {
		if _, p := c.mustSignOn(t, next, "ops"); p.Header.Get("Refresh") != "0; url=/console/" {
			t.Errorf("%q leads to %q", next, p.Header.Get("Refresh"))
		}
	}
}

// TestWithoutSignOn checks a server without a provider.
func TestWithoutSignOn(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustBrowser(t, s)
	if p := b.get("/console/sign-in"); strings.Contains(p.Body, "sign-on") {
		t.Error("the sign-in page offers a way that leads nowhere")
	}
	for _, path := range []string{"/console/sign-on", "/console/sign-on/callback?code=x&state=y"} {
		if p := b.get(path); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
}
