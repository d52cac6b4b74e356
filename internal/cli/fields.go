package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	strict "github.com/go-json-experiment/json"

	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/internal/paste"
	"github.com/forgecroft/forgecroft/sdk"
)

// The failures of reading fields. None repeats what was read: it may be a secret. A line is named by its number.
var (
	errNotObject = errors.New("invalid JSON object: truncated, duplicate member or trailing data")
	errNoFields  = errors.New("there are no fields in it")
	errEncoding  = errors.New("this is not UTF-8 text; encode binary values first, with base64 for instance")
)

// readFields reads all fields of a type from a text: its own form (see [parseFields]), or one that people have at hand, as the console's
// paste takes it: a CSV file or an answer of AWS, a section of ~/.aws/credentials, a key file of Google, an answer of Vault.
func readFields(text []byte, t sdk.CredentialType) (map[string]json.RawMessage, error) {
	plain, err := decodeText(text)
	if err != nil {
		return nil, err
	}
	data, err := parseFields([]byte(plain))
	if t.AnyNames || err == nil && len(unknownFields(t, data)) == 0 {
		return data, err
	}
	if field := jsonField(t); field != "" && strings.HasPrefix(strings.TrimSpace(plain), "{") {
		// A key file as it is, or an answer that holds one: the server repairs what copying has broken.
		return map[string]json.RawMessage{field: quote(plain)}, nil
	}
	if inner := vaultData([]byte(plain)); inner != nil && len(unknownFields(t, inner)) == 0 {
		return inner, nil
	}
	found, problem := paste.Read(plain)
	if problem == nil && found.Type == t.Name {
		data = map[string]json.RawMessage{}
		for name, value := range found.Values {
			data[name] = quote(value)
		}
		return data, nil
	}
	switch {
	case problem == nil && found.Type != paste.GenericEnv:
		return nil, fmt.Errorf("this is %s, which is a credential of type %s, not %s", found.Form, found.Type, t.Name)
	case err != nil && problem != nil:
		return nil, problem
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%s has no field %s; its fields are %s", t.Name, strings.Join(unknownFields(t, data), ", "), strings.Join(fieldNames(t), ", "))
}

// jsonField is the field of a type that takes a whole JSON file, or empty.
func jsonField(t sdk.CredentialType) string {
	for _, f := range t.Fields {
		if f.Kind == "json" {
			return f.Name
		}
	}
	return ""
}

// fieldNames are the names of a type's fields.
func fieldNames(t sdk.CredentialType) []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// unknownFields are the names that are no fields of a type, sorted.
func unknownFields(t sdk.CredentialType, data map[string]json.RawMessage) []string {
	if t.AnyNames {
		return nil
	}
	known := fieldNames(t)
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// vaultData are the fields in an answer of a key-value engine of OpenBao or HashiCorp Vault, version 1 or 2; nil: it is none.
func vaultData(text []byte) map[string]json.RawMessage {
	var outer struct {
		RequestID *string                    `json:"request_id"`
		Data      map[string]json.RawMessage `json:"data"`
	}
	if json.Unmarshal(text, &outer) != nil || outer.RequestID == nil {
		return nil
	}
	var inner map[string]json.RawMessage
	if _, versioned := outer.Data["metadata"]; versioned && json.Unmarshal(outer.Data["data"], &inner) == nil {
		return inner
	}
	return outer.Data
}

// decodeText makes UTF-8 of a text: also of UTF-16 with a byte order mark, as Windows tools write it. Line ends may be CR LF, or CR alone.
func decodeText(text []byte) (string, error) {
	for mark, order := range map[string]binary.ByteOrder{"\xff\xfe": binary.LittleEndian, "\xfe\xff": binary.BigEndian} {
		if rest, marked := bytes.CutPrefix(text, []byte(mark)); marked && len(rest)%2 == 0 {
			units := make([]uint16, len(rest)/2)
			for i := range units {
				units[i] = order.Uint16(rest[2*i:])
			}
			text = []byte(string(utf16.Decode(units)))
		}
	}
	if !utf8.Valid(text) {
		return "", errEncoding
	}
	plain := strings.TrimPrefix(string(text), "\ufeff")
	if strings.Contains(plain, "\r") && !strings.Contains(plain, "\n") {
		plain = strings.ReplaceAll(plain, "\r", "\n")
	}
	return plain, nil
}

// parseFields reads all fields of a secret version: a JSON object, or lines as .env files and shells have them.
//
// Of the lines, blank ones and those that begin with # are skipped, and so is "export" before a name. A value without quotes goes to the end of its line, or to
// a # after a blank, which begins a comment; white space around it is none of it. In single quotes everything stands for itself, in double quotes a
// backslash escapes as in \n, \r, \t, \\, \", \$ and \`; both may go over several lines. What a shell would compute ($(…), `…`, $'…'), and what cannot be read for
// sure, is refused: half a key that is stored is worse than none.
func parseFields(text []byte) (map[string]json.RawMessage, error) {
	plain, err := decodeText(text)
	if err != nil {
		return nil, err
	}
	if trimmed := strings.TrimSpace(plain); strings.HasPrefix(trimmed, "{") {
		return parseObject([]byte(trimmed))
	}
	s := lineScanner{rest: strings.ReplaceAll(plain, "\n\ufeff", "\n")} // Files that were joined have a mark in the middle.
	data := map[string]json.RawMessage{}                                // field → value
	for s.next() {
		name, value, err := s.pair()
		if err != nil {
			return nil, err
		}
		if _, twice := data[name]; twice {
			return nil, s.errorf("gives a field a second time")
		}
		data[name] = quote(value)
	}
	if len(data) == 0 {
		return nil, errNoFields
	}
	return data, nil
}

// parseObject reads a JSON object strictly: encoding/json would take the last of two equal members.
func parseObject(text []byte) (map[string]json.RawMessage, error) {
	var strictly map[string]any
	if strict.Unmarshal(text, &strictly) != nil {
		return nil, errNotObject
	}
	var data map[string]json.RawMessage // as written: a number stays as long as it is
	if json.Unmarshal(text, &data) != nil {
		return nil, errNotObject
	}
	if len(data) == 0 {
		return nil, errNoFields
	}
	return data, nil
}

// encodeText makes a JSON string of a field's value. Other bytes than UTF-8 are refused: JSON would replace them without a word.
func encodeText(name, value string) (json.RawMessage, error) {
	if !utf8.ValidString(value) {
		return nil, usage("%s: %w", name, errEncoding)
	}
	return quote(value), nil
}

// quote makes a JSON string of valid UTF-8.
func quote(text string) json.RawMessage {
	quoted, _ := json.Marshal(text) // A string always marshals.
	return quoted
}

// lineScanner reads NAME=VALUE lines.
type lineScanner struct {
	rest string
	line int // the number of the line that next has found
	more int // lines that its value goes over beyond the first
}

// next goes to the next line that is neither blank nor a comment.
func (s *lineScanner) next() bool {
	for s.rest != "" {
		s.line += 1 + s.more
		s.more = 0
		line, rest, _ := strings.Cut(s.rest, "\n")
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
		s.rest = rest
	}
	return false
}

// errorf makes an error that names the line.
func (s *lineScanner) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d %s", s.line, fmt.Sprintf(format, args...))
}

// pair reads a name and its value, up to the next line.
func (s *lineScanner) pair() (name, value string, err error) {
	line, _, _ := strings.Cut(s.rest, "\n")
	before, after, found := strings.Cut(line, "=")
	name, exported := exportedName(before)
	if !found || !envname.Valid(name) {
		return "", "", s.errorf("is not of the form NAME=VALUE")
	}
	after = strings.TrimLeft(after, " \t")
	if after != "" && (after[0] == '"' || after[0] == '\'') {
		s.rest = strings.TrimLeft(s.rest[len(before)+1:], " \t")
		value, err = s.quoted(exported)
		return name, value, err
	}
	s.rest = s.rest[min(len(line)+1, len(s.rest)):]
	value, err = s.unquoted(after, exported)
	return name, value, err
}

// exportedName is the name before the equals sign, and whether "export" stands before it.
func exportedName(before string) (name string, exported bool) {
	words := strings.Fields(before)
	if len(words) == 2 && words[0] == "export" {
		return words[1], true
	}
	return strings.TrimSpace(before), false
}

// unquoted reads a value without quotes.
func (s *lineScanner) unquoted(text string, exported bool) (string, error) {
	if i := comment(text); i >= 0 {
		text = text[:i]
	}
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "$'"), strings.Contains(text, "$("), strings.HasPrefix(text, "`"):
		return "", s.errorf("has a value that a shell would compute; put the value itself there, or put it in single quotes if it is meant as it stands")
	case exported && strings.HasSuffix(text, ";"):
		return "", s.errorf("ends with a semicolon, which a shell takes for the end of the command; remove it, or put the value in quotes")
	}
	return text, nil
}

// comment is where a comment begins in a value without quotes, or -1: at a # at its beginning or after white space.
func comment(text string) int {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return i
		}
	}
	return -1
}

// quoted reads a value in quotes, which must be all that its line has.
func (s *lineScanner) quoted(exported bool) (string, error) {
	var value strings.Builder
	mark := s.rest[0]
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == mark && mark == '\'' && strings.HasPrefix(s.rest[i:], `'\''`): // how shells write a single quote
			value.WriteByte('\'')
			i += 3
		case c == mark:
			return value.String(), s.close(i+1, exported)
		case c == '\\' && mark == '"' && i+1 < len(s.rest):
			i++
			value.WriteString(unescape(s.rest[i]))
		default:
			value.WriteByte(c)
		}
		if s.rest[i] == '\n' {
			s.more++
		}
	}
	return "", s.errorf("begins a value with a %c that is not closed", mark)
}

// close ends a value in quotes: only a comment may follow on its line.
func (s *lineScanner) close(end int, exported bool) error {
	tail, rest, _ := strings.Cut(s.rest[end:], "\n")
	if exported {
		tail = strings.TrimPrefix(strings.TrimSpace(tail), ";")
	}
	if tail = strings.TrimSpace(tail); tail != "" && !strings.HasPrefix(tail, "#") {
		return s.errorf("has something after the closing quote; put the whole value into quotes")
	}
	s.rest = rest
	return nil
}

// unescape is what a character after a backslash in double quotes stands for. A backslash before any other stands for itself, as in shells.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '\\', '"', '$', '`':
		return string(rune(c))
	default:
		return string([]byte{'\\', c})
	}
}
