package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	strict "github.com/go-json-experiment/json"

	"github.com/forgecroft/forgecroft/internal/envname"
)

// The failures of reading fields. None repeats what was read: it may be a secret. A line is named by its number.
var (
	errNotObject = errors.New("this begins like a JSON object, but is none: it is cut off, has a member twice, or is followed by something")
	errNoFields  = errors.New("there are no fields in it")
	errEncoding  = errors.New("this is not UTF-8 text; encode binary values first, with base64 for instance")
)

// parseFields reads all fields of a secret version: a JSON object, or lines as .env files and shells have them.
//
// Of the lines, blank ones and those that begin with # are skipped, and so is "export " before a name. A value without quotes goes to the end of
// its line, byte for byte but for white space around it. In single quotes everything stands for itself, in double quotes a backslash
// escapes as in \n, \r, \t, \\, \", \$ and \`; both may go over several lines. What cannot be read for sure is refused: half a key that is stored
// is worse than none.
func parseFields(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, errEncoding
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // the byte order mark of Windows editors
	if trimmed := bytes.TrimSpace(text); bytes.HasPrefix(trimmed, []byte("{")) {
		return parseObject(trimmed)
	}
	s := lineScanner{rest: string(text)}
	data := map[string]json.RawMessage{} // field → value
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
	name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(before), "export "))
	if !found || !envname.Valid(name) {
		return "", "", s.errorf("is not of the form NAME=VALUE")
	}
	after = strings.TrimLeft(after, " \t")
	if after != "" && (after[0] == '"' || after[0] == '\'') {
		s.rest = strings.TrimLeft(s.rest[len(before)+1:], " \t")
		value, err = s.quoted()
		return name, value, err
	}
	s.rest = s.rest[min(len(line)+1, len(s.rest)):]
	return name, strings.TrimSpace(after), nil
}

// quoted reads a value in quotes, which must be all that its line has.
func (s *lineScanner) quoted() (string, error) {
	var value strings.Builder
	mark := s.rest[0]
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == mark && mark == '\'' && strings.HasPrefix(s.rest[i:], `'\''`): // how shells write a single quote
			value.WriteByte('\'')
			i += 3
		case c == mark:
			return value.String(), s.close(i + 1)
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
func (s *lineScanner) close(end int) error {
	tail, rest, _ := strings.Cut(s.rest[end:], "\n")
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
