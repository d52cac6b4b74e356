package gcp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
	fakegcp "github.com/forgecroft/forgecroft/internal/fake/gcp"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/gcp"
)

const canary = "CANARY-EXAMPLE"

func start() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// client asks a handler, never waits, and lives at *now.
func client(t *testing.T, handler http.Handler, now *time.Time) *gcp.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	endpoint, err := provider.ParseEndpoint(server.URL + "/token")
	if err != nil {
		t.Fatal(err)
	}
	return gcp.New(gcp.Config{TokenURL: endpoint, Now: func() time.Time { return *now }, Sleep: noSleep})
}

// newWorld is a fake with one account, and its key.
func newWorld(t *testing.T) (*fakegcp.Server, gcp.Key) {
	t.Helper()
	fake := fakegcp.New(start)
	file, err := fake.CreateAccount("ci", "demo-project")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(file, &fields); err != nil {
		t.Fatal(err)
	}
	return fake, gcp.Key{
		ClientEmail: fields["client_email"], PrivateKeyPEM: fields["private_key"],
		PrivateKeyID: fields["private_key_id"], ProjectID: fields["project_id"],
	}
}

func check(t *testing.T, err error, kind provider.Kind, code string) {
	t.Helper()
	var failure *provider.Error
	if !errors.As(err, &failure) {
		t.Fatalf("error = %v, want a provider.Error", err)
	}
	if failure.Kind != kind || failure.Code != code {
		t.Errorf("error = %v, want %s %s", failure, kind, code)
	}
	if failure.Detail == "" || strings.Contains(failure.Error(), canary) {
		t.Errorf("detail is empty or the provider's own: %q", failure.Detail)
	}
}

func TestVerifyAgainstAFake(t *testing.T) {
	now := start()
	fake, key := newWorld(t)
	c := client(t, fake, &now)
	email, err := c.Verify(t.Context(), key)
	if err != nil || email != "ci@demo-project.iam.gserviceaccount.com" {
		t.Fatalf("Verify = %q, %v", email, err)
	}
	if got := fake.Calls(); len(got) != 2 || got[0].Path != "/token" || got[1].Path != "/tokeninfo" || !strings.Contains(got[0].Scope, "cloud-platform") {
		t.Errorf("calls = %+v", got)
	}
	token, err := c.AccessToken(t.Context(), key, gcp.DefaultScopes())
	if err != nil || !token.Expires.Equal(now.Add(3599*time.Second)) {
		t.Errorf("AccessToken expires %v, %v", token.Expires, err)
	}
	if got := fmt.Sprintf("%v %+v %#v", token, key, key); strings.Contains(got, token.Value) || strings.Contains(got, "PRIVATE") {
		t.Errorf("printed: %s", got)
	}
}

func TestVerifyRefusals(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	otherPEM := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)}))
	tests := []struct {
		name  string
		setup func(*fakegcp.Server, *gcp.Key, *time.Time)
		kind  provider.Kind
		code  string
	}{
		{"key disabled", func(f *fakegcp.Server, k *gcp.Key, _ *time.Time) { f.SetKeyDisabled(k.ClientEmail, true) }, provider.Invalid, "invalid_grant"},
		{"account disabled", func(f *fakegcp.Server, k *gcp.Key, _ *time.Time) { f.SetDisabled(k.ClientEmail, true) }, provider.Invalid, "disabled_client"},
		{"account deleted", func(f *fakegcp.Server, k *gcp.Key, _ *time.Time) { f.DeleteAccount(k.ClientEmail) }, provider.Invalid, "invalid_grant"},
		{"key of another account", func(_ *fakegcp.Server, k *gcp.Key, _ *time.Time) { k.PrivateKeyPEM = otherPEM }, provider.Invalid, "invalid_grant"},
		{"key id of another key", func(_ *fakegcp.Server, k *gcp.Key, _ *time.Time) { k.PrivateKeyID = "0" }, provider.Invalid, "invalid_grant"},
		{"key cut off", func(_ *fakegcp.Server, k *gcp.Key, _ *time.Time) { k.PrivateKeyPEM = k.PrivateKeyPEM[:200] }, provider.Invalid, "invalid_private_key"},
		{"token of another account", func(f *fakegcp.Server, k *gcp.Key, _ *time.Time) {
			f.SetShownAs(k.ClientEmail, "eve@demo-project.iam.gserviceaccount.com")
		}, provider.Invalid, "identity_mismatch"},
		{"our clock is ahead", func(_ *fakegcp.Server, _ *gcp.Key, now *time.Time) { *now = now.Add(10 * time.Minute) }, provider.Inconclusive, provider.CodeClockSkew},
		{"our clock is behind", func(_ *fakegcp.Server, _ *gcp.Key, now *time.Time) { *now = now.Add(-2 * time.Hour) }, provider.Inconclusive, provider.CodeClockSkew},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := start()
			fake, key := newWorld(t)
			tt.setup(fake, &key, &now)
			_, err := client(t, fake, &now).Verify(t.Context(), key)
			check(t, err, tt.kind, tt.code)
		})
	}
}

// answers is a token service that gives recorded answers.
type answers struct {
	status, infoStatus int
	body, infoBody     string
	contentType        string
	date               time.Time
}

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := a.status, a.body
	if strings.HasSuffix(r.URL.Path, "/tokeninfo") {
		status, body = a.infoStatus, a.infoBody
	}
	if a.date.IsZero() {
		a.date = start()
	}
	w.Header().Set("Date", a.date.Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func TestMapping(t *testing.T) {
	const (
		good     = `{"access_token":"ya29.EXAMPLE","expires_in":3599,"token_type":"Bearer"}`
		goodInfo = `{"azp":"1","scope":"x","email":"ci@demo-project.iam.gserviceaccount.com","email_verified":"true","expires_in":"3599"}`
		inc      = provider.Inconclusive
	)
	refused := func(status int, code, description string) answers {
		return answers{status: status, body: fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description+" "+canary)}
	}
	info := func(status int, body string) answers {
		return answers{status: 200, body: good, infoStatus: status, infoBody: body}
	}
	tests := []struct {
		name  string
		reply answers
		kind  provider.Kind // empty: valid
		code  string
	}{
		{"valid", info(200, goodInfo), "", ""},
		{"valid, operator's endpoint without tokeninfo", info(404, "not found"), "", ""},
		{"bad signature", refused(400, "invalid_grant", "Invalid JWT Signature."), provider.Invalid, "invalid_grant"},
		{"account not found", refused(400, "invalid_grant", "Invalid grant: account not found"), provider.Invalid, "invalid_grant"},
		{"invalid client", refused(401, "invalid_client", "The OAuth client was not found."), provider.Invalid, "invalid_client"},
		{"disabled client", refused(401, "disabled_client", "The OAuth client was disabled."), provider.Invalid, "disabled_client"},
		{"not short-lived", refused(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."), inc, provider.CodeClockSkew},
		{"refused, but clocks differ", answers{status: 400, body: `{"error":"invalid_grant"}`, date: start().Add(time.Hour)}, inc, provider.CodeClockSkew},
		{"wrong audience", refused(400, "invalid_grant", "Invalid JWT: Failed audience check."), inc, provider.CodeProtocol},
		{"invalid scope", refused(400, "invalid_scope", "bad"), inc, "invalid_scope"},
		{"unauthorized client", refused(401, "unauthorized_client", "bad"), inc, "unauthorized_client"},
		{"unknown code", refused(400, canary, "bad"), inc, provider.CodeProviderError},
		{"refusal with 500", refused(500, "invalid_grant", "Invalid JWT Signature."), inc, provider.CodeProviderError},
		{"refusal with 404", refused(404, "invalid_grant", "Invalid JWT Signature."), inc, provider.CodeProviderError},
		{"throttled", refused(429, "rate_limit_exceeded", "slow down"), inc, provider.CodeThrottled},
		{"throttled with 403", refused(403, "rate_limit_exceeded", "slow down"), inc, provider.CodeThrottled},
		{"API error: exhausted", answers{status: 403, body: `{"error":{"code":403,"status":"RESOURCE_EXHAUSTED"}}`}, inc, provider.CodeThrottled},
		{"API error: denied", answers{status: 403, body: `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`}, inc, "PERMISSION_DENIED"},
		{"unavailable", answers{status: 503, body: "down"}, inc, provider.CodeProviderError},
		{"portal", answers{status: 200, body: "<html>", contentType: "text/html"}, inc, provider.CodeProtocol},
		{"refusal as HTML", answers{status: 400, body: "<html>", contentType: "text/html"}, inc, provider.CodeProtocol},
		{"right body, wrong type", answers{status: 200, body: good, contentType: "text/plain"}, inc, provider.CodeProtocol},
		{"refusal with 200", answers{status: 200, body: `{"error":"invalid_grant"}`}, inc, provider.CodeProtocol},
		{"empty token", answers{status: 200, body: `{"access_token":"","expires_in":3599,"token_type":"Bearer"}`}, inc, provider.CodeProtocol},
		{"token with a line break", answers{status: 200, body: `{"access_token":"a\nb","expires_in":3599,"token_type":"Bearer"}`}, inc, provider.CodeProtocol},
		{"wrongly-cased member", answers{status: 200, body: `{"Access_Token":"x","expires_in":3599,"token_type":"Bearer"}`}, inc, provider.CodeProtocol},
		{"repeated member", answers{status: 200, body: `{"access_token":"x","access_token":"y","expires_in":3599,"token_type":"Bearer"}`}, inc, provider.CodeProtocol},
		{"no lifetime", answers{status: 200, body: `{"access_token":"x","token_type":"Bearer"}`}, inc, provider.CodeProtocol},
		{"lifetime of a year", answers{status: 200, body: `{"access_token":"x","expires_in":31536000,"token_type":"Bearer"}`}, inc, provider.CodeProtocol},
		{"other kind of token", answers{status: 200, body: `{"access_token":"x","expires_in":3599,"token_type":"MAC"}`}, inc, provider.CodeProtocol},
		{"cut off", answers{status: 200, body: good[:20]}, inc, provider.CodeProtocol},
		{"somebody else's token", info(200, `{"email":"eve@demo-project.iam.gserviceaccount.com"}`), provider.Invalid, "identity_mismatch"},
		{"nobody's token", info(200, `{"scope":"x"}`), inc, provider.CodeProtocol},
		{"token not known yet", info(400, `{"error":"invalid_token"}`), inc, provider.CodeProviderError},
		{"tokeninfo is a portal", info(400, `<html>`), inc, provider.CodeProtocol},
		{"tokeninfo fails", info(500, ``), inc, provider.CodeProviderError},
	}
	_, key := newWorld(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := start()
			email, err := client(t, tt.reply, &now).Verify(t.Context(), key)
			if tt.kind == "" {
				if err != nil || email != key.ClientEmail {
					t.Errorf("Verify = %q, %v; want success", email, err)
				}
				return
			}
			check(t, err, tt.kind, tt.code)
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestEndpoints(t *testing.T) {
	_, key := newWorld(t)
	tests := []struct {
		name     string
		endpoint string // empty: Google's
		want     []string
	}{
		{"Google", "", []string{"https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/tokeninfo"}},
		{"operator's", "https://proxy.example/token", []string{"https://proxy.example/token", "https://proxy.example/tokeninfo"}},
		{"operator's, deeper", "https://proxy.example/google/v4/token", []string{"https://proxy.example/google/v4/token", "https://proxy.example/google/v4/tokeninfo"}},
		{"operator's, without a path", "https://proxy.example", []string{"https://proxy.example", "https://proxy.example/tokeninfo"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			cfg := gcp.Config{Now: start, Sleep: noSleep, HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.String())
				body := `{"access_token":"x","expires_in":60,"token_type":"Bearer","email":"` + key.ClientEmail + `"}`
				return &http.Response{
					StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
				}, nil
			})}}
			if tt.endpoint != "" {
				endpoint, err := provider.ParseEndpoint(tt.endpoint)
				if err != nil {
					t.Fatal(err)
				}
				cfg.TokenURL = endpoint
			}
			if _, err := gcp.New(cfg).Verify(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(asked, tt.want) {
				t.Errorf("asked %v, want %v", asked, tt.want)
			}
		})
	}
}

// TestRandomFaults: however calls go wrong, a good key never looks bad, and a bad key never looks good (PRV-2).
func TestRandomFaults(t *testing.T) {
	now := start()
	fake, key := newWorld(t)
	c := client(t, fake, &now)
	kinds := slices.DeleteFunc(fault.Kinds(), func(k fault.Kind) bool { return k == fault.Slow }) // needs real time
	bad := key
	bad.PrivateKeyID = "unknown"
	rapid.Check(t, func(t *rapid.T) {
		faults := rapid.SliceOfN(rapid.SampledFrom(kinds), 3, 3).Draw(t, "faults")
		for _, kind := range faults {
			fake.Faults().Next(kind, 1)
		}
		var failure *provider.Error
		if _, err := c.Verify(t.Context(), key); !errors.As(err, &failure) || failure.Kind != provider.Inconclusive {
			t.Fatalf("good key, faults %v: %v", faults, err)
		}
		if _, err := c.Verify(t.Context(), bad); err == nil {
			t.Fatalf("bad key, faults %v: success", faults)
		}
		for drained := false; !drained; {
			_, err := c.Verify(t.Context(), key)
			drained = err == nil
		}
	})
}

// FuzzReply: whatever the bytes, a 200 never speaks against a key, and a success has a usable token.
func FuzzReply(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"x","expires_in":3599,"token_type":"Bearer"}`))
	f.Add(400, []byte(`{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`))
	f.Add(403, []byte(`{"error":{"status":"PERMISSION_DENIED"}}`))
	f.Add(200, []byte(`{"email":"a@b"}`))
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		f.Fatal(err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	key := gcp.Key{ClientEmail: "a@b", PrivateKeyPEM: string(pem.EncodeToMemory(block))}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := gcp.New(gcp.Config{Now: start, Sleep: noSleep, HTTPClient: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		})}})
		token, err := c.AccessToken(t.Context(), key, gcp.DefaultScopes())
		var failure *provider.Error
		switch {
		case err == nil && (status != 200 || token.Value == "" || !token.Expires.After(start())):
			t.Errorf("status %d made a token until %v", status, token.Expires)
		case err != nil && (!errors.As(err, &failure) || failure.Code == "" || failure.Detail == ""):
			t.Errorf("error %v is not a full provider.Error", err)
		case err != nil && failure.Kind == provider.Invalid && (status < 400 || status >= 500):
			t.Errorf("status %d made %v", status, failure)
		}
		if _, err := c.Identity(t.Context(), gcp.Token{Value: "x"}); err != nil {
			if errors.As(err, &failure); failure.Kind == provider.Invalid {
				t.Errorf("tokeninfo spoke against the key: %v", failure)
			}
		}
	})
}
