package provider_test

import (
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/provider"
)

func TestParseEndpoint(t *testing.T) {
	tests := []struct {
		name string
		raw  string
		want string // empty: refused
	}{
		{"https", "https://sts.example.com", "https://sts.example.com"},
		{"trailing slash", "https://sts.example.com/", "https://sts.example.com"},
		{"path and port", "https://proxy.example:8443/client/v4/", "https://proxy.example:8443/client/v4"},
		{"private https", "https://10.0.0.5", "https://10.0.0.5"},
		{"http to loopback", "http://127.0.0.1:4566", "http://127.0.0.1:4566"},
		{"http to localhost", "http://localhost:4566/x", "http://localhost:4566/x"},
		{"http to v6 loopback", "http://[::1]:4566", "http://[::1]:4566"},
		{"http elsewhere", "http://sts.example.com", ""},
		{"http to private", "http://10.0.0.5", ""},
		{"http to a name that begins like loopback", "http://127.0.0.1.evil.example", ""},
		{"http to localhost's namesake", "http://localhost.evil.example", ""},
		{"no scheme", "sts.example.com", ""},
		{"other scheme", "file:///etc/passwd", ""},
		{"gopher", "gopher://127.0.0.1:6379/_x", ""},
		{"opaque", "https:sts.example.com", ""},
		{"no host", "https://", ""},
		{"only a port", "https://:443", ""},
		{"user", "https://user:EXAMPLE-canary@sts.example.com", ""},
		{"query", "https://sts.example.com/?EXAMPLE-canary=1", ""},
		{"empty query", "https://sts.example.com/?", ""},
		{"fragment", "https://evil.example/#sts.amazonaws.com", ""},
		{"empty fragment", "https://evil.example/#", ""},
		{"port 0", "https://sts.example.com:0", ""},
		{"port too large", "https://sts.example.com:65536", ""},
		{"no port after colon", "https://sts.example.com:", ""},
		{"control character", "https://sts.example.com/\x00EXAMPLE-canary", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := provider.ParseEndpoint(tt.raw)
			if tt.want == "" {
				if err == nil {
					t.Fatalf("ParseEndpoint(%q) = %v, want an error", tt.raw, got)
				}
				if strings.Contains(err.Error(), "EXAMPLE-canary") {
					t.Errorf("the error repeats the input: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("ParseEndpoint(%q): %v", tt.raw, err)
			}
			if got.String() != tt.want {
				t.Errorf("ParseEndpoint(%q) = %s, want %s", tt.raw, got, tt.want)
			}
		})
	}
}
