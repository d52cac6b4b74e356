package cloudflare_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/cloudflare"
)

const (
	canary    = "CANARY-EXAMPLE"
	accountID = "023e105f4ecef8ad9ca31a8372d0c353"
	tokenID   = "ed17574386854bf78a67040be0a770b0"
	legacy    = "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE12345"
	userToken = "cfut_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234501234567"
	acctToken = "cfat_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234501234567"
)

func start() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func client(t *testing.T, handler http.Handler) *cloudflare.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base, err := provider.ParseEndpoint(server.URL + "/client/v4")
	if err != nil {
		t.Fatal(err)
	}
	return cloudflare.New(cloudflare.Config{BaseURL: base, Now: start, Sleep: noSleep})
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

func TestVerifyTokenAgainstAFake(t *testing.T) {
	const (
		user    = "/client/v4/user/tokens/verify"
		account = "/client/v4/accounts/" + accountID + "/tokens/verify"
	)
	active := func(value, owner string) fakecloudflare.Token {
		return fakecloudflare.Token{Value: value, ID: tokenID, AccountID: owner}
	}
	dated := active(userToken, "")
	dated.NotBefore, dated.ExpiresOn = start(), start().Add(time.Second)
	early, late := active(userToken, ""), active(userToken, "")
	early.NotBefore = start().Add(time.Second)
	late.ExpiresOn = start()
	disabled := active(legacy, "")
	disabled.Status = fakecloudflare.Disabled
	tests := []struct {
		name      string
		stored    fakecloudflare.Token
		token     string
		accountID string
		wantPaths []string
		want      cloudflare.TokenInfo // if code is empty
		kind      provider.Kind
		code      string
	}{
		{"user's", active(userToken, ""), userToken, "", []string{user}, cloudflare.TokenInfo{ID: tokenID, Status: "active", Kind: "user"}, "", ""},
		{"account's", active(acctToken, accountID), acctToken, accountID, []string{account}, cloudflare.TokenInfo{ID: tokenID, Status: "active", Kind: "account"}, "", ""},
		{"legacy, user's", active(legacy, ""), legacy, accountID, []string{user}, cloudflare.TokenInfo{ID: tokenID, Status: "active", Kind: "user"}, "", ""},
		{"legacy, account's", active(legacy, accountID), legacy, accountID, []string{user, account}, cloudflare.TokenInfo{ID: tokenID, Status: "active", Kind: "account"}, "", ""},
		{"within its dates", dated, userToken, "", []string{user}, cloudflare.TokenInfo{
			ID: tokenID, Status: "active", Kind: "user", NotBefore: start(), ExpiresOn: start().Add(time.Second),
		}, "", ""},
		{"legacy, account's, account unknown to us", active(legacy, accountID), legacy, "", []string{user}, cloudflare.TokenInfo{}, provider.Inconclusive, "account_id_required"},
		{"legacy, nobody's", active(userToken, ""), legacy, accountID, []string{user, account}, cloudflare.TokenInfo{}, provider.Invalid, "1000"},
		{"account's without an account", active(acctToken, accountID), acctToken, "", nil, cloudflare.TokenInfo{}, provider.Inconclusive, "account_id_required"},
		{"user's is never asked at the account", active(legacy, ""), userToken, accountID, []string{user}, cloudflare.TokenInfo{}, provider.Invalid, "1000"},
		{"disabled is final", disabled, legacy, accountID, []string{user}, cloudflare.TokenInfo{}, provider.Invalid, "disabled"},
		{"not yet", early, userToken, "", []string{user}, cloudflare.TokenInfo{}, provider.Invalid, "not_yet_valid"},
		{"expired", late, userToken, "", []string{user}, cloudflare.TokenInfo{}, provider.Invalid, "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fake := fakecloudflare.New(start)
			fake.AddToken(tt.stored)
			got, err := client(t, fake).VerifyToken(t.Context(), tt.token, tt.accountID)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
			if tt.code != "" {
				check(t, err, tt.kind, tt.code)
			} else if err != nil {
				t.Error(err)
			}
			var paths []string
			for _, call := range fake.Calls() {
				paths = append(paths, call.Path)
			}
			if !slices.Equal(paths, tt.wantPaths) {
				t.Errorf("asked %v, want %v", paths, tt.wantPaths)
			}
		})
	}
}

func TestAccountEndpointDown(t *testing.T) {
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "/accounts/") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}`)
	}))
	_, err := c.VerifyToken(t.Context(), legacy, accountID)
	check(t, err, provider.Inconclusive, provider.CodeProviderError)
}

func TestMapping(t *testing.T) {
	const inc = provider.Inconclusive
	failed := func(code int) string {
		return fmt.Sprintf(`{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`, code, canary)
	}
	success := func(result string) string {
		return `{"success":true,"errors":[],"messages":[],"result":` + result + `}`
	}
	good := success(`{"id":"` + tokenID + `","status":"active"}`)
	tests := []struct {
		name        string
		status      int
		contentType string
		body        string
		date        time.Time
		kind        provider.Kind // empty: valid
		code        string
	}{
		{"active", 200, "", good, start(), "", ""},
		{"active, null dates", 200, "", success(`{"id":"` + tokenID + `","status":"active","expires_on":null,"not_before":null}`), start(), "", ""},
		{"disabled", 200, "", success(`{"id":"` + tokenID + `","status":"disabled"}`), start(), provider.Invalid, "disabled"},
		{"expired", 200, "", success(`{"id":"` + tokenID + `","status":"expired"}`), start(), provider.Invalid, "expired"},
		{"active, but its end has passed", 200, "", success(`{"id":"` + tokenID + `","status":"active","expires_on":"2026-11-23T11:59:59Z"}`), start(), provider.Invalid, "expired"},
		{"active, end passed by our clock only", 200, "", success(`{"id":"` + tokenID + `","status":"active","expires_on":"2026-11-23T11:00:00Z"}`), start().Add(-2 * time.Hour), inc, provider.CodeClockSkew},
		{"invalid token", 401, "", failed(1000), start(), provider.Invalid, "1000"},
		{"invalid token with 403", 403, "", failed(1000), start(), provider.Invalid, "1000"},
		{"malformed header", 400, "", failed(6003), start(), provider.Invalid, "6003"},
		{"no access", 403, "", failed(9109), start(), inc, "9109"},
		{"not from here", 403, "", `{"success":false,"errors":[{"code":9109,"message":"Cannot use the access token from location: 203.0.113.7"}],"messages":[],"result":null}`, start(), inc, "ip_restricted"},
		{"authentication error", 403, "", failed(10000), start(), inc, "10000"},
		{"unknown code", 403, "", failed(4242), start(), inc, provider.CodeProviderError},
		{"refusal with 404", 404, "", failed(1000), start(), inc, provider.CodeProviderError},
		{"refusal with 500", 500, "", failed(1000), start(), inc, provider.CodeProviderError},
		{"refusal with 200", 200, "", failed(1000), start(), inc, provider.CodeProtocol},
		{"success with 403", 403, "", good, start(), inc, provider.CodeProtocol},
		{"throttled", 429, "", failed(10429), start(), inc, provider.CodeThrottled},
		{"throttled with 403", 403, "", failed(1015), start(), inc, provider.CodeThrottled},
		{"unavailable", 503, "text/html", "<html>", start(), inc, provider.CodeProviderError},
		{"error page of Cloudflare's edge", 520, "text/html", "<html>", start(), inc, provider.CodeProviderError},
		{"challenge page", 403, "text/html", "<html>", start(), inc, provider.CodeProtocol},
		{"portal", 200, "text/html", "<html>", start(), inc, provider.CodeProtocol},
		{"right body, wrong type", 200, "text/plain", good, start(), inc, provider.CodeProtocol},
		{"success without a result", 200, "", `{"success":true}`, start(), inc, provider.CodeProtocol},
		{"success without an id", 200, "", success(`{"status":"active"}`), start(), inc, provider.CodeProtocol},
		{"strange id", 200, "", success(`{"id":"x","status":"active"}`), start(), inc, provider.CodeProtocol},
		{"no status", 200, "", success(`{"id":"` + tokenID + `"}`), start(), inc, provider.CodeProtocol},
		{"strange status", 200, "", success(`{"id":"` + tokenID + `","status":"` + canary + `"}`), start(), inc, provider.CodeProtocol},
		{"date that is none", 200, "", success(`{"id":"` + tokenID + `","status":"active","expires_on":"never"}`), start(), inc, provider.CodeProtocol},
		{"success in words", 200, "", strings.Replace(good, "true", `"true"`, 1), start(), inc, provider.CodeProtocol},
		{"repeated member", 200, "", strings.Replace(good, `"success":true`, `"success":false,"success":true`, 1), start(), inc, provider.CodeProtocol},
		{"failure without errors", 401, "", `{"success":false,"errors":[]}`, start(), inc, provider.CodeProtocol},
		{"cut off", 200, "", good[:30], start(), inc, provider.CodeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if tt.contentType != "" {
					w.Header().Set("Content-Type", tt.contentType)
				}
				w.Header().Set("Date", tt.date.Format(http.TimeFormat))
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			got, err := c.VerifyToken(t.Context(), userToken, "")
			if tt.kind == "" {
				if err != nil || got.ID != tokenID {
					t.Errorf("VerifyToken = %+v, %v; want success", got, err)
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
	tests := []struct{ base, accountID, want string }{
		{"", "", "https://api.cloudflare.com/client/v4/user/tokens/verify"},
		{"https://proxy.example", "", "https://proxy.example/client/v4/user/tokens/verify"},
		{"https://proxy.example/client/v4/", "", "https://proxy.example/client/v4/user/tokens/verify"},
		{"https://proxy.example/cf", "", "https://proxy.example/cf/user/tokens/verify"},
		{"", "../user", "https://api.cloudflare.com/client/v4/accounts/..%2Fuser/tokens/verify"},
	}
	for _, tt := range tests {
		t.Run(tt.base+tt.accountID, func(t *testing.T) {
			var asked string
			cfg := cloudflare.Config{Now: start, Sleep: noSleep, HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.String()
				return nil, http.ErrServerClosed
			})}}
			if tt.base != "" {
				base, err := provider.ParseEndpoint(tt.base)
				if err != nil {
					t.Fatal(err)
				}
				cfg.BaseURL = base
			}
			token := userToken
			if tt.accountID != "" {
				token = acctToken
			}
			cloudflare.New(cfg).VerifyToken(t.Context(), token, tt.accountID)
			if asked != tt.want {
				t.Errorf("asked %s, want %s", asked, tt.want)
			}
		})
	}
}

// TestRandomFaults: however calls go wrong, a good token never looks bad, and a bad one never looks good (PRV-2).
func TestRandomFaults(t *testing.T) {
	fake := fakecloudflare.New(start)
	fake.AddToken(fakecloudflare.Token{Value: userToken, ID: tokenID})
	c := client(t, fake)
	kinds := slices.DeleteFunc(fault.Kinds(), func(k fault.Kind) bool { return k == fault.Slow }) // needs real time
	rapid.Check(t, func(t *rapid.T) {
		// Three attempts, each of which net/http may repeat once when a kept connection turns out to be gone.
		faults := rapid.SliceOfN(rapid.SampledFrom(kinds), 6, 6).Draw(t, "faults")
		for _, kind := range faults {
			fake.Faults().Next(kind, 1)
		}
		var failure *provider.Error
		if _, err := c.VerifyToken(t.Context(), userToken, ""); !errors.As(err, &failure) || failure.Kind != provider.Inconclusive {
			t.Fatalf("good token, faults %v: %v", faults, err)
		}
		if _, err := c.VerifyToken(t.Context(), legacy, accountID); err == nil {
			t.Fatalf("bad token, faults %v: success", faults)
		}
		for drained := false; !drained; {
			_, err := c.VerifyToken(t.Context(), userToken, "")
			drained = err == nil
		}
	})
}

// FuzzReply: whatever the bytes, success needs status 200, an id and the status active.
func FuzzReply(f *testing.F) {
	f.Add(200, []byte(`{"success":true,"result":{"id":"`+tokenID+`","status":"active"}}`))
	f.Add(200, []byte(`{"success":true,"result":{"id":"`+tokenID+`","status":"disabled"}}`))
	f.Add(401, []byte(`{"success":false,"errors":[{"code":1000}]}`))
	f.Add(200, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := cloudflare.New(cloudflare.Config{Now: start, Sleep: noSleep, HTTPClient: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		})}})
		info, err := c.VerifyToken(t.Context(), legacy, "")
		var failure *provider.Error
		switch {
		case err == nil && (status != 200 || len(info.ID) != 32 || info.Status != "active"):
			t.Errorf("status %d made %+v", status, info)
		case err != nil && (!errors.As(err, &failure) || failure.Code == "" || failure.Detail == ""):
			t.Errorf("error %v is not a full provider.Error", err)
		case err != nil && failure.Kind == provider.Invalid && (status >= 500 || status > 200 && status < 400):
			t.Errorf("status %d made %v", status, failure)
		}
	})
}
