package gcp_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2/jwt"

	fakegcp "github.com/forgecroft/forgecroft/internal/fake/gcp"
)

// TestTheLibrarysOwnFlow lets x/oauth2, which signs for the token URL it calls, be the arbiter.
func TestTheLibrarysOwnFlow(t *testing.T) {
	now := time.Now()
	fake := fakegcp.New(func() time.Time { return now })
	server := httptest.NewServer(fake)
	defer server.Close()
	file, err := fake.CreateAccount("ci", "demo-project")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(file, &fields); err != nil {
		t.Fatal(err)
	}
	config := jwt.Config{
		Email: fields["client_email"], PrivateKey: []byte(fields["private_key"]), PrivateKeyID: fields["private_key_id"],
		Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}, TokenURL: server.URL + "/token", Audience: fakegcp.TokenURL,
	}
	token, err := config.TokenSource(t.Context()).Token()
	if err != nil || !token.Valid() {
		t.Fatalf("Token = %v, %v", token, err)
	}
	tests := []struct {
		name  string
		setup func(*jwt.Config)
		want  string
	}{
		{"wrong key id", func(c *jwt.Config) { c.PrivateKeyID = "0" }, "Invalid JWT Signature."},
		{"unknown account", func(c *jwt.Config) { c.Email = "eve@demo-project.iam.gserviceaccount.com" }, "account not found"},
		{"wrong audience", func(c *jwt.Config) { c.Audience = "https://elsewhere.example/token" }, "Failed audience check"},
		{"too long a life", func(c *jwt.Config) { c.Expires = 2 * time.Hour }, "short-lived token"},
		{"no scope", func(c *jwt.Config) { c.Scopes = nil }, "invalid_scope"},
		{"wrong clock", func(*jwt.Config) { now = now.Add(-2 * time.Hour) }, "short-lived token"},
		{"key disabled", func(c *jwt.Config) { fake.SetKeyDisabled(c.Email, true) }, "Invalid JWT Signature."},
		{"account deleted", func(c *jwt.Config) { fake.DeleteAccount(c.Email) }, "account not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := config
			tt.setup(&changed)
			_, err := changed.TokenSource(t.Context()).Token()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Token: %v, want %q", err, tt.want)
			}
		})
	}
	if calls := fake.Calls(); len(calls) != 9 || calls[0].Code != "" || calls[1].Code != "invalid_grant" {
		t.Errorf("calls = %+v", calls)
	}
}
