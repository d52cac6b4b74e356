package runner

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/forgecroft/forgecroft/sdk"
)

// minMasked is the shortest text that is masked, in bytes: shorter ones occur by chance.
const minMasked = 6

// patterns are all texts to mask: the secret ones, as they are and as tools usually write them.
func (c Command) patterns() []string {
	values, short := secretValues(c.Env)
	notices{c.Notice}.tooShort(short)
	var patterns []string
	for _, text := range secretTexts(values) {
		patterns = append(patterns, forms(text)...)
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// secretValues are the secret values of an environment and the contents of its key files, and the
// variables whose values are too short to be masked.
func secretValues(e sdk.Environment) (values, short []string) {
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		value := e.Env[name]
		if !e.IsSecret(name) {
			continue
		}
		if value != "" && len(value) < minMasked {
			short = append(short, name)
		}
		values = append(values, value)
	}
	for _, f := range e.Files {
		values = append(values, f.Content)
	}
	return values, short
}

// secretTexts are the texts to mask: the values, and those parts of them that are secret on their
// own.
func secretTexts(values []string) []string {
	var texts []string
	for _, value := range values {
		texts = appendSecret(texts, value)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// appendSecret appends a value and its parts: of JSON the values in it, of another text its lines.
func appendSecret(texts []string, value string) []string {
	if len(value) < minMasked || strings.TrimSpace(value) == "" {
		return texts
	}
	texts = append(texts, value)
	if inside, is := insideJSON(value); is {
		for _, part := range inside {
			texts = appendSecret(texts, part)
		}
		return texts
	}
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); len(line) >= minMasked && telling(line) {
			texts = append(texts, line)
		}
	}
	return texts
}

// armor matches the lines around a PEM block (RFC 7468, section 2), which are the same in every
// key.
var armor = regexp.MustCompile(`^-----(?:BEGIN|END) [A-Z0-9 ]+-----$`)

// telling reports whether a line says something about its value: punctuation alone and PEM armor do
// not.
func telling(line string) bool {
	return strings.ContainsFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) && !armor.MatchString(line)
}

// insideJSON returns the strings and numbers in a JSON object or array. Of a Google key only
// private_key is secret.
func insideJSON(value string) (parts []string, is bool) {
	if start := strings.TrimSpace(value); start[0] != '{' && start[0] != '[' {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	var decoded any
	if decoder.Decode(&decoded) != nil || decoder.More() {
		return nil, false
	}
	return appendLeaves(nil, decoded), true
}

// appendLeaves appends the strings and numbers of a decoded JSON value.
func appendLeaves(parts []string, value any) []string {
	switch value := value.(type) {
	case string:
		return append(parts, value)
	case json.Number:
		return append(parts, value.String())
	case []any:
		for _, item := range value {
			parts = appendLeaves(parts, item)
		}
	case map[string]any:
		if key, is := value["private_key"].(string); is && value["type"] == "service_account" {
			return append(parts, key)
		}
		for _, item := range value {
			parts = appendLeaves(parts, item)
		}
	}
	return parts
}

// forms are the ways in which a text is usually written. None is shorter than the text.
func forms(text string) []string {
	digits := hex.EncodeToString([]byte(text))
	list := []string{
		text, digits, strings.ToUpper(digits), inner(strconv.Quote(text)), inner(strconv.QuoteToASCII(text)), inJSON(text, true), inJSON(text, false),
		strings.ReplaceAll(text, "'", `'\''`),
	}
	return slices.Concat(list, inPercents(text), inBase64(text))
}

// The characters that encoders leave as they are beside letters, digits and "-_.~": Go's for
// queries and Python's quote_plus, Python's quote, JavaScript's encodeURIComponent and encodeURI,
// and Go's for paths.
var unescaped = []string{"", "/", "!'()*", "!'()*;/?:@&=+$,#", "$&+=:@"}

// inPercents is a text in percent-encoding (RFC 3986, section 2.1), with digits of both cases. A
// space may be a plus.
func inPercents(text string) []string {
	var list []string
	for _, keep := range unescaped {
		for _, digits := range []string{"0123456789ABCDEF", "0123456789abcdef"} {
			encoded := inPercent(text, keep, digits)
			list = append(list, encoded, strings.ReplaceAll(encoded, "%20", "+"))
		}
	}
	return list
}

// inPercent encodes all but the unreserved characters and those to keep.
func inPercent(text, keep, digits string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		letter := (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
		if letter || strings.IndexByte("-_.~", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// inner is a quoted text without its quotes.
func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// inJSON is a value as it stands in a JSON string; escapeHTML is how Go writes it by default,
// without is how most others do.
func inJSON(value string, escapeHTML bool) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(escapeHTML)
	_ = encoder.Encode(value) // A string can always be written.
	return inner(strings.TrimSuffix(b.String(), "\n"))
}

// inBase64 is the part of a value's base64 that does not depend on what stands around it, for each
// of the three places it can begin at.
func inBase64(value string) []string {
	var list []string
	for before := range 3 {
		padded := []byte(strings.Repeat("\x00", before) + value)
		first := (before*8 + 5) / 6 // the first digit with bits of the value only
		last := len(padded) * 8 / 6 // behind the last such digit
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			list = append(list, encoding.EncodeToString(padded)[first:last])
		}
	}
	return list
}
