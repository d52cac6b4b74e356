package signon_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/fake/oidc"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/signon"
)

const (
	redirect = "https://forgecroft.example.com/console/sign-on/callback"
	subject  = "248289761001"
)

// world is a provider with a client of it.
type world struct {
	*oidc.Server
	client *signon.Client
	url    string
	now    time.Time
	calls  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.Server = oidc.New(oidc.Client{ID: "forgecroft", Secret: "EXAMPLE-client-secret", RedirectURL: redirect}, clock)
	listener := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.calls++; w.ServeHTTP(rw, r) }))
	t.Cleanup(listener.Close)
	w.At(listener.URL)
	w.LogIn(map[string]any{"sub": subject, "email": "alice@example.com", "groups": []string{"ops", "devs"}})
	w.url = listener.URL
	w.client = signon.New(signon.Config{
		Issuer: listener.URL, ClientID: "forgecroft", ClientSecret: forgecroft.NewSecret("EXAMPLE-client-secret"), RedirectURL: redirect,
		Scopes: []string{"email"}, GroupsClaim: "groups", HTTPClient: &http.Client{}, Now: clock,
	})
	return w
}

// mustVisit opens the provider as a browser would, and returns what it answers with.
func mustVisit(t *testing.T, address string) url.Values {
	t.Helper()
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, err := url.Parse(response.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), redirect+"?") {
		t.Fatalf("the provider answers with %d and leads to %q", response.StatusCode, back)
	}
	return back.Query()
}

// mustBegin begins a sign-on and comes back from the provider.
func (w *world) mustBegin(t *testing.T, fresh bool) (kept string, answer url.Values) {
	t.Helper()
	kept, address, err := w.client.Begin(t.Context(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	return kept, mustVisit(t, address)
}

func TestSignOn(t *testing.T) {
	alice := forgecroft.Person{Subject: subject, Name: "alice@example.com", Groups: []string{"ops", "devs"}}
	for _, test := range []struct {
		name    string
		prepare func(w *world)
		fresh   bool
		want    func(p *forgecroft.Person, now time.Time)
	}{
		{name: "as it is", want: func(p *forgecroft.Person, now time.Time) { p.AuthenticatedAt = now.Add(-time.Hour) }},
		{name: "once more", fresh: true, want: func(p *forgecroft.Person, now time.Time) { p.AuthenticatedAt = now }},
		{
			name:    "a provider that does not say when",
			prepare: func(w *world) { w.Lie(func(c map[string]any) { delete(c, "auth_time") }) }, want: func(*forgecroft.Person, time.Time) {},
		},
		{
			name:    "a provider that says it will be tomorrow",
			prepare: func(w *world) { w.Lie(func(c map[string]any) { c["auth_time"] = w.now.AddDate(0, 0, 1).Unix() }) }, want: func(*forgecroft.Person, time.Time) {},
		},
		{
			name: "groups from the user info endpoint", prepare: func(w *world) { w.Hide("groups", "email") },
			want: func(p *forgecroft.Person, now time.Time) { p.AuthenticatedAt = now.Add(-time.Hour) },
		},
		{
			name: "one group alone", prepare: func(w *world) { w.LogIn(map[string]any{"sub": subject, "name": "Alice", "groups": "ops"}) },
			want: func(p *forgecroft.Person, now time.Time) {
				p.Name, p.Groups, p.AuthenticatedAt = "Alice", []string{"ops"}, now.Add(-time.Hour)
			},
		},
		{
			name: "no groups at all", prepare: func(w *world) { w.LogIn(map[string]any{"sub": subject, "preferred_username": "alice"}) },
			want: func(p *forgecroft.Person, now time.Time) {
				p.Name, p.Groups, p.AuthenticatedAt = "alice", nil, now.Add(-time.Hour)
			},
		},
		{
			name: "a new key", prepare: (*world).rotate,
			want: func(p *forgecroft.Person, now time.Time) { p.AuthenticatedAt = now.Add(-time.Hour) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			kept, answer := w.mustBegin(t, test.fresh)
			if test.prepare != nil {
				if _, err := w.client.Finish(t.Context(), kept, answer); err != nil { // It knows the provider and its keys by now.
					t.Fatal(err)
				}
				test.prepare(w)
				kept, answer = w.mustBegin(t, test.fresh)
			}
			person, err := w.client.Finish(t.Context(), kept, answer)
			if err != nil {
				t.Fatal(err)
			}
			want := alice
			want.Issuer = w.url
			test.want(&want, w.now)
			person.AuthenticatedAt = person.AuthenticatedAt.UTC()
			if diff := cmp.Diff(want, person); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func (w *world) rotate() { w.RotateKey() }

// TestForgedTokens checks that every lie of an ID token is noticed.
func TestForgedTokens(t *testing.T) {
	set := func(name string, value any) func(w *world) {
		return func(w *world) { w.Lie(func(c map[string]any) { c[name] = value }) }
	}
	for name, lie := range map[string]func(w *world){
		"another issuer":          set("iss", "https://evil.example.com"),
		"another audience":        set("aud", "another"),
		"made for another client": set("azp", "another"),
		"several audiences and no party": func(w *world) {
			w.Lie(func(c map[string]any) { c["aud"] = []string{"forgecroft", "another"} })
		},
		"expired":            func(w *world) { w.Lie(func(c map[string]any) { c["exp"] = w.now.Add(-time.Minute).Unix() }) },
		"no expiry":          func(w *world) { w.Lie(func(c map[string]any) { delete(c, "exp") }) },
		"another nonce":      set("nonce", "another"),
		"no nonce":           func(w *world) { w.Lie(func(c map[string]any) { delete(c, "nonce") }) },
		"nobody":             set("sub", ""),
		"a name without end": set("sub", strings.Repeat("x", 256)),
		"groups of another kind": func(w *world) {
			w.Lie(func(c map[string]any) { c["groups"] = map[string]any{"ops": true} })
		},
		"a broken signature": func(w *world) { w.SignWith(func(string) string { return "AAAA" }) },
		"no signature":       func(w *world) { w.SignWith(func(string) string { return "" }) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			lie(w)
			kept, answer := w.mustBegin(t, false)
			if p, err := w.client.Finish(t.Context(), kept, answer); !errors.Is(err, forgecroft.KindUnauthenticated) {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

// TestAnswersThatWereNotAsked checks that nothing is asked of the provider for an answer that this browser did not wait for.
func TestAnswersThatWereNotAsked(t *testing.T) {
	for name, change := range map[string]func(w *world, kept *string, answer url.Values){
		"nothing kept":         func(_ *world, kept *string, _ url.Values) { *kept = "" },
		"nonsense kept":        func(_ *world, kept *string, _ url.Values) { *kept = "e30" },
		"another state":        func(_ *world, _ *string, answer url.Values) { answer.Set("state", "another") },
		"no state":             func(_ *world, _ *string, answer url.Values) { answer.Del("state") },
		"too late":             func(w *world, _ *string, _ url.Values) { w.now = w.now.Add(11 * time.Minute) },
		"before it began":      func(w *world, _ *string, _ url.Values) { w.now = w.now.Add(-11 * time.Minute) },
		"another provider's":   func(_ *world, _ *string, answer url.Values) { answer.Set("iss", "https://evil.example.com") },
		"an answer without it": func(_ *world, _ *string, answer url.Values) { answer.Del("code") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			kept, answer := w.mustBegin(t, false)
			change(w, &kept, answer)
			before := w.calls
			if _, err := w.client.Finish(t.Context(), kept, answer); !errors.Is(err, forgecroft.KindUnauthenticated) || w.calls != before {
				t.Errorf("got %v after %d calls", err, w.calls-before)
			}
		})
	}
}

func TestAnotherBrowsersAnswer(t *testing.T) {
	w := newWorld(t)
	kept, _ := w.mustBegin(t, false)
	_, answer := w.mustBegin(t, false)
	if _, err := w.client.Finish(t.Context(), kept, answer); !errors.Is(err, forgecroft.KindUnauthenticated) {
		t.Errorf("got %v", err)
	}
	kept, answer = w.mustBegin(t, false)
	if _, err := w.client.Finish(t.Context(), kept, answer); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Finish(t.Context(), kept, answer); !errors.Is(err, forgecroft.KindUnauthenticated) {
		t.Errorf("a code was used twice: %v", err)
	}
	kept, answer = w.mustBegin(t, false)
	answer.Set("code", "EXAMPLE")
	_, err := w.client.Finish(t.Context(), kept, answer)
	if !errors.Is(err, forgecroft.KindUnauthenticated) || strings.Contains(err.Error(), "EXAMPLE") {
		t.Errorf("a made-up code: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for code, want := range map[string]error{
		"access_denied": forgecroft.KindForbidden, "login_required": forgecroft.KindUnauthenticated, "server_error": forgecroft.KindUnavailable,
		"temporarily_unavailable": forgecroft.KindUnavailable, "<script>": forgecroft.KindUnauthenticated,
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t)
			w.Deny(code)
			kept, answer := w.mustBegin(t, false)
			_, err := w.client.Finish(t.Context(), kept, answer)
			var known *forgecroft.Error
			if !errors.Is(err, want) || !errors.As(err, &known) || strings.Contains(known.Message, code) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOutage checks that a provider that is down is asked again, and never counts for a refusal.
func TestOutage(t *testing.T) {
	w := newWorld(t)
	w.SetDown(true)
	if _, _, err := w.client.Begin(t.Context(), false); !errors.Is(err, forgecroft.KindUnavailable) {
		t.Errorf("beginning: %v", err)
	}
	w.SetDown(false)
	kept, answer := w.mustBegin(t, false)
	w.SetDown(true)
	if _, err := w.client.Finish(t.Context(), kept, answer); !errors.Is(err, forgecroft.KindUnavailable) {
		t.Errorf("finishing: %v", err)
	}
	w.SetDown(false)
	if _, err := w.client.Finish(t.Context(), kept, answer); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// TestAddress checks what the browser is sent to the provider with: PKCE, and no secret.
func TestAddress(t *testing.T) {
	w := newWorld(t)
	kept, address, err := w.client.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "scope": "openid email", "code_challenge_method": "S256", "redirect_uri": redirect, "prompt": "login", "max_age": "0",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if strings.Contains(address, "EXAMPLE") || q.Get("code_challenge") == "" || q.Get("nonce") == "" || strings.Contains(kept, "EXAMPLE") {
		t.Errorf("the address %s", address)
	}
	if !strings.HasPrefix(w.client.Name(), "127.0.0.1:") {
		t.Errorf("the provider is called %q", w.client.Name())
	}
}
