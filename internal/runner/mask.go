package runner

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// mask stands for a masked text.
const mask = "***"

// outputs are what the child writes to: this process's own files, or pipes behind which the text is
// masked.
type outputs struct {
	stdout, stderr io.Writer
	streams        []*stream
}

// outputs opens the outputs of a child.
func (c Command) outputs() (outputs, error) {
	o := outputs{stdout: c.Stdout, stderr: c.Stderr}
	if !c.Mask {
		return o, nil
	}
	patterns := c.patterns()
	var writing sync.Mutex // Both may be one writer.
	for _, out := range []*io.Writer{&o.stdout, &o.stderr} {
		if *out == nil {
			continue
		}
		s, err := newStream(newMasker(*out, &writing, patterns))
		if err != nil {
			return o, errors.Join(err, o.end())
		}
		*out = s.into
		o.streams = append(o.streams, s)
	}
	return o, nil
}

// end passes on what the child has written, and stops. What other processes that hold the outputs
// write later is lost.
func (o outputs) end() error {
	var failures []error
	for _, s := range o.streams {
		failures = append(failures, s.end())
	}
	return errors.Join(failures...)
}

// stream is a pipe from a child to a masker.
//
// It does not end when the pipe is closed, as a background process of the child may hold it for
// long. After the child's end a mark that the child cannot guess goes into the pipe: all that the
// child has written is before it.
type stream struct {
	m          *masker
	from, into *os.File
	mark       []byte
	done       chan error
}

// newStream begins to pass text on.
func newStream(m *masker) (*stream, error) {
	from, into, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the output: %w", err)
	}
	// A mark of fewer than 512 bytes is written at once, or not at all (POSIX, PIPE_BUF). It begins
	// with a byte that text does not have, so that the end of a prompt is not held back.
	s := &stream{m, from, into, []byte("\x00forgecroft " + rand.Text() + "\x00"), make(chan error, 1)}
	go func() { s.done <- s.pass() }()
	return s, nil
}

// end waits until all that was written so far is passed on.
func (s *stream) end() error {
	_, _ = s.into.Write(s.mark) // It fails if passing on has failed, which says why.
	return errors.Join(<-s.done, s.into.Close())
}

// pass passes text on until the mark. When it returns, the pipe is closed: a writer learns that its
// output goes nowhere.
func (s *stream) pass() error {
	defer s.from.Close()
	var held []byte // what may be the beginning of the mark
	buffer := make([]byte, 32<<10)
	for {
		n, err := s.from.Read(buffer)
		if err != nil {
			return fmt.Errorf("reading the output: %w", err)
		}
		held = append(held, buffer[:n]...)
		if i := bytes.Index(held, s.mark); i >= 0 {
			_, err := s.m.Write(held[:i])
			return errors.Join(err, s.m.flush())
		}
		ready := len(held) - overlap(held, s.mark)
		if _, err := s.m.Write(held[:ready]); err != nil {
			return err
		}
		held = append(held[:0], held[ready:]...)
	}
}

// overlap is the length of the longest end of text that is a beginning of mark.
func overlap(text, mark []byte) int {
	for n := min(len(text), len(mark)); n > 0; n-- {
		if bytes.HasSuffix(text, mark[:n]) {
			return n
		}
	}
	return 0
}

// masker writes with patterns replaced. It holds back only what may be the beginning of a pattern,
// so that a prompt appears at once.
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

// replace masks from left to right, the longest pattern first. Unless the text ends here, it stops
// where more of it is needed to tell.
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

// match returns the length of the longest pattern that the text begins with, and whether a longer
// one may yet match when more text comes.
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
