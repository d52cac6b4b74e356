package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// wholeBody is the field of a failure that is about the body itself.
const wholeBody = "body"

// maxFieldErrors is how many broken rules one answer lists.
const maxFieldErrors = 50

// rule is the compiled form of the schema of a body: what the OpenAPI document shows is what is checked.
type rule struct {
	kind      string // JSON Schema type; empty: anything
	nullable  bool
	members   map[string]*rule // :: name → its rule
	required  []string
	others    *rule // of members that are not listed; nil: there are none
	items     *rule
	maxItems  int
	notEmpty  bool
	maxLength int // in characters, as JSON Schema counts; 0: no limit
	pattern   *regexp.Regexp
	format    string
}

// compileRule turns a schema into a rule. It refuses keywords that it does not check, so that the document cannot promise what nobody enforces.
func compileRule(s *huma.Schema, registry huma.Registry) (*rule, error) {
	if s.Ref != "" {
		return compileRule(registry.SchemaFromRef(s.Ref), registry)
	}
	unchecked := s.Enum != nil || s.Minimum != nil || s.Maximum != nil || s.MinItems != nil || s.UniqueItems || limit(s.MinLength) > 1
	if unchecked || s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil {
		return nil, errors.New("the schema uses a keyword that request bodies are not checked for")
	}
	r := &rule{kind: s.Type, nullable: s.Nullable, required: s.Required, format: s.Format, notEmpty: limit(s.MinLength) == 1}
	r.maxLength, r.maxItems = limit(s.MaxLength), limit(s.MaxItems)
	var err error
	if s.Pattern != "" {
		if r.pattern, err = regexp.Compile(s.Pattern); err != nil {
			return nil, err
		}
	}
	if s.Items != nil {
		if r.items, err = compileRule(s.Items, registry); err != nil {
			return nil, err
		}
	}
	if others, ok := s.AdditionalProperties.(*huma.Schema); ok {
		if r.others, err = compileRule(others, registry); err != nil {
			return nil, err
		}
	}
	r.members = make(map[string]*rule, len(s.Properties))
	for name, property := range s.Properties {
		if r.members[name], err = compileRule(property, registry); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

// limit is the value of a keyword, or 0.
func limit(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// checking is one walk over a body.
type checking struct {
	decoder *jsontext.Decoder
	fields  []forgecroft.FieldError
}

// apply checks a text that [scan] let pass and returns every broken rule, in the order of the text.
func (r *rule) apply(text []byte) []forgecroft.FieldError {
	c := &checking{decoder: jsontext.NewDecoder(bytes.NewBuffer(text))}
	c.value(r, wholeBody)
	return c.fields
}

// broken notes a broken rule.
func (c *checking) broken(field, code, format string, args ...any) {
	if len(c.fields) < maxFieldErrors {
		c.fields = append(c.fields, forgecroft.FieldError{Field: field, Code: code, Message: fmt.Sprintf(format, args...)})
	}
}

// member is the name of a field below another.
func member(parent, name string) string {
	if parent == wholeBody {
		return name
	}
	return parent + "." + name
}

// value checks the next value of the text.
func (c *checking) value(r *rule, field string) {
	kind := typeOf(c.decoder.PeekKind())
	switch {
	case r.kind == "":
		_ = c.decoder.SkipValue() // scan has read it before.
	case kind == "null" && r.nullable:
		_ = c.decoder.SkipValue()
	case kind != r.kind:
		c.broken(field, "wrong_type", "It must be %s.", article(r.kind))
		_ = c.decoder.SkipValue()
	case kind == "object":
		c.object(r, field)
	case kind == "array":
		c.array(r, field)
	case kind == "string":
		token, _ := c.decoder.ReadToken()
		c.text(r, field, token.String())
	default:
		_ = c.decoder.SkipValue()
	}
}

// typeOf is the JSON Schema type of a value that begins with a token of this kind. Numbers are not told apart: no body has one.
func typeOf(k jsontext.Kind) string {
	switch k {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case '0':
		return "number"
	case 't', 'f':
		return "boolean"
	default:
		return "null"
	}
}

// article puts the article before a type.
func article(kind string) string {
	if kind == "object" || kind == "array" {
		return "an " + kind
	}
	return "a " + kind
}

// object checks an object's members.
func (c *checking) object(r *rule, field string) {
	_, _ = c.decoder.ReadToken()
	var seen []string
	for c.decoder.PeekKind() != '}' {
		token, _ := c.decoder.ReadToken()
		name := token.String()
		seen = append(seen, name)
		known, listed := r.members[name]
		switch {
		case listed:
			c.value(known, member(field, name))
		case r.others != nil:
			c.value(r.others, member(field, shown(name)))
		default:
			c.broken(member(field, shown(name)), "unknown_member", "%s", r.unknown(name))
			_ = c.decoder.SkipValue()
		}
	}
	_, _ = c.decoder.ReadToken()
	for _, name := range r.required {
		if !slices.Contains(seen, name) {
			c.broken(member(field, name), "required", "It is required.")
		}
	}
}

// unknown is the message about a member that is not listed.
func (r *rule) unknown(name string) string {
	for known := range r.members {
		if strings.EqualFold(known, name) {
			return "There is no such member; it is written " + known + "."
		}
	}
	return "There is no such member."
}

// array checks an array's items.
func (c *checking) array(r *rule, field string) {
	_, _ = c.decoder.ReadToken()
	count := 0
	for ; c.decoder.PeekKind() != ']'; count++ {
		c.value(r.items, fmt.Sprintf("%s[%d]", field, count))
	}
	_, _ = c.decoder.ReadToken()
	if r.maxItems > 0 && count > r.maxItems {
		c.broken(field, "too_many", "It has at most %d items.", r.maxItems)
	}
}

// text checks a string.
func (c *checking) text(r *rule, field, text string) {
	switch {
	case r.notEmpty && text == "":
		c.broken(field, "too_short", "It must not be empty.")
	case r.maxLength > 0 && utf8.RuneCountInString(text) > r.maxLength:
		c.broken(field, "too_long", "It has at most %d characters.", r.maxLength)
	case r.pattern != nil && !r.pattern.MatchString(text):
		c.broken(field, "invalid_format", "It must match %s.", r.pattern)
	case r.format == "uuid" && !forgecroft.ValidID(text):
		c.broken(field, "invalid_id", "This is not an id (a lower-case UUID).")
	case r.format == "date-time" && !isTime(text):
		c.broken(field, "invalid_format", "It is a time as in RFC 3339, such as 2026-01-31T12:00:00Z.")
	}
}

// isTime reports whether text is a time as in RFC 3339.
func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}
