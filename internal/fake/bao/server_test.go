package bao_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
)

const rootToken = "s.EXAMPLEroot"

// target is a server under test.
type target struct{ url, token string }

// answer is what it said.
type answer struct {
	status  int
	header  http.Header
	members map[string]any
}

// call makes one call. A path may have a query.
func (x target) call(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, x.url+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", x.token)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.members); err != nil {
			t.Fatalf("%s %s: %q is no JSON", method, path, text)
		}
	}
	return a
}

// newFake starts a fake.
func newFake(t testing.TB, now func() time.Time) (*bao.Server, target) {
	t.Helper()
	fake := bao.New(now, rootToken)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, target{server.URL, rootToken}
}

// anyWords stands for errors whose words differ between releases, or between the root tokens of `bao operator init` and `bao server -dev`.
var anyWords = []string{"*"}

// script is what is asked of the fake and of the real server, in order. In paths and errors, $ stands for a folder that is empty at first.
var script = []struct {
	method, path, body string
	status             int
	errors             []string // nil: the answer has none
	data               string   // members of data, or of the object in data that a dot leads to, that must be so; empty: whatever
}{
	{"GET", "secret/data/$/a", "", 404, []string{}, ""},
	{"GET", "secret/metadata/$/a", "", 404, []string{}, ""},
	{"LIST", "secret/metadata/$", "", 404, []string{}, ""},
	{"POST", "secret/data/$/a", `{"options":{"cas":0},"data":{"k":"v1"}}`, 200, nil, `{"version":1,"destroyed":false,"deletion_time":"","custom_metadata":null}`},
	{"POST", "secret/data/$/a", `{"options":{"cas":0},"data":{"k":"v2"}}`, 400, []string{"check-and-set parameter did not match the current version"}, ""},
	{"PUT", "secret/data/$/a", `{"options":{"cas":1},"data":{"k":"v2"}}`, 200, nil, `{"version":2}`},
	{"POST", "secret/data/$/a", `{"options":{"cas":5},"data":{"k":"v3"}}`, 400, []string{"check-and-set parameter did not match the current version"}, ""},
	{"GET", "secret/data/$/a", "", 200, nil, `{"data":{"k":"v2"}}`},
	{"GET", "secret/data/$/a?version=1", "", 200, nil, `{"data":{"k":"v1"}}`},
	{"GET", "secret/data/$/a?version=9", "", 404, []string{}, ""},
	{"POST", "secret/data/$/a", `{}`, 400, []string{"no data provided"}, ""},
	{"POST", "secret/data/$/a", `{bad`, 400, anyWords, ""},
	{"GET", "secret/metadata/$/a", "", 200, nil, `{"current_version":2,"max_versions":0,"oldest_version":0,"cas_required":false,"delete_version_after":"0s"}`},
	{"POST", "secret/destroy/$/a", `{"versions":[1]}`, 204, nil, ""},
	{"GET", "secret/data/$/a?version=1", "", 404, nil, `{"data":null}`},
	{"POST", "secret/undelete/$/a", `{"versions":[1]}`, 204, nil, ""},
	{"GET", "secret/data/$/a?version=1", "", 404, nil, `{"data":null}`},
	{"POST", "secret/destroy/$/a", `{}`, 400, []string{"no version number provided"}, ""},
	{"POST", "secret/destroy/$/absent", `{"versions":[1]}`, 204, nil, ""},
	{"GET", "secret/metadata/$/absent", "", 404, []string{}, ""},
	{"DELETE", "secret/data/$/a", "", 204, nil, ""},
	{"GET", "secret/data/$/a", "", 404, nil, `{"data":null}`},
	{"POST", "secret/data/$/a", `{"options":{"cas":0},"data":{"k":"v"}}`, 400, []string{"check-and-set parameter did not match the current version"}, ""},
	{"POST", "secret/undelete/$/a", `{"versions":[2]}`, 204, nil, ""},
	{"GET", "secret/data/$/a", "", 200, nil, `{"data":{"k":"v2"}}`},
	{"POST", "secret/data/$/b", `{"data":{"k":"v"}}`, 200, nil, `{"version":1}`},
	{"POST", "secret/data/$/c/d", `{"data":{"k":"v"}}`, 200, nil, `{"version":1}`},
	{"LIST", "secret/metadata/$", "", 200, nil, `{"keys":["a","b","c/"]}`},
	{"LIST", "secret/metadata/$/", "", 200, nil, `{"keys":["a","b","c/"]}`},
	{"GET", "secret/metadata/$?list=true&limit=2", "", 200, nil, `{"keys":["a","b"]}`},
	{"GET", "secret/metadata/$?list=true&after=a&limit=1", "", 200, nil, `{"keys":["b"]}`},
	{"GET", "secret/metadata/$?list=true&after=aa", "", 200, nil, `{"keys":["b","c/"]}`},
	{"GET", "secret/metadata/$?list=true&after=d", "", 404, []string{}, ""},
	{"POST", "secret/metadata/$/a", `{"max_versions":1}`, 204, nil, ""},
	{"POST", "secret/data/$/a", `{"options":{"cas":2},"data":{"k":"v3"}}`, 200, nil, `{"version":3}`},
	{"GET", "secret/data/$/a?version=2", "", 404, []string{}, ""},
	{"DELETE", "secret/metadata/$/a", "", 204, nil, ""},
	{"DELETE", "secret/metadata/$/a", "", 204, nil, ""},
	{"GET", "secret/metadata/$/a", "", 404, []string{}, ""},
	{"POST", "secret/data/$/a", `{"options":{"cas":0},"data":{"k":"again"}}`, 200, nil, `{"version":1}`},
	{"POST", "secret/metadata/$/made", `{"max_versions":1}`, 204, nil, ""},
	{"GET", "secret/metadata/$/made", "", 200, nil, `{"current_version":0,"versions":{}}`},
	{"GET", "secret/data/$/made", "", 404, []string{}, ""},
	{"GET", "nowhere/data/$", "", 404, []string{`no handler for route "nowhere/data/$". route entry not found.`}, ""},
	{"DELETE", "nowhere/metadata/$", "", 404, []string{`no handler for route "nowhere/metadata/$". route entry not found.`}, ""},
	{"GET", "secret/config", "", 200, nil, `{"delete_version_after":"0s","cas_required":false}`},
	{"GET", "sys/internal/ui/mounts/secret", "", 200, nil, `{"path":"secret/","type":"kv","options":{"version":"2"}}`},
	{"GET", "sys/internal/ui/mounts/nowhere", "", 403, []string{`preflight capability check returned 403, please ensure client's policies grant access to path "nowhere/"`}, ""},
	{"GET", "auth/token/lookup-self", "", 200, nil, `{"ttl":0,"creation_ttl":0,"expire_time":null,"policies":["root"],"type":"service"}`},
	{"POST", "auth/token/renew-self", "", 400, anyWords, ""},
}

// TestScript runs the script against the fake, and against a real server where BAO_ADDR and BAO_TOKEN name one.
func TestScript(t *testing.T) {
	_, fake := newFake(t, nil)
	t.Run("fake", func(t *testing.T) { runScript(t, fake) })
	t.Run("real", func(t *testing.T) { runScript(t, realServer(t)) })
}

// realServer is the real server, or the end of the test.
func realServer(t *testing.T) target {
	t.Helper()
	x := target{os.Getenv("BAO_ADDR"), os.Getenv("BAO_TOKEN")}
	if x.url == "" || x.token == "" {
		t.Skip("BAO_ADDR and BAO_TOKEN name no real server")
	}
	return x
}

func runScript(t *testing.T, x target) {
	folder := fmt.Sprintf("fake-test-%d", time.Now().UnixNano())
	here := func(text string) string { return strings.ReplaceAll(text, "$", folder) }
	for i, step := range script {
		name := fmt.Sprintf("step %d, %s %s", i, step.method, step.path)
		got := x.call(t, step.method, here(step.path), step.body)
		if got.status != step.status {
			t.Errorf("%s: status %d %v, want %d", name, got.status, got.members, step.status)
			continue
		}
		if slices.Equal(step.errors, anyWords) {
			if said, _ := got.members["errors"].([]any); len(said) == 0 {
				t.Errorf("%s: no errors in %v", name, got.members)
			}
			continue
		}
		var want any
		if step.errors != nil {
			list := []any{}
			for _, text := range step.errors {
				list = append(list, here(text))
			}
			want = list
		}
		if diff := cmp.Diff(want, got.members["errors"]); diff != "" {
			t.Errorf("%s: errors (-want +got):\n%s", name, diff)
		}
		if step.data != "" {
			wantMembers(t, name, step.data, got.members["data"])
		}
	}
}

// wantMembers compares the members of an object that are named.
func wantMembers(t *testing.T, name, want string, got any) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(want), &members); err != nil {
		t.Fatal(err)
	}
	object, _ := got.(map[string]any)
	for member, value := range members {
		if diff := cmp.Diff(value, object[member]); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, member, diff)
		}
	}
}

func TestStates(t *testing.T) {
	for _, test := range []struct {
		state          bao.State
		health, status int
	}{
		{bao.Active, 200, 200},
		{bao.Sealed, 503, 503},
		{bao.Uninitialised, 501, 503},
		{bao.Standby, 429, 500},
		{bao.RecoverySecondary, 472, 400},
		{bao.PerformanceStandby, 473, 200},
		{bao.RateLimited, 200, 429},
	} {
		t.Run(string(test.state), func(t *testing.T) {
			fake, x := newFake(t, nil)
			fake.SetState(test.state)
			if got := x.call(t, "GET", "sys/health", ""); got.status != test.health {
				t.Errorf("health: %d, want %d", got.status, test.health)
			}
			got := x.call(t, "GET", "auth/token/lookup-self", "")
			if got.status != test.status {
				t.Errorf("anything else: %d, want %d", got.status, test.status)
			}
			if after := got.header.Get("Retry-After"); (after != "") != (test.state == bao.RateLimited) {
				t.Errorf("Retry-After is %q", after)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	fake, root := newFake(t, func() time.Time { return now })
	fake.AddToken("", "s.EXAMPLE", bao.Life{TTL: time.Minute, Max: 90 * time.Second})
	x := target{root.url, "s.EXAMPLE"}
	status := func(method, path string) int { t.Helper(); return x.call(t, method, path, "").status }
	now = now.Add(59 * time.Second)
	if got := x.call(t, "POST", "auth/token/renew-self", "{}"); got.members["auth"].(map[string]any)["lease_duration"] != 31.0 {
		t.Errorf("a renewal near the end of the maximal life: %v, want 31 s", got.members["auth"])
	}
	now = now.Add(30 * time.Second)
	if got := status("GET", "auth/token/lookup-self"); got != 200 {
		t.Errorf("a second before the end: %d", got)
	}
	now = now.Add(time.Second)
	if got := status("GET", "auth/token/lookup-self"); got != 403 {
		t.Errorf("at the end: %d, want 403", got)
	}
	fake.AddToken("", "s.EXAMPLE", bao.Life{TTL: time.Minute, NoRenew: true})
	if got := status("POST", "auth/token/renew-self"); got != 400 {
		t.Errorf("renewing what cannot be renewed: %d, want 400", got)
	}
	if got := status("POST", "auth/token/revoke-self"); got != 204 {
		t.Errorf("revoking: %d, want 204", got)
	}
	if got := status("GET", "auth/token/lookup-self"); got != 403 {
		t.Errorf("after revoking: %d, want 403", got)
	}
}

func TestPolicies(t *testing.T) {
	fake, root := newFake(t, nil)
	fake.AddPolicy("", "p", bao.Policy{"secret/data/a/*": {"create", "read"}, "secret/metadata/a": {"list"}})
	fake.AddToken("", "s.EXAMPLE", bao.Life{}, "p")
	x := target{root.url, "s.EXAMPLE"}
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"POST", "secret/data/a/x", 200},
		{"POST", "secret/data/a/x", 403}, // that would be an update
		{"GET", "secret/data/a/x", 200},
		{"GET", "secret/data/b/x", 403},
		{"LIST", "secret/metadata/a", 200},
		{"LIST", "secret/metadata/b", 403},
		{"DELETE", "secret/data/a/x", 403},
		{"GET", "nowhere/data/x", 403},
	} {
		if got := x.call(t, test.method, test.path, `{"data":{}}`); got.status != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, got.status, test.status)
		}
	}
}

func TestNamespaces(t *testing.T) {
	fake, x := newFake(t, nil)
	fake.AddNamespace("team")
	fake.AddPolicy("team", "p", bao.Policy{"secret/data/*": {"create", "read"}})
	fake.AddToken("team", "s.EXAMPLE", bao.Life{}, "p")
	in := []string{"X-Vault-Namespace", "team/"}
	if got := x.call(t, "POST", "secret/data/x", `{"data":{"k":"v"}}`, in...); got.status != 200 {
		t.Errorf("root in the namespace: %d", got.status)
	}
	if got := x.call(t, "GET", "secret/data/x", ""); got.status != 404 {
		t.Errorf("the same path outside: %d, want 404", got.status)
	}
	x.token = "s.EXAMPLE"
	if got := x.call(t, "GET", "secret/data/x", "", in...); got.status != 200 {
		t.Errorf("the namespace's token in it: %d", got.status)
	}
	if got := x.call(t, "GET", "secret/data/x", ""); got.status != 403 {
		t.Errorf("the namespace's token outside: %d, want 403", got.status)
	}
	if got := x.call(t, "GET", "secret/data/x", "", "X-Vault-Namespace", "nowhere"); got.status != 404 || !slices.Equal(got.members["errors"].([]any), []any{"namespace not found"}) {
		t.Errorf("no such namespace: %d %v", got.status, got.members)
	}
	if got := x.call(t, "GET", "sys/health", "", in...); got.status != 400 {
		t.Errorf("health in a namespace: %d, want 400", got.status)
	}
}

func TestLogins(t *testing.T) {
	fake, x := newFake(t, nil)
	fake.AddAppRole("", bao.AppRole{RoleID: "role", SecretIDs: map[string]int{"twice": 2, "always": 0}, Life: bao.Life{TTL: time.Minute}})
	fake.AddServiceAccount("", "pod", "EXAMPLEjwt", "p", bao.Life{TTL: time.Minute})
	for _, test := range []struct {
		name, path, body string
		status           int
	}{
		{"first use", "approle", `{"role_id":"role","secret_id":"twice"}`, 200},
		{"second use", "approle", `{"role_id":"role","secret_id":"twice"}`, 200},
		{"third use", "approle", `{"role_id":"role","secret_id":"twice"}`, 400},
		{"without bound", "approle", `{"role_id":"role","secret_id":"always"}`, 200},
		{"no role id", "approle", `{"secret_id":"always"}`, 400},
		{"no secret id", "approle", `{"role_id":"role"}`, 400},
		{"another role", "approle", `{"role_id":"other","secret_id":"always"}`, 400},
		{"service account", "kubernetes", `{"role":"pod","jwt":"EXAMPLEjwt"}`, 200},
		{"unknown JWT", "kubernetes", `{"role":"pod","jwt":"EXAMPLE"}`, 403},
		{"unknown role", "kubernetes", `{"role":"other","jwt":"EXAMPLEjwt"}`, 400},
		{"no JWT", "kubernetes", `{"role":"pod"}`, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := x.call(t, "POST", "auth/"+test.path+"/login", test.body)
			if got.status != test.status {
				t.Fatalf("got %d %v, want %d", got.status, got.members, test.status)
			}
			if test.status != 200 {
				return
			}
			auth := got.members["auth"].(map[string]any)
			if got := (target{x.url, auth["client_token"].(string)}).call(t, "GET", "auth/token/lookup-self", ""); got.status != 200 {
				t.Errorf("the token is not good: %d", got.status)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	_, x := newFake(t, nil)
	for _, test := range []struct{ size, status int }{{1000, 200}, {1<<20 + 1, 500}, {33 << 20, 413}} {
		body := `{"data":{"k":"` + strings.Repeat("x", test.size) + `"}}`
		if got := x.call(t, "POST", "secret/data/x", body); got.status != test.status {
			t.Errorf("%d bytes: %d, want %d", test.size, got.status, test.status)
		}
	}
}
