package runner

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// minMasked is the shortest text that is masked: shorter ones occur by chance.
const minMasked = 6

// mask stands for a masked text.
const mask = "***"

// patterns are all texts to mask: each value and each line of it, as it is and as tools usually write it.
func (c Command) patterns() []string {
	var values []string
	for name, value := range c.Env.Env {
		if len(value) < minMasked && value != "" {
			c.notice("%s is too short to be masked", name)
		}
		values = append(values, value)
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
	patterns = slices.DeleteFunc(patterns, func(p string) bool { return len(p) < minMasked })
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// forms are the ways in which a value is usually written.
func forms(value string) []string {
	if len(value) < minMasked {
		return nil
	}
	quoted, _ := json.Marshal(value) // A string always marshals.
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	goQuoted := fmt.Sprintf("%q", value)
	list := []string{
		value, string(quoted[1 : len(quoted)-1]), strings.Trim(strings.TrimSpace(plain.String()), `"`), goQuoted[1 : len(goQuoted)-1],
		url.QueryEscape(value), url.PathEscape(value), strings.ReplaceAll(value, "'", `'\''`),
		hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
	}
	return append(list, inBase64(value)...)
}

// inBase64 is the part of a value's base64 that does not depend on what stands around it, for each of the three places it can begin at.
func inBase64(value string) []string {
	var list []string
	for before := range 3 {
		padded := strings.Repeat("\x00", before) + value
		first := (before*8 + 5) / 6
		last := len(padded) * 8 / 6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			list = append(list, encoding.EncodeToString([]byte(padded))[first:last])
		}
	}
	return list
}

// masker writes with patterns replaced. It holds back only what may be the beginning of a pattern.
type masker struct {
	mu      sync.Mutex
	out     io.Writer
	byStart [256][]string // first byte → patterns that begin with it, the longest first
	held    []byte
}

// newMasker makes a masker before a writer.
func newMasker(out io.Writer, patterns []string) *masker {
	m := &masker{out: out}
	for _, p := range patterns {
		m.byStart[p[0]] = append(m.byStart[p[0]], p)
	}
	for _, list := range m.byStart {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	}
	return m
}

// Write implements [io.Writer].
func (m *masker) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := append(m.held, p...)
	clean, rest := m.replace(text, false)
	m.held = slices.Clone(rest)
	if len(clean) > 0 {
		if _, err := m.out.Write(clean); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush writes what was held back, at the end.
func (m *masker) flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clean, _ := m.replace(m.held, true)
	m.held = nil
	_, err := m.out.Write(clean)
	return err
}

// replace masks from left to right, the longest pattern first. Unless the text ends here, it stops where more of it is needed to tell.
func (m *masker) replace(text []byte, end bool) (clean, rest []byte) {
	for i := 0; i < len(text); {
		candidates := m.byStart[text[i]]
		if len(candidates) == 0 {
			clean = append(clean, text[i])
			i++
			continue
		}
		matched, undecided := match(candidates, text[i:])
		if undecided && !end {
			return clean, text[i:]
		}
		if matched > 0 {
			clean = append(clean, mask...)
			i += matched
			continue
		}
		clean = append(clean, text[i])
		i++
	}
	return clean, nil
}

// match returns the length of the longest pattern that the text begins with, and whether a longer one may yet match when more text comes.
func match(candidates []string, text []byte) (length int, undecided bool) {
	for _, p := range candidates { // the longest first
		if len(p) > len(text) {
			undecided = undecided || strings.HasPrefix(p, string(text))
			continue
		}
		if string(text[:len(p)]) == p {
			return len(p), undecided
		}
	}
	return 0, undecided
}
