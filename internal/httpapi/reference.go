package httpapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the templates
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strings"
	texttemplate "text/template"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed reference.html.tmpl
var htmlTemplate string

//go:embed reference.md.tmpl
var markdownTemplate string

//go:embed reference.css
var styleSheet string

// reference is what the page at /docs and docs/api.md show: the OpenAPI document, for people.
type reference struct {
	Overview string
	Chapters []chapter
	Objects  []object
	Problems []problemEntry
	Limits   map[string]int
}

// chapter is one group of operations.
type chapter struct {
	Title   string
	Anchor  string
	Entries []entry
}

// entry is one operation.
type entry struct {
	ID, Method, Path, Summary, Description string
	Permission                             string
	Roles                                  []string
	Parameters                             []field
	Body                                   *object
	Optional                               bool
	Example                                string
	Answers                                []string
	Status                                 int
	StatusText                             string
	Result                                 string // the type of the answer
	ResultAnchor                           string
	Problems                               []int
}

// object is one schema.
type object struct {
	Name   string
	Anchor string
	Fields []field
}

// field is a member of an object, or a parameter.
type field struct {
	Name, In, Type, Anchor, Doc string
	Required                    bool
}

// problemEntry is one kind of problem.
type problemEntry struct {
	Kind, Title string
	Status      int
}

// newReference reads the document in the order of the table.
func newReference(operations []*operation, document *huma.OpenAPI) reference {
	r := reference{Overview: overview, Limits: map[string]int{"Body": MaxBody >> 10, "Depth": MaxDepth, "Members": MaxMembers}}
	registry := document.Components.Schemas
	for _, tag := range document.Tags {
		c := chapter{Title: tag.Name, Anchor: anchor(tag.Name)}
		for _, op := range operations {
			if op.tag == tag.Name {
				c.Entries = append(c.Entries, newEntry(op, registry))
			}
		}
		r.Chapters = append(r.Chapters, c)
	}
	shown := map[string]bool{} // :: schema → shown with its operation
	for _, op := range operations {
		if op.input != nil {
			shown[baseName(registry.Schema(op.input, true, "").Ref)] = true
		}
	}
	for name, s := range registry.Map() {
		if !shown[name] && !strings.HasPrefix(name, "List") {
			r.Objects = append(r.Objects, newObject(name, s, registry.TypeFromRef("#/components/schemas/"+name)))
		}
	}
	slices.SortFunc(r.Objects, func(a, b object) int { return cmp.Compare(a.Name, b.Name) })
	for _, k := range problemKinds {
		if !k.hidden || k.kind == kindInternal {
			r.Problems = append(r.Problems, problemEntry{string(k.kind), k.title, k.status})
		}
	}
	return r
}

// newEntry describes one operation.
func newEntry(op *operation, registry huma.Registry) entry {
	e := entry{
		ID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Description: op.description,
		Permission: string(op.permission), Roles: rolesFor(op.permission), Optional: op.optional, Example: op.example, Answers: op.answers,
		Status: op.status, StatusText: http.StatusText(op.status), Problems: op.problems(),
	}
	for _, p := range op.parameters() {
		if p.In != "path" {
			e.Parameters = append(e.Parameters, newField(p.Name, p.In, p.Schema, p.Description, p.Required))
		}
	}
	if op.input != nil {
		ref := registry.Schema(op.input, true, "").Ref
		body := newObject(baseName(ref), registry.SchemaFromRef(ref), op.input)
		e.Body = &body
	}
	switch {
	case op.streams():
		e.Result = tarType
	case op.output != nil:
		e.Result, e.ResultAnchor = typeName(registry.Schema(op.output, true, ""))
	}
	return e
}

// newObject describes a schema, its members in the order of the Go type.
func newObject(name string, s *huma.Schema, t reflect.Type) object {
	o := object{Name: name, Anchor: "object-" + strings.ToLower(name)}
	for f := range fieldsOf(t) {
		if p := s.Properties[jsonName(f)]; p != nil {
			o.Fields = append(o.Fields, newField(jsonName(f), "", p, p.Description, slices.Contains(s.Required, jsonName(f))))
		}
	}
	return o
}

// newField describes a member or parameter.
func newField(name, in string, s *huma.Schema, doc string, required bool) field {
	f := field{Name: name, In: in, Doc: doc, Required: required}
	f.Type, f.Anchor = typeName(s)
	if limits := limitsOf(s); limits != "" {
		f.Doc = strings.TrimSpace(f.Doc + " " + limits)
	}
	return f
}

// typeName is a schema's type for a person, with the anchor of the object it is about.
func typeName(s *huma.Schema) (name, to string) {
	switch {
	case s.Ref != "":
		name = baseName(s.Ref)
		if item, isList := strings.CutPrefix(name, "List"); isList {
			return "page of " + item, "object-" + strings.ToLower(item)
		}
		return name, "object-" + strings.ToLower(name)
	case s.AnyOf != nil:
		name, to = typeName(s.AnyOf[0])
		return name + " or null", to
	case s.Type == huma.TypeArray:
		name, to = typeName(s.Items)
		return "list of " + name, to
	case s.Type == huma.TypeObject:
		name, to = "object", ""
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			inner, at := typeName(values)
			return "map to " + inner, at
		}
		return name, to
	}
	name = cmp.Or(s.Format, s.Type, "any JSON")
	if s.Type == huma.TypeInteger {
		name = s.Type
	}
	if s.Nullable {
		name += " or null"
	}
	return name, ""
}

// limitsOf tells the limits of a schema.
func limitsOf(s *huma.Schema) string {
	var parts []string
	if s.MinLength != nil {
		parts = append(parts, "Not empty.") // compileRule takes no other minimum.
	}
	if s.MaxLength != nil {
		parts = append(parts, fmt.Sprintf("At most %d characters.", *s.MaxLength))
	}
	if s.MaxItems != nil {
		parts = append(parts, fmt.Sprintf("At most %d items.", *s.MaxItems))
	}
	if s.Pattern != "" {
		parts = append(parts, "Matches "+s.Pattern+".")
	}
	if s.Enum != nil {
		values := strings.Fields(strings.Trim(fmt.Sprint(s.Enum), "[]"))
		parts = append(parts, "One of "+strings.Join(values, ", ")+".")
	}
	return strings.Join(parts, " ")
}

// baseName is the name at the end of a reference.
func baseName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// anchor makes an anchor of a title.
func anchor(title string) string { return strings.ReplaceAll(strings.ToLower(title), " ", "-") }

// serve serves the reference as a page. It needs no script, and its policy allows its own style sheet alone.
func (r reference) serve() func(*exchange) {
	sum := sha256.Sum256([]byte(styleSheet))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	page := once("text/html; charset=utf-8", r.html)
	return func(x *exchange) {
		x.Header().Set("Content-Security-Policy", policy)
		x.Header().Set("Referrer-Policy", "no-referrer")
		page(x)
	}
}

// html renders the reference as HTML.
func (r reference) html() ([]byte, error) {
	t, err := template.New("reference").Parse(htmlTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct {
		reference
		Style template.CSS
	}{r, template.CSS(styleSheet)})
	return out.Bytes(), err
}

// markdown renders the reference as docs/api.md.
func (r reference) markdown() ([]byte, error) {
	t, err := texttemplate.New("reference").Funcs(texttemplate.FuncMap{"cell": cell, "join": strings.Join}).Parse(markdownTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, r)
	return out.Bytes(), err
}

// cell makes text fit into the cell of a Markdown table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
