package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// decode decodes an answer.
func decode[T any](t *testing.T, r servertest.Reply, status int) T {
	t.Helper()
	var v T
	if r.Status != status {
		t.Fatalf("got status %d, want %d: %s", r.Status, status, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil {
		t.Fatalf("decoding %q: %v", r.Body, err)
	}
	return v
}

// members lists the members of a JSON object.
func members(t *testing.T, r servertest.Reply) map[string]any {
	t.Helper()
	return decode[map[string]any](t, r, r.Status)
}

// TestSeedStory walks through the seed from the first call to the last.
func TestSeedStory(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	call := func(method, path, body string) servertest.Reply { return s.MustCall(t, s.OwnerKey, method, path, body) }
	project := decode[sdk.Project](t, call("POST", "/projects", `{"name":"network"}`), 201)

	created := call("POST", "/credential-configs", `{"name":"Production AWS","credential_type":"aws_static","project_id":"`+project.ID+`"}`)
	config := decode[sdk.CredentialConfig](t, created, 201)
	path := "/credential-configs/" + config.ID
	if config.Scope != "project" || config.SecretVersion != 0 || created.Header.Get("Etag") != `"1"` {
		t.Errorf("got %s with ETag %s", created.Body, created.Header.Get("Etag"))
	}
	wantProblem(t, call("POST", path+"/verify", ""), 422, "secrets_missing")

	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	stored := call("POST", path+"/secrets", `{"data":{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"`+secret+`"}}`)
	if got := decode[sdk.StoredSecrets](t, stored, 201); got.SecretVersion != 1 || got.CredentialConfigID != config.ID || len(got.Fields) != 2 {
		t.Errorf("stored: got %+v", got)
	}
	if read := call("GET", path, ""); strings.Contains(stored.Body+read.Body, secret) {
		t.Error("an endpoint other than delivery returns the secret")
	}

	failed := members(t, call("POST", path+"/verify", ""))
	if failed["valid"] != false || failed["error"] != "InvalidClientTokenId" || failed["conclusive"] != true {
		t.Errorf("an unknown key: got %v", failed)
	}
	if _, has := failed["identity"]; has {
		t.Errorf("a failed verification has an identity: %v", failed)
	}

	s.AWS.AddUser(fakeaws.User{AccessKeyID: "AKIAI44QH8DHBEXAMPLE", SecretAccessKey: secret, Account: "123456789012", Name: "deploy"})
	call("POST", path+"/secrets", `{"data":{"access_key_id":"AKIAI44QH8DHBEXAMPLE","secret_access_key":"`+secret+`"}}`)
	worked := members(t, call("POST", path+"/verify", ""))
	if worked["valid"] != true || worked["identity"] != "arn:aws:iam::123456789012:user/deploy" || worked["secret_version"] != 2.0 {
		t.Errorf("a good key: got %v", worked)
	}
	if _, has := worked["error"]; has {
		t.Errorf("a good verification has an error: %v", worked)
	}

	workspace := decode[sdk.Workspace](t, call("POST", "/workspaces", `{"name":"prod","project_id":"`+project.ID+`"}`), 201)
	attached := decode[sdk.Workspace](t, call("PATCH", "/workspaces/"+workspace.ID, `{"credential_config_ids":["`+config.ID+`"]}`), 200)
	if diff := cmp.Diff([]string{config.ID}, attached.CredentialConfigIDs); diff != "" {
		t.Errorf("attached (-want +got):\n%s", diff)
	}

	inUse := wantProblem(t, call("DELETE", path, ""), 409, "credential_in_use")
	if diff := cmp.Diff([]sdk.Reference{{Type: "workspace", ID: workspace.ID, Name: "prod"}}, inUse.Related); diff != "" {
		t.Errorf("related (-want +got):\n%s", diff)
	}
	decode[sdk.Workspace](t, call("PATCH", "/workspaces/"+workspace.ID, `{"credential_config_ids":[]}`), 200)
	if gone := call("DELETE", path, ""); gone.Status != 204 || gone.Body != "" {
		t.Errorf("deleting: got %d %q", gone.Status, gone.Body)
	}
	wantProblem(t, call("GET", path, ""), 404, "not_found")
}

// environment makes a workspace with one generic_env credential.
func environment(t testing.TB, s *servertest.Server, data map[string]string) sdk.Workspace {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	project, err := s.Owner.CreateProject(ctx, sdk.CreateProject{Name: "p"})
	must(err)
	config, err := s.Owner.CreateCredentialConfig(ctx, sdk.CreateCredentialConfig{Name: "c", CredentialType: "generic_env"})
	must(err)
	fields := map[string]json.RawMessage{}
	for name, value := range data {
		fields[name], err = json.Marshal(value)
		must(err)
	}
	_, err = s.Owner.StoreSecrets(ctx, config.ID, sdk.StoreSecrets{Data: fields})
	must(err)
	workspace, err := s.Owner.CreateWorkspace(ctx, sdk.CreateWorkspace{Name: "w", ProjectID: project.ID, CredentialConfigIDs: []string{config.ID}})
	must(err)
	return workspace
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	values := map[string]string{"TOKEN_EXAMPLE": "a\nb\r\n\"$(id)\" 'é' \u2028<&>", "ALPHA": " "}
	w := environment(t, s, values)
	path := "/workspaces/" + w.ID + "/environment"
	for _, body := range []string{"", "{}", `{"run_id":"pipeline/4711@x"}`} {
		r := s.MustCall(t, s.OwnerKey, "POST", path, body)
		env := decode[sdk.Environment](t, r, 200)
		if diff := cmp.Diff(values, env.Env); diff != "" {
			t.Errorf("variables (-want +got):\n%s", diff)
		}
		sum := sha256.Sum256([]byte(r.Body))
		if got := r.Header.Get(sdk.ContentHashHeader); got != hex.EncodeToString(sum[:]) {
			t.Errorf("got hash %q, want that of the body", got)
		}
		if r.Header.Get("Content-Length") != fmt.Sprint(len(r.Body)) || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Etag") != "" {
			t.Errorf("got headers %v", r.Header)
		}
		if !strings.HasPrefix(r.Body, `{"env":{"ALPHA":" ","TOKEN_EXAMPLE":`) || !strings.Contains(r.Body, `"files":[]`) || !strings.Contains(r.Body, `"unset":[]`) || !strings.Contains(r.Body, `"expires_at":null`) {
			t.Errorf("got body %s", r.Body)
		}
		if len(env.Sources) != 2 || env.DeliveryID == "" {
			t.Errorf("got sources %v, delivery %q", env.Sources, env.DeliveryID)
		}
	}
	if gz := s.MustCall(t, s.OwnerKey, "POST", path, "", "Accept-Encoding", "gzip"); gz.Header.Get("Content-Encoding") != "" {
		t.Error("a delivery is compressed")
	}
	preview := s.MustCall(t, s.OwnerKey, "GET", path, "")
	if got := decode[sdk.EnvironmentPreview](t, preview, 200); len(got.Variables) != 2 || !strings.Contains(preview.Body, `"conflicts":[]`) || !strings.Contains(preview.Body, `"missing":[]`) {
		t.Errorf("got preview %s", preview.Body)
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	p, err := s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		`"2"`: "412 stale", `W/"1"`: "412 stale", `"01"`: "412 stale", `"0"`: "412 stale", `"-1"`: "412 stale", `""`: "412 stale", `"x"`: "412 stale",
		`"99999999999999999999999"`: "412 stale", `1`: "400 invalid_if_match", `"1", "2"`: "400 invalid_if_match", `"1`: "400 invalid_if_match",
		`"` + strings.Repeat("1", 100) + `"`: "400 invalid_if_match", `"`: "400 invalid_if_match",
	} {
		r := s.MustCall(t, s.OwnerKey, "PATCH", "/projects/"+p.ID, `{"description":"x"}`, "If-Match", header)
		if got := fmt.Sprint(r.Status, " ", problem(t, r).Code); got != want {
			t.Errorf("If-Match %.40s: got %s, want %s", header, got, want)
		}
	}
	for i, header := range []string{`"1"`, `*`} {
		r := s.MustCall(t, s.OwnerKey, "PATCH", "/projects/"+p.ID, `{"description":"y"}`, "If-Match", header)
		if want := fmt.Sprintf(`"%d"`, i+2); r.Status != 200 || r.Header.Get("Etag") != want {
			t.Errorf("If-Match %s: got %d, ETag %s, want %s", header, r.Status, r.Header.Get("Etag"), want)
		}
	}
	wantProblem(t, s.MustCall(t, s.OwnerKey, "DELETE", "/projects/"+p.ID, "", "If-Match", `"1"`), 412, "stale")
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	post := func(body, key string) servertest.Reply {
		return s.MustCall(t, s.OwnerKey, "POST", "/projects", body, "Idempotency-Key", key)
	}
	first := decode[sdk.Project](t, post(`{"name":"a"}`, "k-1"), 201)
	if again := decode[sdk.Project](t, post(`{"name":"a"}`, "k-1"), 201); again != first {
		t.Errorf("repeated: got %+v, want %+v", again, first)
	}
	wantProblem(t, post(`{"name":"b"}`, "k-1"), 422, "idempotency_key_reused")
	for _, key := range []string{"", strings.Repeat("k", 256), "a b", "é", "a\tb"} {
		wantProblem(t, post(`{"name":"c"}`, key), 400, "invalid_idempotency_key")
	}
	decode[sdk.Project](t, post(`{"name":"d"}`, strings.Repeat("~", 255)), 201)
}

func TestQueries(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for query, want := range map[string]string{
		"limit=0": "limit out_of_range", "limit=201": "limit out_of_range", "limit=-1": "limit out_of_range", "limit=1e2": "limit out_of_range", "limit=05": "limit out_of_range",
		"limit=": "limit out_of_range", "limit=99999999999999999999": "limit out_of_range", "nmae=x": "nmae unknown_parameter", "name=a&name=b": "name repeated",
		"scope=Project": "scope invalid_value", "verification=maybe": "verification invalid_value", "project_id=x": "project_id invalid_id",
		"q=%00": "q invalid_character", "q=%ff": "q invalid_character", "q=" + strings.Repeat("x", 513): "q too_long", "%3Cx%3E=1": "(unreadable name) unknown_parameter",
	} {
		p := wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", "/credential-configs?"+query, ""), 422, "invalid_input")
		if len(p.Errors) != 1 || p.Errors[0].Field+" "+p.Errors[0].Code != want {
			t.Errorf("%.40s: got %+v, want %s", query, p.Errors, want)
		}
	}
	wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", "/audit-events?since=yesterday", ""), 422, "invalid_input")
	wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", "/audit-events?limit=1&until=9999-12-31T23:59:59-12:00", ""), 422, "invalid_input") // In UTC it is the year 10000.
	wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", "/audit-events?limit=1&since=0000-01-01T00:00:00%2B12:00", ""), 422, "invalid_input")
	wantProblem(t, s.MustCall(t, s.OwnerKey, "POST", "/api-keys", `{"name":"for ever","role":"reader","expires_at":"9999-12-31T23:59:59-12:00"}`), 422, "invalid_input")
	if reply := s.MustCall(t, s.OwnerKey, "GET", "/api-keys", ""); reply.Status != 200 {
		t.Errorf("the list of API keys after that: got status %d, want 200", reply.Status)
	}
	wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", "/projects?cursor="+canary, ""), 400, "invalid_cursor")
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	want := []string{}
	for i := range 5 {
		name := fmt.Sprintf("p%d", i)
		if _, err := s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: name}); err != nil {
			t.Fatal(err)
		}
		want = append([]string{name}, want...)
	}
	var got []string
	pages := 0
	for cursor := ""; ; pages++ {
		page := decode[sdk.List[sdk.Project]](t, s.MustCall(t, s.OwnerKey, "GET", "/projects?limit=2&cursor="+cursor, ""), 200)
		for _, p := range page.Items {
			got = append(got, p.Name)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 2 {
		t.Errorf("%d pages before the last (-want +got):\n%s", pages, diff)
	}
	if r := s.MustCall(t, s.OwnerKey, "GET", "/projects?name=p3", ""); len(decode[sdk.List[sdk.Project]](t, r, 200).Items) != 1 {
		t.Errorf("by name: got %s", r.Body)
	}
	if r := s.MustCall(t, s.OwnerKey, "GET", "/workspaces", ""); r.Body != `{"items":[],"next_cursor":null}` {
		t.Errorf("an empty list: got %s", r.Body)
	}
}

// TestEveryRoleAtEveryRoute checks that the table's permission is what the broker asks for: a role without it is refused before its input is looked at, and
// that is recorded; a role with it is not.
func TestEveryRoleAtEveryRoute(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for _, role := range forgecroft.Roles() {
		key, err := s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "of " + string(role), Role: string(role)})
		if err != nil {
			t.Fatal(err)
		}
		denials := 0
		for _, route := range httpapi.Routes() {
			body := ""
			if route.HasBody {
				body = `{"` + canary + `":`
			}
			r := s.MustCall(t, key.Key, route.Method, at(route.Path, absentID), body)
			if role.Allows(route.Permission) == (r.Status == 403) {
				t.Errorf("%s as %s: got %d %s", route.ID, role, r.Status, r.Body)
			}
			if r.Status == 403 {
				denials++
				wantProblem(t, r, 403, "forbidden")
			}
			if r.Status >= 500 {
				t.Errorf("%s as %s: got %d %s", route.ID, role, r.Status, r.Body)
			}
		}
		recorded := decode[sdk.List[sdk.AuditEvent]](t, s.MustCall(t, s.OwnerKey, "GET", "/audit-events?limit=200&outcome=denied&actor="+key.ID, ""), 200)
		forbidden := 0
		for _, e := range recorded.Items {
			if e.Details["code"] == "forbidden" {
				forbidden++
			}
		}
		if forbidden != denials {
			t.Errorf("%s: %d denials, %d recorded", role, denials, forbidden)
		}
	}
}

// TestNoProblemRepeatsAValue puts a canary into every string that a request has.
func TestNoProblemRepeatsAValue(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	w := environment(t, s, map[string]string{"A": "x"})
	config := w.CredentialConfigIDs[0]
	for path, bodies := range map[string][]string{
		"/projects":           {`{"name":"` + canary + `\u202e"}`, `{"name":"` + canary + `"`, `{"name":["` + canary + `"]}`, canary},
		"/workspaces":         {`{"name":"a","project_id":"` + canary + `"}`, `{"name":"a","project_id":"` + w.ProjectID + `","credential_config_ids":["` + canary + `"]}`},
		"/credential-configs": {`{"name":"a","credential_type":"` + canary + `"}`, `{"name":"a","credential_type":"aws_static","project_id":"` + canary + `"}`},
		"/credential-configs/" + config + "/secrets": {`{"data":{"PATH":"` + canary + `"}}`, `{"data":{"A":{"x":"` + canary + `"}}}`, `{"data":{"A":"` + canary + `\u0000"}}`, `{"data":"` + canary + `"}`},
		"/api-keys":                            {`{"name":"a","role":"` + canary + `"}`, `{"name":"a","role":"reader","expires_at":"` + canary + `"}`, `{"name":"a","role":"reader","workspace_id":"` + canary + `"}`},
		"/workspaces/" + w.ID + "/environment": {`{"run_id":"` + canary + ` "}`},
	} {
		for _, body := range bodies {
			r := s.MustCall(t, s.OwnerKey, "POST", path, body)
			if r.Status != 400 && r.Status != 422 {
				t.Errorf("%s %s: got %d", path, body, r.Status)
			}
			if strings.Contains(r.Body, canary) {
				t.Errorf("%s %s: the problem repeats the value: %s", path, body, r.Body)
			}
		}
	}
	if strings.Contains(s.Log.String(), canary) {
		t.Error("the log repeats a value")
	}
}

func TestAPIKeysAreShownOnce(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	created := decode[sdk.CreatedAPIKey](t, s.MustCall(t, s.OwnerKey, "POST", "/api-keys", `{"name":"ci","role":"reader"}`), 201)
	if who := decode[sdk.Whoami](t, s.MustCall(t, created.Key, "GET", "/whoami", ""), 200); who.APIKey.ID != created.ID || who.Role != "reader" || who.Scope.Kind != "organization" {
		t.Errorf("got %+v", who)
	}
	if list := s.MustCall(t, s.OwnerKey, "GET", "/api-keys", ""); strings.Contains(list.Body, created.Key) || strings.Contains(list.Body, `"key"`) || len(decode[sdk.List[sdk.APIKey]](t, list, 200).Items) != 2 {
		t.Errorf("got %s", list.Body)
	}
	if r := s.MustCall(t, s.OwnerKey, "DELETE", "/api-keys/"+created.ID, ""); r.Status != 204 {
		t.Errorf("revoking: got %d %s", r.Status, r.Body)
	}
	wantProblem(t, s.MustCall(t, created.Key, "GET", "/whoami", ""), 401, "unauthenticated")
}

// TestClientSeesTheSameErrors checks that the client's sentinels hold across the wire.
func TestClientSeesTheSameErrors(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	_, notFound := s.Owner.Project(t.Context(), absentID)
	_, invalid := s.Owner.CreateProject(t.Context(), sdk.CreateProject{})
	_, unauthenticated := s.MustClient(t, "fc_live_x").Whoami(t.Context())
	for want, err := range map[error]error{sdk.ErrNotFound: notFound, sdk.ErrInvalid: invalid, sdk.ErrUnauthenticated: unauthenticated} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestVaultKeysAuditAndTypes(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	environment(t, s, map[string]string{"A": "x"})
	call := func(method, path string) servertest.Reply { return s.MustCall(t, s.OwnerKey, method, path, "") }
	before := decode[sdk.KeyRing](t, call("GET", "/vault/keys"), 200)
	after := decode[sdk.KeyRing](t, call("POST", "/vault/keys/rotation"), 202)
	if len(before.Keys) != 1 || len(after.Keys) != 2 {
		t.Errorf("got %+v, then %+v", before, after)
	}
	for _, k := range after.Keys {
		if k.Primary {
			wantProblem(t, call("DELETE", "/vault/keys/"+k.ID), 409, "key_in_use")
		}
	}
	wantProblem(t, call("DELETE", "/vault/keys/"+canary), 404, "not_found")

	checkpoint := decode[sdk.AuditCheckpoint](t, call("POST", "/audit-checkpoints"), 201)
	listed := decode[sdk.List[sdk.AuditCheckpoint]](t, call("GET", "/audit-checkpoints"), 200)
	if len(listed.Items) == 0 || listed.Items[0] != checkpoint || len(checkpoint.Hash) != 64 {
		t.Errorf("got %+v in %+v", checkpoint, listed)
	}
	oldest := decode[sdk.List[sdk.AuditEvent]](t, call("GET", "/audit-events?order=asc&limit=1&outcome=allowed"), 200)
	if len(oldest.Items) != 1 || oldest.Items[0].Sequence != 1 {
		t.Errorf("got %+v", oldest)
	}
	stored := decode[sdk.List[sdk.AuditEvent]](t, call("GET", "/audit-events?action=credential_config."), 200)
	if len(stored.Items) != 2 {
		t.Errorf("by noun: got %+v", stored.Items)
	}

	types := decode[sdk.List[sdk.CredentialType]](t, call("GET", "/credential-types"), 200)
	sets := map[string]int{} // :: type → variables it can set
	for _, c := range types.Items {
		sets[c.Name] = len(c.Sets)
	}
	want := map[string]int{"aws_static": 5, "aws_assume_role": 5, "gcp_service_account": 5, "cloudflare_api_token": 2, "generic_env": 0}
	if diff := cmp.Diff(want, sets); diff != "" {
		t.Errorf("variables of each type (-want +got):\n%s", diff)
	}
}

// TestWorkspacesOfOthers attaches a credential of the organization in two projects: a key of one sees nothing of the other.
func TestWorkspacesOfOthers(t *testing.T) {
	s := servertest.MustStart(t, nil)
	call := func(key, method, path, body string) servertest.Reply { return s.MustCall(t, key, method, path, body) }
	config := decode[sdk.CredentialConfig](t, call(s.OwnerKey, "POST", "/credential-configs", `{"name":"shared","credential_type":"generic_env"}`), 201)
	var projects, workspaces []string
	for _, name := range []string{"mine", "theirs"} {
		p := decode[sdk.Project](t, call(s.OwnerKey, "POST", "/projects", `{"name":"`+name+`"}`), 201)
		w := decode[sdk.Workspace](t, call(s.OwnerKey, "POST", "/workspaces", `{"name":"`+name+`","project_id":"`+p.ID+`","credential_config_ids":["`+config.ID+`"]}`), 201)
		projects, workspaces = append(projects, p.ID), append(workspaces, w.ID)
	}
	second := decode[sdk.Workspace](t, call(s.OwnerKey, "POST", "/workspaces", `{"name":"second","project_id":"`+projects[0]+`","credential_config_ids":["`+config.ID+`"]}`), 201)
	narrow := decode[sdk.CreatedAPIKey](t, call(s.OwnerKey, "POST", "/api-keys", `{"name":"p","role":"reader","project_id":"`+projects[0]+`"}`), 201)
	narrower := decode[sdk.CreatedAPIKey](t, call(s.OwnerKey, "POST", "/api-keys", `{"name":"w","role":"reader","workspace_id":"`+workspaces[0]+`"}`), 201)
	for key, want := range map[string][]string{
		s.OwnerKey: {workspaces[0], workspaces[1], second.ID}, narrow.Key: {workspaces[0], second.ID}, narrower.Key: {workspaces[0]},
	} {
		slices.Sort(want)
		one := decode[sdk.CredentialConfig](t, call(key, "GET", "/credential-configs/"+config.ID, ""), 200)
		list := decode[sdk.List[sdk.CredentialConfig]](t, call(key, "GET", "/credential-configs", ""), 200)
		if !slices.Equal(one.WorkspaceIDs, want) || len(list.Items) != 1 || !slices.Equal(list.Items[0].WorkspaceIDs, want) {
			t.Errorf("got %q and %+v, want %q", one.WorkspaceIDs, list.Items, want)
		}
	}
}
