package httpapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// document is the OpenAPI document as a client reads it.
type document map[string]any

// mustDocument reads the document of a server.
func mustDocument(t *testing.T, s *servertest.Server) document {
	t.Helper()
	return decode[document](t, s.MustCall(t, "", "GET", "/openapi.json", ""), 200)
}

// at walks down the members.
func (d document) at(t *testing.T, path ...string) map[string]any {
	t.Helper()
	node := map[string]any(d)
	for _, name := range path {
		next, ok := node[name].(map[string]any)
		if !ok {
			t.Fatalf("the document has no %s", strings.Join(path, " → "))
		}
		node = next
	}
	return node
}

// resolve follows a reference.
func (d document) resolve(t *testing.T, schema map[string]any) map[string]any {
	t.Helper()
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	return d.at(t, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// conforms checks a value against a schema: members, types, null, enumerations.
func (d document) conforms(t *testing.T, where string, schema map[string]any, value any) {
	t.Helper()
	schema = d.resolve(t, schema)
	if either, ok := schema["anyOf"].([]any); ok {
		if value == nil {
			return
		}
		schema = d.resolve(t, either[0].(map[string]any))
	}
	if kind := schema["type"]; kind != nil && !strings.Contains(fmt.Sprint(kind), typeOf(value)) {
		t.Errorf("%s is %s, documented as %v", where, typeOf(value), kind)
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, value) {
		t.Errorf("%s is %v, documented as one of %v", where, value, enum)
	}
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			d.conforms(t, fmt.Sprintf("%s[%d]", where, i), schema["items"].(map[string]any), item)
		}
	case map[string]any:
		d.object(t, where, schema, v)
	}
}

// object checks the members of an object.
func (d document) object(t *testing.T, where string, schema, value map[string]any) {
	t.Helper()
	properties, listed := schema["properties"].(map[string]any)
	for name, member := range value {
		if property, known := properties[name].(map[string]any); known {
			d.conforms(t, where+"."+name, property, member)
		} else if listed {
			t.Errorf("%s.%s is not documented", where, name)
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, has := value[name.(string)]; !has {
			t.Errorf("%s lacks %s, documented as required", where, name)
		}
	}
}

// typeOf is the JSON Schema type of a decoded value.
func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		return "integer"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// TestAnswersAreAsDocumented calls what returns something and holds every answer against the document.
func TestAnswersAreAsDocumented(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	d := mustDocument(t, s)
	w := environment(t, s, map[string]string{"A": "x"})
	role, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "role", CredentialType: "aws_assume_role", ProjectID: sdk.Some(w.ProjectID)})
	if err != nil {
		t.Fatal(err)
	}
	config := w.CredentialConfigIDs[0]
	for _, c := range []struct{ method, path, id, body string }{
		{"POST", "/projects", "", `{"name":"q"}`},
		{"GET", "/projects", "", ""},
		{"GET", "/workspaces/{id}", w.ID, ""},
		{"GET", "/workspaces", "", ""},
		{"POST", "/workspaces/{id}/environment", w.ID, ""},
		{"GET", "/workspaces/{id}/environment", w.ID, ""},
		{"POST", "/credential-configs/{id}/verify", config, ""},
		{"GET", "/credential-configs/{id}", config, ""},
		{"GET", "/credential-configs/{id}", role.ID, ""},
		{"GET", "/credential-configs", "", ""},
		{"POST", "/credential-configs/{id}/secrets", config, `{"data":{"A":"y"}}`},
		{"GET", "/credential-configs/{id}/secret-versions", config, ""},
		{"GET", "/credential-types", "", ""},
		{"POST", "/api-keys", "", `{"name":"k","role":"reader","project_id":"` + w.ProjectID + `","expires_at":"2999-01-01T00:00:00Z"}`},
		{"GET", "/api-keys", "", ""},
		{"GET", "/whoami", "", ""},
		{"GET", "/audit-events", "", ""},
		{"POST", "/audit-checkpoints", "", ""},
		{"GET", "/audit-checkpoints", "", ""},
		{"GET", "/vault/keys", "", ""},
		{"DELETE", "/projects/{id}", w.ProjectID, ""},
		{"GET", "/projects/{id}", absentID, ""},
		{"POST", "/projects", "", `{}`},
	} {
		r := s.MustCall(t, s.OwnerKey, c.method, at(c.path, c.id), c.body)
		operation := d.at(t, "paths", c.path, strings.ToLower(c.method))
		response := d.resolve(t, d.at(t, "paths", c.path, strings.ToLower(c.method), "responses", fmt.Sprint(r.Status)))
		content, ok := response["content"].(map[string]any)[r.Header.Get("Content-Type")].(map[string]any)
		if !ok {
			t.Errorf("%s: %s is not documented for %d", operation["operationId"], r.Header.Get("Content-Type"), r.Status)
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(r.Body), &value); err != nil {
			t.Fatal(err)
		}
		d.conforms(t, fmt.Sprint(operation["operationId"]), content["schema"].(map[string]any), value)
	}
}

// TestDocumentIsWhole checks that every operation is there, and that no reference dangles.
func TestDocumentIsWhole(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	d := mustDocument(t, s)
	for _, route := range httpapi.Routes() {
		o := d.at(t, "paths", route.Path, strings.ToLower(route.Method))
		if o["operationId"] != route.ID || o["summary"] == "" || o["x-forgecroft-permission"] != string(route.Permission) {
			t.Errorf("%s: got %v", route.ID, o)
		}
	}
	for _, path := range []string{"/credential-configs/{id}/verify", "/workspaces/{id}/environment"} {
		content := d.at(t, "paths", path, "post", "responses", "200", "content", "application/json")
		for name, example := range content["examples"].(map[string]any) {
			d.conforms(t, path+" "+name, content["schema"].(map[string]any), example.(map[string]any)["value"])
		}
	}
	var walk func(node any)
	walk = func(node any) {
		switch n := node.(type) {
		case map[string]any:
			d.resolve(t, n)
			for _, child := range n {
				walk(child)
			}
		case []any:
			for _, child := range n {
				walk(child)
			}
		}
	}
	walk(map[string]any(d))
	if yaml := s.MustCall(t, "", "GET", "/openapi.yaml", ""); !strings.Contains(yaml.Body, "\nopenapi: ") {
		t.Errorf("got %.100s", yaml.Body)
	}
}
