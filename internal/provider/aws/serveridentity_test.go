package aws_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

const sessionKeyID = "ASIAIOSFODNN7EXAMPLE"

// metadata behaves like the instance metadata service, version 2, and like a container endpoint at /creds.
type metadata struct {
	expires time.Time
	fetched atomic.Int32
}

func (m *metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const base = "/latest/meta-data/iam/security-credentials/"
	session := r.Header.Get("X-Aws-Ec2-Metadata-Token") == "imds-EXAMPLE"
	switch {
	case r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
		fmt.Fprint(w, "imds-EXAMPLE")
	case r.URL.Path == base && session:
		fmt.Fprintln(w, "server-role")
	case r.URL.Path == base+"server-role" && session, r.URL.Path == "/creds" && r.Header.Get("Authorization") == "pod-EXAMPLE":
		m.fetched.Add(1)
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":"tok-EXAMPLE","Expiration":%q}`,
			sessionKeyID, secret, m.expires.Format(time.RFC3339))
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// identityOf makes a ServerIdentity whose clock is *now, whose environment is env and whose files are files.
func identityOf(t *testing.T, now *time.Time, env, files map[string]string) (*aws.ServerIdentity, *metadata, *fakeaws.Server) {
	t.Helper()
	m := &metadata{expires: start().Add(time.Hour)}
	machine := httptest.NewServer(m)
	sts := fakeaws.New(start)
	sts.AddRole(fakeaws.Role{ARN: roleARN, WebIdentityToken: "oidc-EXAMPLE"})
	stsServer := httptest.NewServer(sts)
	t.Cleanup(machine.Close)
	t.Cleanup(stsServer.Close)
	endpoint, err := provider.ParseEndpoint(stsServer.URL)
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(machine.URL)
	if err != nil {
		t.Fatal(err)
	}
	if path, ok := env["AWS_CONTAINER_CREDENTIALS_FULL_URI"]; ok && path == "/creds" {
		env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = machine.URL + path
	}
	return aws.NewServerIdentity(aws.ServerIdentityConfig{
		Client:      aws.New(aws.Config{Endpoint: endpoint, Now: func() time.Time { return *now }, Sleep: noSleep}),
		Getenv:      func(name string) string { return env[name] },
		MetadataURL: base,
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
	}), m, sts
}

func TestServerIdentitySources(t *testing.T) {
	tests := []struct {
		name  string
		env   map[string]string
		files map[string]string
		want  string // access key id, or its first letters; empty: no identity
	}{
		{"environment keys win", map[string]string{
			"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secret, "AWS_WEB_IDENTITY_TOKEN_FILE": "/t",
		}, nil, keyID},
		{"half of a pair is no pair", map[string]string{"AWS_ACCESS_KEY_ID": keyID}, nil, sessionKeyID},
		{"web identity", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": roleARN}, map[string]string{"/t": "oidc-EXAMPLE\n"}, "ASIA"},
		{"web identity refused", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": roleARN}, map[string]string{"/t": "other"}, ""},
		{"web identity file missing", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": roleARN}, nil, ""},
		{"container with token", map[string]string{
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": "/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-EXAMPLE",
		}, nil, sessionKeyID},
		{"container with token file", map[string]string{
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": "/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/p",
		}, map[string]string{"/p": "pod-EXAMPLE\n"}, sessionKeyID},
		{"container without token", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "/creds"}, nil, ""},
		{"container elsewhere over http", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://203.0.113.1/creds"}, nil, ""},
		{"instance metadata", nil, nil, sessionKeyID},
		{"instance metadata switched off", map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := start()
			identity, _, _ := identityOf(t, &now, tt.env, tt.files)
			keys, err := identity.Keys(t.Context())
			if tt.want == "" {
				check(t, err, provider.Inconclusive, "server_identity")
				return
			}
			if err != nil || len(keys.AccessKeyID) != 20 || keys.AccessKeyID[:len(tt.want)] != tt.want {
				t.Errorf("Keys = %s, %v; want %s", keys.AccessKeyID, err, tt.want)
			}
		})
	}
}

func TestServerIdentityIsKeptUntilShortlyBeforeItExpires(t *testing.T) {
	now := start()
	identity, m, _ := identityOf(t, &now, nil, nil)
	for _, step := range []struct {
		after time.Duration
		want  int32
	}{{0, 1}, {54 * time.Minute, 1}, {55 * time.Minute, 2}} {
		now = start().Add(step.after)
		if step.want == 2 {
			m.expires = start().Add(2 * time.Hour)
		}
		if _, err := identity.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := m.fetched.Load(); got != step.want {
			t.Errorf("after %v: fetched %d times, want %d", step.after, got, step.want)
		}
	}
}

func TestServerIdentityIgnoresExpiredKeys(t *testing.T) {
	now := start().Add(3 * time.Hour)
	identity, _, _ := identityOf(t, &now, nil, nil)
	keys, err := identity.Keys(t.Context())
	var failure *provider.Error
	if !errors.As(err, &failure) || keys != (aws.Keys{}) {
		t.Errorf("Keys = %v, %v; want an error", keys, err)
	}
}
