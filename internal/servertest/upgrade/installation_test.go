package upgrade_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// installation is a server that answers an owner.
type installation struct {
	t   *testing.T
	url string
	key string
}

// call sends a request and returns the status and the answer.
func (i installation) call(method, path string, body object) (int, any) {
	i.t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		check(i.t, err)
	}
	r, err := http.NewRequestWithContext(i.t.Context(), method, i.url+path, bytes.NewReader(text))
	check(i.t, err)
	r.Header.Set("Authorization", "Bearer "+i.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	check(i.t, err)
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	check(i.t, err)
	if len(text) == 0 {
		return answer.StatusCode, nil
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		i.t.Fatalf("%s %s: %d %s: %v", method, path, answer.StatusCode, text, err)
	}
	return answer.StatusCode, document
}

// must is call for what has to succeed.
func (i installation) must(method, path string, body object) any {
	i.t.Helper()
	status, document := i.call(method, path, body)
	if status >= 300 {
		i.t.Fatalf("%s %s: %d %v", method, path, status, document)
	}
	return document
}

// object is a JSON object.
type object = map[string]any

// create makes an object and returns its id.
func (i installation) create(path string, body object) string {
	i.t.Helper()
	return i.must("POST", path, body).(object)["id"].(string)
}

// example is a value that only looks like a secret.
func example(n int) string { return fmt.Sprintf("EXAMPLE-%d-wJalrXUtnFEMI/K7MDENG bPxRfiCY=\"ü\"", n) }

// furnish fills an empty installation with some of everything that the first version knew, and returns what an owner may ask for.
func (i installation) furnish() (asked []question) {
	i.t.Helper()
	shop := i.create("/projects", object{"name": "shop", "description": "Everything the shop runs on."})
	other := i.create("/projects", object{"name": "Größe und Gewicht"})
	static := i.create("/credential-configs", object{"name": "AWS, production", "credential_type": "aws_static", "project_id": shop})
	i.must("POST", "/credential-configs/"+static+"/secrets", object{"data": object{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}})
	var variables []string
	for n := range 3 {
		id := i.create("/credential-configs", object{"name": fmt.Sprint("variables ", n), "credential_type": "generic_env"})
		for version := range n + 1 {
			i.must("POST", "/credential-configs/"+id+"/secrets", object{"data": object{fmt.Sprint("VALUE_", n): example(10*n + version)}})
		}
		variables = append(variables, id)
	}
	empty := i.create("/credential-configs", object{"name": "not stored yet", "credential_type": "cloudflare_api_token", "project_id": other})
	role := i.create("/credential-configs", object{"name": "a role", "credential_type": "aws_assume_role", "project_id": shop})
	i.must("POST", "/credential-configs/"+role+"/secrets", object{"data": object{"role_arn": "arn:aws:iam::123456789012:role/terraform", "source_credential_config_id": static}})
	gone := i.create("/credential-configs", object{"name": "gone", "credential_type": "generic_env"})
	i.must("POST", "/credential-configs/"+gone+"/secrets", object{"data": object{"GONE": example(99)}})
	i.must("DELETE", "/credential-configs/"+gone, nil)

	production := i.create("/workspaces", object{"name": "production", "project_id": shop})
	i.must("PATCH", "/workspaces/"+production, object{"credential_config_ids": []string{variables[2], static, variables[0]}})
	bare := i.create("/workspaces", object{"name": "bare", "project_id": other, "description": "Nothing is attached."})
	runner := i.must("POST", "/api-keys", object{"name": "runner", "role": "runner", "workspace_id": production}).(object)
	revoked := i.must("POST", "/api-keys", object{"name": "revoked", "role": "reader"}).(object)
	i.must("DELETE", "/api-keys/"+revoked["id"].(string), nil)
	i.must("POST", "/audit-checkpoints", nil)
	i.must("POST", "/workspaces/"+production+"/environment", nil)

	for _, key := range []string{i.key, runner["key"].(string)} {
		asked = append(asked, question{Method: "POST", Path: "/workspaces/" + production + "/environment", Key: key})
	}
	asked = append(asked, question{Method: "GET", Path: "/whoami", Key: revoked["key"].(string)})
	for _, id := range append(variables, static, empty, role, gone) {
		asked = append(asked, question{Method: "GET", Path: "/credential-configs/" + id}, question{Method: "GET", Path: "/credential-configs/" + id + "/secret-versions"})
	}
	for _, id := range []string{production, bare} {
		asked = append(asked, question{Method: "GET", Path: "/workspaces/" + id}, question{Method: "GET", Path: "/workspaces/" + id + "/environment"})
	}
	for _, path := range []string{"/projects", "/projects/" + shop, "/workspaces", "/credential-configs", "/api-keys", "/audit-events?limit=200", "/audit-checkpoints"} {
		asked = append(asked, question{Method: "GET", Path: path})
	}
	return asked
}

// question is something to ask a server, with its answer.
type question struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Key    string `json:"key,omitempty"` // empty: the owner's
	Status int    `json:"status"`
	Answer any    `json:"answer"`
}

// ask asks a question.
func (i installation) ask(q question) (status int, answer any) {
	i.t.Helper()
	if q.Key != "" {
		i.key = q.Key
	}
	return i.call(q.Method, q.Path, nil)
}

// check fails the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
