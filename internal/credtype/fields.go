package credtype

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// form collects the values and the broken rules of one input. Rules add to it and never stop at the first one, so that a person
// corrects everything at once. No message may hold a value: clients show messages and log them.
type form struct {
	values map[string]string // :: field → value as text
	errors []forgecroft.FieldError
}

// fail reports a broken rule of a field.
func (f *form) fail(field, code, message string) {
	f.errors = append(f.errors, forgecroft.FieldError{Field: "data." + field, Code: code, Message: message})
}

// failed reports whether a rule of the field is broken already, so that one mistake gives one message.
func (f *form) failed(field string) bool {
	return slices.ContainsFunc(f.errors, func(e forgecroft.FieldError) bool { return e.Field == "data."+field })
}

// checked returns the value of a field that was given and broke no rule yet.
func (f *form) checked(field string) (string, bool) {
	value, given := f.values[field]
	return value, given && !f.failed(field)
}

// result is what Check returns: values, or errors.
func (f *form) result() (forgecroft.Values, []forgecroft.FieldError) {
	if len(f.errors) > 0 {
		return nil, f.errors
	}
	values := make(forgecroft.Values, len(f.values))
	for name, value := range f.values {
		values[name] = forgecroft.NewSecret(value)
	}
	return values, nil
}

// decode reads input by the declared fields: what is there, of the right kind, and within the declared bounds. Defaults are filled in.
func decode(fields []forgecroft.Field, input map[string]json.RawMessage) *form {
	f := &form{values: map[string]string{}}
	f.countUnknown(fields, input)
	for _, d := range fields {
		raw, given := input[d.Name]
		switch {
		case given:
			f.read(d, raw)
		case d.Required:
			f.fail(d.Name, "required", fmt.Sprintf("The field %s is required.", d.Name))
		case d.Default != "":
			f.values[d.Name] = d.Default
		}
	}
	return f
}

// read reads one field.
func (f *form) read(d forgecroft.Field, raw json.RawMessage) {
	value, code, message := text(d, raw)
	if code == "" {
		code, message = bounds(d, value)
	}
	if code != "" {
		f.fail(d.Name, code, message)
		return
	}
	f.values[d.Name] = value
}

// text turns the JSON of a field into text; code is not empty if it is of the wrong kind.
func text(d forgecroft.Field, raw json.RawMessage) (value, code, message string) {
	raw = bytes.TrimSpace(raw)
	switch d.Kind {
	case forgecroft.FieldInteger:
		number, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return "", "wrong_type", fmt.Sprintf("The field %s must be a whole number.", d.Name)
		}
		return strconv.FormatInt(number, 10), "", ""
	case forgecroft.FieldJSON:
		if bytes.HasPrefix(raw, []byte("{")) {
			return string(raw), "", ""
		}
	}
	value, ok := stringOf(raw)
	if !ok {
		return "", "wrong_type", fmt.Sprintf("The field %s must be a string.", d.Name)
	}
	return value, "", ""
}

// stringOf decodes a JSON string, and nothing else: null is not one.
func stringOf(raw json.RawMessage) (string, bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte(`"`)) {
		return "", false
	}
	var value string
	return value, json.Unmarshal(raw, &value) == nil
}

// bounds holds a value to what its field declares; code is empty if it keeps to it.
func bounds(d forgecroft.Field, value string) (code, message string) {
	switch {
	case value == "" && d.Required:
		return "required", fmt.Sprintf("The field %s must not be empty.", d.Name)
	case value == "":
		return "invalid_format", fmt.Sprintf("The field %s must not be empty. Leave it out instead.", d.Name)
	case len(value) > forgecroft.MaxValue:
		return "too_long", fmt.Sprintf("The field %s has at most %d bytes.", d.Name, forgecroft.MaxValue)
	case len(d.Enum) > 0 && !slices.Contains(d.Enum, value):
		return "invalid_value", fmt.Sprintf("The field %s must be one of: %s.", d.Name, strings.Join(d.Enum, ", "))
	case d.Kind == forgecroft.FieldInteger && outOfRange(d, value):
		return "out_of_range", fmt.Sprintf("The field %s must be from %d to %d.", d.Name, d.Minimum, d.Maximum)
	case d.Kind == forgecroft.FieldConfig && !forgecroft.ValidID(value):
		return "invalid_id", fmt.Sprintf("The field %s must be the id of a credential config (a lower-case UUID).", d.Name)
	case d.Pattern != "" && !regexp.MustCompile(d.Pattern).MatchString(value):
		return "invalid_format", fmt.Sprintf("The field %s must match %s, such as %s.", d.Name, d.Pattern, d.Example)
	}
	return "", ""
}

// outOfRange reports whether the text of an integer is not within the field's bounds.
func outOfRange(d forgecroft.Field, value string) bool {
	number, err := strconv.ParseInt(value, 10, 64)
	return err != nil || ((d.Minimum != 0 || d.Maximum != 0) && (number < d.Minimum || number > d.Maximum))
}

// countUnknown refuses members that are no fields. Their names are not repeated: someone may have pasted a secret in the place of
// one.
func (f *form) countUnknown(fields []forgecroft.Field, input map[string]json.RawMessage) {
	names := make([]string, len(fields))
	for i, d := range fields {
		names[i] = d.Name
	}
	unknown := 0
	for name := range input {
		if !slices.Contains(names, name) {
			unknown++
		}
	}
	if unknown > 0 {
		f.errors = append(f.errors, forgecroft.FieldError{Field: "data", Code: "unknown_field", Message: fmt.Sprintf(
			"There are fields that this credential type does not have (%d). Its fields are: %s.", unknown, strings.Join(names, ", "))})
	}
}

// clean refuses what copying leaves around a value and no provider's value holds: white space, quotes and NUL.
func (f *form) clean(fields ...string) {
	for _, field := range fields {
		value, ok := f.checked(field)
		if !ok {
			continue
		}
		if mistake := pasteMistake(value); mistake != "" {
			f.fail(field, "invalid_format", fmt.Sprintf("The field %s %s", field, mistake))
		}
	}
}

// pasteMistake names what copying leaves around or in a value, as the rest of a sentence; empty: nothing is found.
func pasteMistake(value string) string {
	blank := func(r rune) bool { return r <= ' ' || r == 0x7f || unicode.IsSpace(r) }
	switch {
	case strings.ContainsFunc(value, blank):
		return "holds white space or control characters. Paste the value alone."
	case strings.ContainsAny(value, "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb\u201e\u201a"):
		return "holds quotation marks. Paste the value without them."
	case strings.ContainsFunc(value, forgecroft.Invisible):
		return "holds a character that cannot be seen, such as a zero-width space. Type the value, or copy it from another place."
	case strings.Contains(value, "\u2026"), strings.HasSuffix(value, "..."):
		return "holds an ellipsis: it was cut short where it was shown. Copy the whole value."
	}
	return ""
}

// plain unwraps the value of a field for a call to its provider. Values come from the vault, where nobody can change them unseen; so they go before what the
// database shows of them.
func plain(r forgecroft.Resolution, field string) string { return r.Values[field].Reveal() }
