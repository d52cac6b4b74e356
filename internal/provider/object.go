package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

const maxDepth = 16

// errNotObject is the one answer for any body that is not strict JSON; the parser's own text may quote the input.
var errNotObject = errors.New("not a strict JSON object")

// Object is a JSON object of an answer, read strictly: member names are compared byte for byte, and a member that appears twice
// makes the whole text unreadable, so that two readers can never see two different answers.
type Object map[string]json.RawMessage // :: member name → its JSON text

// ParseObject reads one JSON object and nothing after it. Invalid UTF-8, repeated members at any level and nesting beyond 16 levels
// are errors; errors never quote the input.
func ParseObject(body []byte) (Object, error) {
	if !utf8.Valid(body) {
		return nil, errNotObject
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if !uniqueMembers(decoder, 0) {
		return nil, errNotObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotObject
	}
	var object Object
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		return nil, errNotObject
	}
	return object, nil
}

// uniqueMembers reads one value and reports whether it is well formed and no object in it repeats a member.
func uniqueMembers(decoder *json.Decoder, depth int) bool {
	token, err := decoder.Token()
	if err != nil || depth > maxDepth {
		return false
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return true
	}
	seen := map[string]bool{} // :: member name → already met
	for decoder.More() {
		if delim == '{' {
			key, err := decoder.Token()
			name, ok := key.(string)
			if err != nil || !ok || seen[name] {
				return false
			}
			seen[name] = true
		}
		if !uniqueMembers(decoder, depth+1) {
			return false
		}
	}
	_, err = decoder.Token()
	return err == nil
}

// Text returns a member that is a string.
func (o Object) Text(name string) (string, bool) { return member[string](o, name) }

// Int returns a member that is a whole number.
func (o Object) Int(name string) (int64, bool) { return member[int64](o, name) }

// Bool returns a member that is true or false.
func (o Object) Bool(name string) (value, ok bool) { return member[bool](o, name) }

// Object returns a member that is an object.
func (o Object) Object(name string) (Object, bool) { return member[Object](o, name) }

// Objects returns a member that is a list of objects.
func (o Object) Objects(name string) ([]Object, bool) { return member[[]Object](o, name) }

// member decodes one member; null and an absent member are the same.
func member[T any](o Object, name string) (T, bool) {
	var value *T
	raw, ok := o[name]
	if !ok || json.Unmarshal(raw, &value) != nil || value == nil {
		var zero T
		return zero, false
	}
	return *value, true
}
