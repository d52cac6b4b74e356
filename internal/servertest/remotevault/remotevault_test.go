// Package remotevault_test runs a whole server whose secrets are in OpenBao: what the replicas of an installation share.
package remotevault_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

const rootToken = "s.EXAMPLEroot"

// secret is what the tests store and look for.
const secret = "wJalrXUtnFEMI-EXAMPLE-KEY"

// start starts a server on a fake of OpenBao, logged in with a token file.
func start(t *testing.T, flags map[string]string) (*servertest.Server, *bao.Server) {
	t.Helper()
	fake := bao.New(nil, rootToken)
	listener := httptest.NewServer(fake)
	t.Cleanup(listener.Close)
	all := map[string]string{"vault": "openbao", "vault-addr": listener.URL, "vault-token-file": file(t, rootToken)}
	for name, value := range flags {
		all[name] = value
	}
	return servertest.MustStart(t, all), fake
}

// file writes a private file and returns its path.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustStore makes a workspace with one credential whose secret is stored, and returns the ids of both.
func mustStore(t *testing.T, s *servertest.Server) (workspace, credential string) {
	t.Helper()
	project, err := s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "token", CredentialType: "generic_env"})
	if err != nil {
		t.Fatal(err)
	}
	if reply := s.MustCall(t, s.OwnerKey, "POST", "/credential-configs/"+c.ID+"/secrets", `{"data":{"TF_VAR_token":"`+secret+`"}}`); reply.Status >= 300 {
		t.Fatalf("storing a secret: %d %s", reply.Status, reply.Body)
	}
	w, err := s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "prod", ProjectID: project.ID, CredentialConfigIDs: []string{c.ID}})
	if err != nil {
		t.Fatal(err)
	}
	return w.ID, c.ID
}

// wantDelivered fails the test unless a workspace is delivered its secret.
func wantDelivered(t *testing.T, s *servertest.Server, workspace string) {
	t.Helper()
	reply := s.MustCall(t, s.OwnerKey, "POST", "/workspaces/"+workspace+"/environment", "")
	if reply.Status != http.StatusOK || !strings.Contains(reply.Body, secret) {
		t.Errorf("the delivery: %d, with the secret: %t", reply.Status, strings.Contains(reply.Body, secret))
	}
}

func TestServerOnOpenBao(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags map[string]string
		seen  bool // OpenBao sees secrets
	}{
		{"with the envelope", nil, false},
		{"without the envelope", map[string]string{"vault-envelope": "off"}, true},
		{"elsewhere", map[string]string{"vault-prefix": "teams/a"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, fake := start(t, test.flags)
			workspace, credential := mustStore(t, s)
			wantDelivered(t, s, workspace)
			if seen := holds(fake, secret); seen != test.seen {
				t.Errorf("OpenBao holds the secret: %t, want %t", seen, test.seen)
			}
			s.MustStop(t)
			s.MustRun(t)
			s.Owner = s.MustClient(t, s.OwnerKey)
			wantDelivered(t, s, workspace)

			if err := s.Owner.DeleteWorkspace(t.Context(), workspace); err != nil {
				t.Fatal(err)
			}
			if err := s.Owner.DeleteCredentialConfig(t.Context(), credential); err != nil {
				t.Fatal(err)
			}
			wantPaths(t, fake)
		})
	}
}

// holds reports whether anything in the engine contains a text, plainly or as base64 at any offset.
func holds(fake *bao.Server, text string) bool {
	for _, stored := range fake.Everything("", "secret") {
		for _, form := range forms(text) {
			if bytes.Contains(stored, form) {
				return true
			}
		}
	}
	return false
}

// wantPaths checks that no path was ever made of a client's words: only references that we made.
func wantPaths(t *testing.T, fake *bao.Server) {
	t.Helper()
	path := regexp.MustCompile(`^secret/(data|metadata)/[a-z/]+/(vault|secrets|secrets/[0-9a-v]{32})$`)
	outside := regexp.MustCompile(`^(auth/token/(lookup|renew)-self|sys/internal/ui/mounts/secret|sys/(health|leader|capabilities-self)|secret/config)$`)
	for _, call := range fake.Calls() {
		if !path.MatchString(call.Path) && !outside.MatchString(call.Path) {
			t.Errorf("%s %s is none of the paths that the server uses", call.Method, call.Path)
		}
	}
}

func TestSealedVaultIsNotReady(t *testing.T) {
	s, fake := start(t, nil)
	workspace, _ := mustStore(t, s)
	fake.SetState(bao.Sealed)
	reply := s.MustCall(t, s.OwnerKey, "POST", "/credential-configs", `{"name":"other","credential_type":"generic_env"}`)
	if reply.Status != http.StatusCreated {
		t.Errorf("metadata alone: got %d %s, want 201", reply.Status, reply.Body)
	}
	reply = s.MustCall(t, s.OwnerKey, "GET", "/readyz", "")
	if reply.Status != http.StatusServiceUnavailable || !strings.Contains(reply.Body, "vault_sealed") {
		t.Errorf("/readyz of a sealed vault: %d %s, want 503 and why", reply.Status, reply.Body)
	}
	if !strings.Contains(s.Log.String(), "The vault is sealed.") {
		t.Errorf("the log does not say that the vault is sealed:\n%s", s.Log)
	}
	fake.SetState(bao.Active)
	wantDelivered(t, s, workspace)
}

// TestReadyTellsWhy has the vault not answer for each reason that there is: /readyz tells them apart, in nothing but our own words.
func TestReadyTellsWhy(t *testing.T) {
	tests := []struct {
		name  string
		state bao.State
		code  string
	}{
		{"sealed", bao.Sealed, "vault_sealed"},
		{"standby", bao.Standby, "vault_standby"},
		{"not initialised", bao.Uninitialised, "vault_uninitialised"},
		{"rate limited", bao.RateLimited, "vault_throttled"},
		{"unreachable", "", "vault_unreachable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := bao.New(nil, rootToken)
			listener := httptest.NewServer(fake)
			defer listener.Close()
			s := servertest.MustStart(t, map[string]string{"vault": "openbao", "vault-addr": listener.URL, "vault-token-file": file(t, rootToken)})
			if tt.state == "" {
				listener.Close()
			} else {
				fake.SetState(tt.state)
			}
			reply := s.MustCall(t, "", "GET", "/readyz", "")
			if reply.Status != http.StatusServiceUnavailable || !strings.Contains(reply.Body, `"code":"`+tt.code+`"`) || reply.Header.Get("Retry-After") == "" {
				t.Errorf("got %d %s, want 503 %s with a time to come back", reply.Status, reply.Body, tt.code)
			}
			if address := strings.TrimPrefix(listener.URL, "http://"); strings.Contains(reply.Body, address) {
				t.Errorf("it names the vault's address: %s", reply.Body)
			}
		})
	}
}

func TestRotationOverOpenBao(t *testing.T) {
	s, _ := start(t, nil)
	workspace, _ := mustStore(t, s)
	before, err := s.Owner.VaultKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Owner.RotateVaultKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := before.Keys[0].ID
	for tries := 0; ; tries++ {
		err := s.Owner.RemoveVaultKey(t.Context(), old)
		if err == nil {
			break
		}
		if tries == 500 {
			t.Fatalf("the old key cannot be removed: %v", err)
		}
	}
	wantDelivered(t, s, workspace)
	s.MustStop(t)
	s.MustRun(t)
	wantDelivered(t, s, workspace)
}

func TestRotationWithoutEnvelopeIsRefused(t *testing.T) {
	s, _ := start(t, map[string]string{"vault-envelope": "off"})
	_, err := s.Owner.RotateVaultKey(t.Context())
	var problem *sdk.Error
	if !errors.As(err, &problem) || problem.Status != http.StatusUnprocessableEntity {
		t.Errorf("got %v, want 422", err)
	}
}

func TestSettings(t *testing.T) {
	none := func(string) string { return "" }
	for _, test := range []struct {
		name  string
		flags map[string]string
		env   map[string]string
		want  string // in the error; empty: none
	}{
		{"token of the environment", map[string]string{"vault": "openbao"}, map[string]string{"BAO_ADDR": "https://bao.example", "BAO_TOKEN": "s.EXAMPLE"}, ""},
		{"HashiCorp's names", map[string]string{"vault": "openbao"}, map[string]string{"VAULT_ADDR": "https://vault.example", "VAULT_TOKEN": "s.EXAMPLE"}, ""},
		{"no login", map[string]string{"vault": "openbao"}, nil, "say how to log in"},
		{"two logins", map[string]string{"vault": "openbao", "vault-kubernetes-role": "r"}, map[string]string{"BAO_TOKEN": "s.EXAMPLE"}, "token, kubernetes"},
		{"another login than said", map[string]string{"vault": "openbao", "vault-auth": "approle"}, map[string]string{"BAO_TOKEN": "s.EXAMPLE"}, "--vault-auth approle does not go"},
		{"half an AppRole", map[string]string{"vault": "openbao", "vault-role-id": "r"}, nil, "go together"},
		{"a key of no use", map[string]string{"vault": "openbao", "vault-envelope": "off", "key-file": "/k"}, map[string]string{"BAO_TOKEN": "s.EXAMPLE"}, "of no use"},
		{"another vault", map[string]string{"vault": "safe"}, nil, "embedded or openbao"},
		{"a token that nobody uses", nil, map[string]string{"VAULT_TOKEN": "s.EXAMPLE"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			getenv := none
			if test.env != nil {
				getenv = func(name string) string { return test.env[name] }
			}
			_, err := server.LoadConfig(test.flags, getenv)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestMaintenanceOverOpenBao runs the commands for a server that is stopped.
func TestMaintenanceOverOpenBao(t *testing.T) {
	fake := bao.New(nil, rootToken)
	listener := httptest.NewServer(fake)
	t.Cleanup(listener.Close)
	flags := map[string]string{"vault": "openbao", "vault-addr": listener.URL, "vault-token-file": file(t, rootToken)}
	s := servertest.MustStart(t, flags)
	mustStore(t, s)
	s.MustStop(t)

	flags["data-dir"] = s.DataDir
	config, err := server.LoadConfig(flags, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := server.RotateKey(t.Context(), config, false, &out, &out); err != nil || !strings.Contains(out.String(), "secret versions left: 0") {
		t.Errorf("rotating the key: %v\n%s", err, &out)
	}
	out.Reset()
	if err := server.Fsck(t.Context(), config, false, &out, &out); err != nil || !strings.Contains(out.String(), "clean") {
		t.Errorf("fsck: %v\n%s", err, &out)
	}
	fake.AddEngine("", "secret")
	if err := server.Fsck(t.Context(), config, false, &out, &out); err == nil || !strings.Contains(err.Error(), "there is no vault under") {
		t.Errorf("fsck of a vault that was emptied: got %v", err)
	}
}
