package cloudflare_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
)

func TestTokensAreKnownToTheirOwnEndpointOnly(t *testing.T) {
	const (
		user    = "/client/v4/user/tokens/verify"
		account = "/client/v4/accounts/acc/tokens/verify"
	)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	fake := fakecloudflare.New(func() time.Time { return now })
	fake.AddToken(fakecloudflare.Token{Value: "u-EXAMPLE", ID: "u", ExpiresOn: now})
	fake.AddToken(fakecloudflare.Token{Value: "a-EXAMPLE", ID: "a", AccountID: "acc", NotBefore: now})
	fake.AddToken(fakecloudflare.Token{Value: "d-EXAMPLE", ID: "d"})
	fake.SetStatus("d-EXAMPLE", fakecloudflare.Disabled)
	fake.AddToken(fakecloudflare.Token{Value: "x-EXAMPLE", ID: "x"})
	fake.DeleteToken("x-EXAMPLE")
	tests := []struct {
		name, path, authorization string
		wantStatus                int
		want                      string
	}{
		{"user's, expired", user, "Bearer u-EXAMPLE", 200, `"status":"expired"`},
		{"account's", account, "Bearer a-EXAMPLE", 200, `"not_before":"2026-11-23T12:00:00Z","status":"active"`},
		{"disabled", user, "Bearer d-EXAMPLE", 200, `"status":"disabled"`},
		{"user's at an account", account, "Bearer u-EXAMPLE", 401, `"code":1000`},
		{"account's at the user", user, "Bearer a-EXAMPLE", 401, `"code":1000`},
		{"account's at another account", "/client/v4/accounts/other/tokens/verify", "Bearer a-EXAMPLE", 401, `"code":1000`},
		{"deleted", user, "Bearer x-EXAMPLE", 401, `"code":1000`},
		{"no token", user, "", 400, `"code":6003`},
		{"a key instead", user, "Basic x", 400, `"code":6003`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, tt.path, nil)
			req.Header.Set("Authorization", tt.authorization)
			recorder := httptest.NewRecorder()
			fake.ServeHTTP(recorder, req)
			body, _ := io.ReadAll(recorder.Body)
			if recorder.Code != tt.wantStatus || !strings.Contains(string(body), tt.want) {
				t.Errorf("answer = %d %s, want %d %s", recorder.Code, body, tt.wantStatus, tt.want)
			}
		})
	}
	if calls := fake.Calls(); len(calls) != len(tests) || calls[0].TokenID != "u" || calls[3].Code != 1000 {
		t.Errorf("calls = %+v", calls)
	}
}
