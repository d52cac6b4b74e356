package openbao_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// real is a real server, in which a test may do as it likes: BAO_ADDR names it, BAO_TOKEN is a root token. `make test-openbao` runs these tests.
type real struct{ address, token string }

// realServer finds the real server, or skips the test.
func realServer(t *testing.T) real {
	t.Helper()
	r := real{os.Getenv("BAO_ADDR"), os.Getenv("BAO_TOKEN")}
	if r.address == "" || r.token == "" {
		t.Skip("BAO_ADDR and BAO_TOKEN name no real server")
	}
	return r
}

// options opens a vault under a prefix of the test's own.
func (r real) options() openbao.Options {
	return openbao.Options{
		Address: r.address, Auth: openbao.Token(forgecroft.NewSecret(r.token)), Keys: &keys{},
		Prefix: "forgecroft-test/" + string(vaulttest.NewReference()),
	}
}

// must makes a call of the API and returns what its answer holds under data or auth.
func (r real) must(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, r.address+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", r.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s, %v", method, path, response.StatusCode, said, err)
	}
	var answer struct{ Data, Auth map[string]any }
	if len(said) > 0 {
		if err := json.Unmarshal(said, &answer); err != nil {
			t.Fatal(err)
		}
	}
	if answer.Auth != nil {
		return answer.Auth
	}
	return answer.Data
}

func TestRealConformance(t *testing.T) {
	r := realServer(t)
	for _, variant := range []struct {
		name   string
		adjust func(o *openbao.Options)
	}{
		{"with the envelope", func(*openbao.Options) {}},
		{"with hardly any cache", func(o *openbao.Options) { o.CacheBytes = 1 }},
		{"without the envelope", func(o *openbao.Options) { o.Keys = nil }},
	} {
		t.Run(variant.name, func(t *testing.T) {
			vaulttest.Run(t, func(t *testing.T) vaulttest.Fixture {
				o := r.options()
				variant.adjust(&o)
				v := mustOpen(t, o)
				return vaulttest.Fixture{Vault: v, Reopen: func(t *testing.T) forgecroft.Vault {
					mustClose(t, v)
					o.MustExist = true
					return mustOpen(t, o)
				}}
			})
		})
	}
}

// TestRealRights runs with the policy that the documentation gives, and nothing more, logged in by AppRole with a secret id for two uses.
func TestRealRights(t *testing.T) {
	r := realServer(t)
	o := r.options()
	policy := &strings.Builder{}
	for path, capabilities := range documentedPolicy() {
		text, err := json.Marshal(capabilities)
		if err != nil {
			t.Fatal(err)
		}
		policy.WriteString(`path "` + strings.Replace(path, "forgecroft", o.Prefix, 1) + `" { capabilities = ` + string(text) + " }\n")
	}
	name := filepath.Base(o.Prefix)
	r.must(t, "POST", "sys/policies/acl/"+name, map[string]string{"policy": policy.String()})
	r.must(t, "POST", "sys/auth/"+name, map[string]string{"type": "approle"})
	role := "auth/" + name + "/role/forgecroft"
	r.must(t, "POST", role, map[string]any{"token_policies": name, "token_ttl": "60s", "token_max_ttl": "90s", "secret_id_num_uses": 2})
	file := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(file, []byte(r.must(t, "POST", role+"/secret-id", nil)["secret_id"].(string)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock := newClock()
	o.Clock = clock.clock()
	o.Auth = openbao.AppRole(name, r.must(t, "GET", role+"/role-id", nil)["role_id"].(string), file)
	v := mustOpen(t, o)

	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	mustRotate(t, v)
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	if err := v.Destroy(t.Context(), ref); err != nil {
		t.Errorf("Destroy: %v", err)
	}
	if refs, err := v.References(t.Context(), "", 10); err != nil || len(refs) != 0 {
		t.Errorf("References: %v, %v", refs, err)
	}

	// At two thirds of its life the token is renewed by the real server, which is not impressed by our clock.
	clock.advance(t, minute*2/3)
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check after the renewal: %v", err)
	}
}

// TestRealRefusals opens a vault where it cannot work.
func TestRealRefusals(t *testing.T) {
	r := realServer(t)
	forgetful, old := string(vaulttest.NewReference()), string(vaulttest.NewReference())
	r.must(t, "POST", "sys/mounts/"+forgetful, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	r.must(t, "POST", "sys/mounts/"+old, map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	for until := 0; ; until++ { // A new engine refuses its settings until it has set itself up.
		if v, err := openbao.Open(t.Context(), withMount(r.options(), forgetful)); err == nil {
			mustClose(t, v)
			break
		} else if until == 100 {
			t.Fatal(err)
		}
	}
	r.must(t, "POST", forgetful+"/config", map[string]string{"delete_version_after": "1h"})
	for _, test := range []struct{ name, mount, want string }{
		{"forgetful", forgetful, "deletes every version after 1h0m0s"},
		{"version 1", old, "no key-value engine of version 2"},
		{"no such mount", string(vaulttest.NewReference()), "denies access"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := openbao.Open(t.Context(), withMount(r.options(), test.mount))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	o := r.options()
	o.Auth = openbao.Token(forgecroft.NewSecret("s.EXAMPLEunknown"))
	if _, err := openbao.Open(t.Context(), o); !errors.Is(err, forgecroft.KindUnavailable) || codeOf(err) != "vault_login_refused" {
		t.Errorf("an unknown token: got %v", err)
	}
}

func withMount(o openbao.Options, mount string) openbao.Options {
	o.Mount = mount
	return o
}
