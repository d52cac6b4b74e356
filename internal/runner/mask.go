package runner

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// mask stands for a masked text.
const mask = "***"

// outputs are the child's outputs, masked if that is wanted, and what writes out the rest when it has ended.
func (c Command) outputs() (stdout, stderr io.Writer, flush func() error) {
	if !c.Mask {
		return c.Stdout, c.Stderr, func() error { return nil }
	}
	patterns := c.patterns()
	var writing sync.Mutex // Both may be one writer.
	var maskers []*masker
	masked := func(out io.Writer) io.Writer {
		if out == nil {
			return nil
		}
		m := newMasker(out, &writing, patterns)
		maskers = append(maskers, m)
		return m
	}
	stdout, stderr = masked(c.Stdout), masked(c.Stderr)
	return stdout, stderr, func() error {
		var failures []error
		for _, m := range maskers {
			failures = append(failures, m.flush())
		}
		return errors.Join(failures...)
	}
}

// masker writes with patterns replaced. It holds back only what may be the beginning of a pattern, so that a prompt appears at once.
type masker struct {
	out     io.Writer
	writing *sync.Mutex   // guards out
	byStart [256][]string // first byte → patterns that begin with it, the longest first
	held    []byte
}

// newMasker makes a masker before a writer. No pattern may be empty.
func newMasker(out io.Writer, writing *sync.Mutex, patterns []string) *masker {
	m := &masker{out: out, writing: writing}
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
	clean, rest := m.replace(append(m.held, p...), false)
	m.held = slices.Clone(rest)
	if err := m.pass(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what was held back, at the end.
func (m *masker) flush() error {
	clean, _ := m.replace(m.held, true)
	m.held = nil
	return m.pass(clean)
}

// pass passes text on.
func (m *masker) pass(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	_, err := m.out.Write(text)
	return err
}

// replace masks from left to right, the longest pattern first. Unless the text ends here, it stops where more of it is needed to tell.
func (m *masker) replace(text []byte, end bool) (clean, rest []byte) {
	clean = make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		matched, undecided := match(m.byStart[text[i]], text[i:])
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
			undecided = undecided || p[:len(text)] == string(text)
			continue
		}
		if string(text[:len(p)]) == p {
			return len(p), undecided
		}
	}
	return 0, undecided
}
