package runner

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// minMasked is the shortest text that is masked, in bytes: shorter ones occur by chance.
const minMasked = 6

// patterns are all texts to mask: each value and each line of it, as it is and as tools usually write it.
func (c Command) patterns() []string {
	var values, short []string
	for _, name := range slices.Sorted(maps.Keys(c.Env.Env)) {
		value := c.Env.Env[name]
		if value != "" && len(value) < minMasked {
			short = append(short, name)
		}
		values = append(values, value)
	}
	if len(short) > 0 {
		c.notice("too short to be masked: %s", strings.Join(short, ", "))
	}
	for _, f := range c.Env.Files {
		values = append(values, f.Content)
	}
	var patterns []string
	for _, value := range values {
		patterns = append(patterns, forms(value)...)
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); line != value {
				patterns = append(patterns, forms(line)...)
			}
		}
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// forms are the ways in which a value is usually written. None is shorter than the value.
func forms(value string) []string {
	if len(value) < minMasked {
		return nil
	}
	digits := hex.EncodeToString([]byte(value))
	list := []string{
		value, digits, strings.ToUpper(digits), inner(strconv.Quote(value)), inner(strconv.QuoteToASCII(value)), inJSON(value, true), inJSON(value, false),
		url.QueryEscape(value), url.PathEscape(value), strings.ReplaceAll(value, "'", `'\''`),
	}
	return append(list, inBase64(value)...)
}

// inner is a quoted text without its quotes.
func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// inJSON is a value as it stands in a JSON string; escapeHTML is how Go writes it by default, without is how most others do.
func inJSON(value string, escapeHTML bool) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(escapeHTML)
	_ = encoder.Encode(value) // A string can always be written.
	return inner(strings.TrimSuffix(b.String(), "\n"))
}

// inBase64 is the part of a value's base64 that does not depend on what stands around it, for each of the three places it can begin at.
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
