package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// securityName is the name of the security scheme in the document.
const securityName = "api_key"

// overview opens the document and the reference.
const overview = "Forgecroft keeps the cloud credentials of infrastructure-as-code teams: it stores them, proves them against the provider, scopes them, attaches them to workspaces " +
	"and hands them to a run, with a record of every use."

// compile gives every operation the rules of its body.
func compile(operations []*operation, document *huma.OpenAPI) error {
	for _, op := range operations {
		if op.input == nil {
			continue
		}
		registry := document.Components.Schemas
		rules, err := compileRule(registry.Schema(op.input, true, ""), registry)
		if err != nil {
			return fmt.Errorf("the body of %s: %w", op.id, err)
		}
		op.rules = rules
	}
	return nil
}

// describe makes the OpenAPI document from the table.
func describe(operations []*operation) (*huma.OpenAPI, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[sdk.Optional[string]](), reflect.TypeFor[*string]())
	document := &huma.OpenAPI{
		OpenAPI:    "3.1.0",
		Info:       &huma.Info{Title: "Forgecroft", Description: overview, Version: "1", License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Security:   []map[string][]string{{securityName: {}}},
		Components: &huma.Components{Schemas: registry, SecuritySchemes: securitySchemes(), Responses: map[string]*huma.Response{}},
	}
	problem := registry.Schema(reflect.TypeFor[sdk.Problem](), true, "")
	for _, k := range problemKinds {
		document.Components.Responses[responseName(k.status)] = &huma.Response{
			Description: cmp.Or(http.StatusText(k.status), k.title), Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
		}
	}
	for _, op := range operations {
		if op.permission == "" || op.serve == nil || op.status == 0 || op.summary == "" {
			return nil, fmt.Errorf("%s %s lacks a permission, a handler, a status or a summary", op.method, op.path)
		}
		if !slices.ContainsFunc(document.Tags, func(t *huma.Tag) bool { return t.Name == op.tag }) {
			document.Tags = append(document.Tags, &huma.Tag{Name: op.tag})
		}
		document.AddOperation(op.describe(registry))
	}
	finishSchemas(operations, registry)
	return document, nil
}

// securitySchemes describes the API key.
func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{securityName: {
		Type: "http", Scheme: "bearer", BearerFormat: "fc_live_…", Description: "An API key, as Authorization: Bearer fc_live_…. It says who calls: a role within a scope.",
	}}
}

// describe makes the description of one operation.
func (op *operation) describe(registry huma.Registry) *huma.Operation {
	o := &huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag}, Summary: op.summary, Description: op.description,
		Parameters: op.parameters(), Responses: map[string]*huma.Response{strconv.Itoa(op.status): op.success(registry)},
		Extensions: map[string]any{"x-forgecroft-permission": string(op.permission), "x-forgecroft-roles": rolesFor(op.permission)},
	}
	if op.input != nil {
		o.RequestBody = &huma.RequestBody{Required: !op.optional, Content: map[string]*huma.MediaType{"application/json": {
			Schema: registry.Schema(op.input, true, ""), Example: op.exampleValue(),
		}}, Description: fmt.Sprintf("At most %d bytes of JSON, nested at most %d levels deep, with at most %d values.", MaxBody, MaxDepth, MaxMembers)}
	}
	for _, status := range op.problems() {
		o.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + responseName(status)}
	}
	return o
}

// exampleValue is the example body; nil: there is none.
func (op *operation) exampleValue() any {
	if op.example == "" {
		return nil
	}
	return json.RawMessage(op.example)
}

// success describes the answer of an operation that works.
func (op *operation) success(registry huma.Registry) *huma.Response {
	r := &huma.Response{Description: http.StatusText(op.status), Headers: map[string]*huma.Param{"X-Request-Id": textHeader("The id under which the log and the audit trail know the request.")}}
	if op.output == nil {
		return r
	}
	if op.streams() {
		r.Content = map[string]*huma.MediaType{tarType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
		return r
	}
	content := &huma.MediaType{Schema: registry.Schema(op.output, true, "")}
	for i, answer := range op.answers {
		if content.Examples == nil {
			content.Examples = map[string]*huma.Example{}
		}
		content.Examples[fmt.Sprintf("example%d", i+1)] = &huma.Example{Value: json.RawMessage(answer)}
	}
	r.Content = map[string]*huma.MediaType{"application/json": content}
	if _, has := revision(reflect.Zero(op.output).Interface()); has {
		r.Headers["ETag"] = textHeader("The revision, for If-Match.")
	}
	if op.digest {
		r.Headers[sdk.ContentHashHeader] = textHeader("SHA-256 of the body, in hex.")
	}
	return r
}

// textHeader describes a header.
func textHeader(doc string) *huma.Param {
	return &huma.Param{Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
}

// parameters describes what stands in path, query and headers.
func (op *operation) parameters() []*huma.Param {
	var list []*huma.Param
	if strings.Contains(op.path, "{id}") {
		list = append(list, &huma.Param{Name: "id", In: "path", Required: true, Schema: op.idSchema()})
	}
	for _, p := range op.query {
		list = append(list, &huma.Param{Name: p.name, In: "query", Description: p.doc, Schema: p.schema()})
	}
	if op.revises {
		list = append(list, &huma.Param{Name: "If-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString}, Description: `The ETag that the change expects, such as "3"; * or absent: any. 412 if it is another.`})
	}
	if op.creates {
		length, most := 1, maxIdempotencyKey
		list = append(list, &huma.Param{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MinLength: &length, MaxLength: &most, Pattern: "^[!-~]+$"},
			Description: fmt.Sprintf("Visible ASCII of your choice. Repeated within %d hours, the request returns the first result again instead of making something twice.", int(forgecroft.IdempotencyTTL.Hours())),
		})
	}
	return list
}

// idSchema describes the id in the path: a UUID but for vault keys.
func (op *operation) idSchema() *huma.Schema {
	if op.tag == tagVault {
		return &huma.Schema{Type: huma.TypeString}
	}
	return &huma.Schema{Type: huma.TypeString, Format: "uuid"}
}

// schema describes a query parameter.
func (p parameter) schema() *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Format: p.format}
	for _, value := range p.enum {
		s.Enum = append(s.Enum, value)
	}
	if p.format == "integer" {
		least, most := 1.0, float64(broker.MaxPage)
		s.Type, s.Format, s.Minimum, s.Maximum, s.Default = huma.TypeInteger, "", &least, &most, broker.DefaultPage
	}
	return s
}

// problems lists the statuses with which an operation may fail.
func (op *operation) problems() []int {
	list := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable}
	add := func(applies bool, statuses ...int) {
		if applies {
			list = append(list, statuses...)
		}
	}
	add(strings.Contains(op.path, "{id}"), http.StatusNotFound)
	add(op.conflicts, http.StatusConflict)
	add(op.revises, http.StatusPreconditionFailed)
	add(op.input != nil, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	add(op.input != nil || op.query != nil || op.creates || op.fails, http.StatusUnprocessableEntity)
	add(op.method != http.MethodGet, http.StatusInsufficientStorage)
	slices.Sort(list)
	return list
}

// responseName is the name of the shared description of a status.
func responseName(status int) string {
	return strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(status))
}

// rolesFor lists the roles that hold a permission.
func rolesFor(p forgecroft.Permission) []string {
	var roles []string
	for _, role := range forgecroft.Roles() {
		if role.Allows(p) {
			roles = append(roles, string(role))
		}
	}
	return roles
}

// finishSchemas says what huma cannot know of how we write and read: lists are never null, objects may be where a pointer says so, and only requests
// refuse members that are not listed. Answers may get new ones.
func finishSchemas(operations []*operation, registry huma.Registry) {
	requests := map[string]bool{} // :: reference → a request has this body
	for _, op := range operations {
		if op.input != nil {
			requests[registry.Schema(op.input, true, "").Ref] = true
		}
	}
	for name, s := range registry.Map() {
		ref := "#/components/schemas/" + name
		if !requests[ref] {
			s.AdditionalProperties = nil
		}
		for field := range fieldsOf(registry.TypeFromRef(ref)) {
			property := s.Properties[jsonName(field)]
			switch {
			case property == nil:
			case property.Type == huma.TypeArray:
				property.Nullable = false
			case property.Ref != "" && field.Type.Kind() == reflect.Pointer && !strings.Contains(field.Tag.Get("json"), ",omit"):
				property.AnyOf = []*huma.Schema{{Ref: property.Ref}, {Type: "null"}}
				property.Ref = ""
			}
		}
	}
}

// fieldsOf iterates over the fields of a struct, those of embedded ones included.
func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if !f.Anonymous && !yield(f) {
				return
			}
		}
	}
}

// jsonName is the name of a field in JSON.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
