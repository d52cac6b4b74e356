package console_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// cookie returns a cookie that an answer sets.
func (p page) cookie(name string) *http.Cookie {
	for _, c := range (&http.Response{Header: p.Header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func TestSignInSetsACookie(t *testing.T) {
	s := servertest.MustStart(t, nil)
	tests := []struct {
		name    string
		headers []string
		cookie  string
		secure  bool
	}{
		{"plain, on this machine", nil, "forgecroft-session", false},
		{"a browser on this machine", []string{"Sec-Fetch-Site", "same-origin"}, "forgecroft-session", false},
		{"behind a proxy with TLS", []string{"Sec-Fetch-Site", "same-origin", "Host", "forge.example.com"}, "__Host-forgecroft", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := postAs(t, s, "/console/sign-in", url.Values{"api_key": {s.OwnerKey}}, test.headers...)
			c := p.cookie(test.cookie)
			if p.Status != http.StatusSeeOther || c == nil {
				t.Fatalf("got status %d and cookies %q", p.Status, p.Header["Set-Cookie"])
			}
			if c.Secure != test.secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 {
				t.Errorf("the cookie: %q", c.Raw)
			}
			if strings.Contains(strings.Join(p.Header["Set-Cookie"], " ")+p.Header.Get("Location"), "fc_live_") {
				t.Error("the API key came back")
			}
		})
	}
}

// postAs sends a form without cookies. The header Host stands for the address in the request.
func postAs(t *testing.T, s *servertest.Server, path string, form url.Values, headers ...string) page {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	reply, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	return page{Status: reply.StatusCode, Header: reply.Header}
}

func TestSignInRefusals(t *testing.T) {
	s := servertest.MustStart(t, nil)
	revoked := mustKey(t, s, "reader")
	if err := s.Owner.RevokeAPIKey(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"empty": "", "no key": "hunter2-EXAMPLE", "mistyped": s.OwnerKey + "x", "revoked": revoked.Key} {
		b := mustBrowser(t, s)
		p := b.post("/console/sign-in", url.Values{"api_key": {key}})
		if p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, "does not open the console") || (key != "" && strings.Contains(p.Body, key)) {
			t.Errorf("%s: got status %d\n%s", name, p.Status, p.Body)
		}
		if p := b.get("/console/credentials"); !strings.HasPrefix(p.Path, "/console/sign-in") {
			t.Errorf("%s: then it ended up at %s", name, p.Path)
		}
	}
	events := must(s.Owner.AuditEvents(t.Context(), sdk.ListOptions{Query: url.Values{"action": {"session.create"}}}))(t)
	if len(events.Items) != 1 || events.Items[0].Outcome != "denied" || events.Items[0].ObjectID != revoked.ID {
		t.Errorf("the trail of failed sign-ins: %+v", events.Items)
	}
}

// TestSignInIsLimited fails ten times, then is refused for a while even with the right key (AUTH-6).
func TestSignInIsLimited(t *testing.T) {
	s := servertest.MustStart(t, nil)
	other := mustSignIn(t, s, s.OwnerKey)
	b := mustBrowser(t, s)
	for range 10 {
		if p := b.post("/console/sign-in", url.Values{"api_key": {"fc_live_guess"}}); p.Status != http.StatusUnauthorized {
			t.Fatalf("a wrong key: got status %d, want 401", p.Status)
		}
	}
	p := b.post("/console/sign-in", url.Values{"api_key": {s.OwnerKey}})
	wait, err := strconv.Atoi(p.Header.Get("Retry-After"))
	if p.Status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 900 {
		t.Errorf("after ten failures: got status %d and Retry-After %q", p.Status, p.Header.Get("Retry-After"))
	}
	if p := other.get("/console/"); p.Status != http.StatusOK {
		t.Errorf("who is signed in already: got status %d, want 200", p.Status)
	}
}

func TestSignOutEndsTheSession(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	base := must(url.Parse(s.URL))(t)
	stolen := b.client.Jar.Cookies(base)
	if p := b.post("/console/sign-out", nil); p.Status != http.StatusOK || !strings.Contains(p.Body, "You are signed out.") {
		t.Errorf("signing out: status %d\n%s", p.Status, p.Body)
	}
	thief := mustBrowser(t, s)
	thief.client.Jar.SetCookies(base, stolen)
	if p := thief.get("/console/"); p.Status != http.StatusUnauthorized {
		t.Errorf("the cookie of a session that is over: got status %d, want 401", p.Status)
	}
	events := must(s.Owner.AuditEvents(t.Context(), sdk.ListOptions{}))(t)
	if events.Items[0].Action != "session.delete" || events.Items[1].Action != "session.create" {
		t.Errorf("the trail ends with %s and %s", events.Items[1].Action, events.Items[0].Action)
	}
}

// TestSigningInAgainEndsTheOldSession keeps a cookie that somebody planted or copied from living on.
func TestSigningInAgainEndsTheOldSession(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	base := must(url.Parse(s.URL))(t)
	old := b.client.Jar.Cookies(base)
	b.post("/console/sign-in", url.Values{"api_key": {s.OwnerKey}})
	thief := mustBrowser(t, s)
	thief.client.Jar.SetCookies(base, old)
	if p := thief.get("/console/"); p.Status != http.StatusUnauthorized {
		t.Errorf("the old cookie: got status %d, want 401", p.Status)
	}
	if p := b.get("/console/"); p.Status != http.StatusOK {
		t.Errorf("the new cookie: got status %d, want 200", p.Status)
	}
}

func TestRevokingTheKeyEndsItsSessions(t *testing.T) {
	s := servertest.MustStart(t, nil)
	key := mustKey(t, s, "member")
	b := mustSignIn(t, s, key.Key)
	if err := s.Owner.RevokeAPIKey(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/console/credentials"); p.Status != http.StatusUnauthorized {
		t.Errorf("after the key was revoked: got status %d, want 401", p.Status)
	}
}

// TestRevokingOnesOwnKey ends at the sign-in form, which says what was done.
func TestRevokingOnesOwnKey(t *testing.T) {
	s := servertest.MustStart(t, nil)
	key := mustKey(t, s, "admin")
	b := mustSignIn(t, s, key.Key)
	p := b.fill("/console/keys/"+key.ID+"/revoke", "confirm", "admin-key")
	if p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, "The key is revoked.") {
		t.Errorf("status %d at %s\n%s", p.Status, p.Path, p.Body)
	}
	if p := b.get("/console/"); strings.Contains(p.Body, "The key is revoked.") {
		t.Error("it is said again")
	}
}

func TestCrossOriginFormsAreRefused(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	form := url.Values{"name": {"planted"}}
	for name, headers := range map[string][]string{
		"another site":           {"Sec-Fetch-Site", "cross-site"},
		"another host of ours":   {"Sec-Fetch-Site", "same-site"},
		"an old browser":         {"Origin", "https://evil.example"},
		"an old browser, opaque": {"Origin", "null"},
	} {
		if p := b.post("/console/projects/new", form, headers...); p.Status != http.StatusForbidden {
			t.Errorf("%s: got status %d, want 403", name, p.Status)
		}
	}
	if p := b.get("/console/projects"); strings.Contains(p.Body, "planted") {
		t.Error("a form of another site did something")
	}
	if p := b.post("/console/projects/new", form, "Sec-Fetch-Site", "same-origin"); p.Status != http.StatusOK || !strings.Contains(p.Body, "planted") {
		t.Errorf("our own form: got status %d", p.Status)
	}
}

// TestCookieOpensNoAPI keeps the session inside of the console: delivery takes an API key (UI-5).
func TestCookieOpensNoAPI(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.do(http.MethodPost, "/workspaces/"+k.workspace.ID+"/environment", "application/json", strings.NewReader("{}")); p.Status != http.StatusUnauthorized {
		t.Errorf("delivery with a cookie: got status %d, want 401", p.Status)
	}
}

// TestNextStaysHere follows next= after signing in only into the console (UI-10).
func TestNextStaysHere(t *testing.T) {
	s := servertest.MustStart(t, nil)
	tests := map[string]string{ // next → where it leads
		"/console/credentials":         "/console/credentials",
		"/console/audit?action=a%26b":  "/console/audit?action=a%26b",
		"/console/":                    "/console/",
		"":                             "/console/",
		"https://evil.example/":        "/console/",
		"//evil.example/console/":      "/console/",
		"/\\evil.example/":             "/console/",
		"/console/\\evil.example":      "/console/",
		"\\\\evil.example":             "/console/",
		"javascript:alert(1)":          "/console/",
		"/console/../projects":         "/console/",
		"/console/..//evil.example":    "/console/",
		"/console//evil.example":       "/console/",
		"/docs":                        "/console/",
		"console/":                     "/console/",
		"/console/\r\nSet-Cookie: a=b": "/console/",
		" https://evil.example":        "/console/",
	}
	for next, want := range tests {
		p := postAs(t, s, "/console/sign-in", url.Values{"api_key": {s.OwnerKey}, "next": {next}})
		if got := p.Header.Get("Location"); p.Status != http.StatusSeeOther || got != want {
			t.Errorf("next=%q: got status %d to %q, want 303 to %q", next, p.Status, got, want)
		}
	}
}

func TestKeysInAddressesAreRefused(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustBrowser(t, s)
	if p := b.get("/console/sign-in?api_key=" + s.OwnerKey); p.Status != http.StatusBadRequest || strings.Contains(p.Body, s.OwnerKey) {
		t.Errorf("got status %d", p.Status)
	}
	if strings.Contains(s.Log.String(), s.OwnerKey) {
		t.Error("the key is in the log")
	}
}
