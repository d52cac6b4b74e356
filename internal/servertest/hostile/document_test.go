package hostile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// document is what is used of the OpenAPI document.
type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

// operation is one of a path.
type operation struct {
	OperationID string
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct {
			Example map[string]json.RawMessage
			Schema  schema
		}
	}
}

// schema describes a body.
type schema struct {
	Ref                  string `json:"$ref"`
	Properties           map[string]schema
	Items                *schema
	AdditionalProperties json.RawMessage
}

// slot is a place in a request where a client's value goes.
type slot struct {
	name         string // operation and member
	method, path string
	secret       bool
	body         func(value string) string // value is JSON
}

// slots lists every member of every body of every operation, from the document and the list of credential types. What is added there is covered.
func (w *world) slots(t *testing.T) []slot {
	t.Helper()
	var list []slot
	for _, path := range slices.Sorted(maps.Keys(w.document.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(w.document.Paths[path])) {
			op := w.document.Paths[path][method]
			content, ok := op.RequestBody.Content["application/json"]
			if !ok {
				continue
			}
			body, ok := w.document.Components.Schemas[strings.TrimPrefix(content.Schema.Ref, "#/components/schemas/")]
			if !ok || len(body.Properties) == 0 {
				t.Fatalf("%s: the document does not describe the body", op.OperationID)
			}
			base := w.base(content.Example)
			for _, name := range slices.Sorted(maps.Keys(body.Properties)) {
				if isOpen(body.Properties[name]) {
					list = append(list, w.dataSlots(op.OperationID, method, path, name)...)
					continue
				}
				list = append(list, w.member(op.OperationID+"/"+name, method, path, base, name, "%s"))
				if body.Properties[name].Items != nil {
					list = append(list, w.member(op.OperationID+"/"+name+"[]", method, path, base, name, "[%s]"))
				}
			}
		}
	}
	return list
}

// isOpen reports whether a member is an object whose members the document does not name.
func isOpen(s schema) bool {
	return len(s.AdditionalProperties) > 0 && string(s.AdditionalProperties) != "false"
}

// base is an operation's example, about objects that exist.
func (w *world) base(example map[string]json.RawMessage) map[string]string {
	members := map[string]string{}
	for name, value := range example {
		members[name] = string(value)
	}
	for name, id := range map[string]string{"project_id": w.ids["projects"], "workspace_id": w.ids["workspaces"]} {
		if _, there := members[name]; there {
			members[name] = fmt.Sprintf("%q", id)
		}
	}
	if _, there := members["credential_config_ids"]; there {
		members["credential_config_ids"] = fmt.Sprintf("[%q]", w.configs["generic_env"])
	}
	return members
}

// member is the slot of one member; the others are as in base, the name a new one.
func (w *world) member(name, method, path string, base map[string]string, member, format string) slot {
	return slot{name, strings.ToUpper(method), w.at(path), false, func(value string) string {
		members := maps.Clone(base)
		if _, there := members["name"]; there {
			members["name"] = fmt.Sprintf(`"n%d"`, w.serial.Add(1))
		}
		members[member] = fmt.Sprintf(format, value)
		return object(members)
	}}
}

// dataSlots are the fields of each credential type, and for types whose fields the client names: a name and a value.
func (w *world) dataSlots(operation, method, path, outer string) []slot {
	var list []slot
	for _, kind := range w.types {
		at := strings.Replace(path, "{id}", w.configs[kind.Name], 1)
		add := func(field string, secret bool, render func(value string) string) {
			list = append(list, slot{operation + "/" + kind.Name + "/" + field, strings.ToUpper(method), at, secret, func(value string) string {
				return object(map[string]string{outer: render(value)})
			}})
		}
		if kind.AnyNames {
			add("name of a variable", false, func(value string) string { return fmt.Sprintf("{%s:%q}", value, secret) })
			add("value of a variable", true, func(value string) string {
				return fmt.Sprintf(`{"TF_VAR_hostile":%s,"TF_VAR_other":%q}`, value, secret)
			})
		}
		base := w.data(kind)
		for _, field := range append(kind.Fields, sdk.CredentialTypeField{Name: "no_such_field"}, sdk.CredentialTypeField{Name: "external_id"}) {
			add(field.Name, field.Secret, func(value string) string {
				members := maps.Clone(base)
				if field.Name == "session_token" {
					members["access_key_id"] = `"` + temporaryKeyID + `"` // The other kind of key has none.
				}
				members[field.Name] = value
				return object(members)
			})
		}
	}
	return list
}

// data is what a type accepts: known values with the canary, else the examples of the required fields.
func (w *world) data(kind sdk.CredentialType) map[string]string {
	known := map[string]string{
		"access_key_id": accessKeyID, "secret_access_key": secretAccessKey, "role_arn": roleARN, "source_credential_config_id": w.configs["aws_static"],
		"api_token": cloudflareToken, "service_account_key": w.keyFile,
	}
	members := map[string]string{}
	for _, field := range kind.Fields {
		value, ok := known[field.Name]
		if !ok && field.Required {
			value, ok = field.Example, true
		}
		if ok {
			text, _ := json.Marshal(value) // A string can always be encoded.
			members[field.Name] = string(text)
		}
	}
	return members
}

// object writes members, which may be no JSON at all, as a JSON object.
func object(members map[string]string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			b.WriteByte(',')
		}
		text, _ := json.Marshal(name) // A string can always be encoded.
		fmt.Fprintf(&b, "%s:%s", text, members[name])
	}
	b.WriteByte('}')
	return b.String()
}
