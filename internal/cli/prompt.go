package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/term"
)

// maxInput bounds what is read from a file or standard input.
const maxInput = 1 << 20

// errNoTerminal says that a question cannot be asked.
var errNoTerminal = errors.New("there is no terminal to ask on")

// interactive reports whether a person can be asked.
func (a *app) interactive() bool { return a.In != nil && term.IsTerminal(int(a.In.Fd())) }

// readSecret reads a secret from a file, from standard input ("-"), or by asking without an echo. White space around it goes.
func (a *app) readSecret(what, path string) (string, error) {
	if path != "" {
		text, err := a.readInput(path)
		return strings.TrimSpace(string(text)), err
	}
	text, err := a.askSecret(what)
	return strings.TrimSpace(text), err
}

// maxTyped is how many characters a prompt without an echo takes: what golang.org/x/term keeps of a
// line. It drops the rest without a word.
const maxTyped = 4096

// askSecret asks without an echo. [term.ReadPassword] is not used: it spins for ever at Ctrl-D.
func (a *app) askSecret(what string) (string, error) {
	if !a.interactive() {
		return "", usage("%w for the %s; give a file, or - for standard input", errNoTerminal, what)
	}
	text, err := a.answer(what, func() (string, error) {
		fd := int(a.In.Fd())
		before, err := term.MakeRaw(fd)
		if err != nil {
			return "", err
		}
		defer func() { _ = term.Restore(fd, before) }()
		screen := term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{quitKey{a.In}, a.Err}, "")
		return screen.ReadPassword(safe(what) + " (not shown): ")
	})
	if err != nil {
		fmt.Fprintln(a.Err)
	} else if utf8.RuneCountInString(text) >= maxTyped {
		return "", usage("the %s is longer than a prompt takes, %d characters: give it in a file", what, maxTyped-1)
	}
	return text, err
}

// quitKey reads Ctrl-\ as Ctrl-C. In the mode that hides what is typed, the terminal makes no
// signals of them.
type quitKey struct{ io.Reader }

// Read implements [io.Reader].
func (r quitKey) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for i, key := range p[:n] {
		if key == 0x1c {
			p[i] = 0x03
		}
	}
	return n, err
}

// ask asks for something that may be seen.
func (a *app) ask(what string) (string, error) {
	if !a.interactive() {
		return "", usage("%w for the %s", errNoTerminal, what)
	}
	line, err := a.answer(what, func() (string, error) {
		fmt.Fprintf(a.Err, "%s: ", safe(what))
		line, err := bufio.NewReader(a.In).ReadString('\n')
		if line != "" && errors.Is(err, io.EOF) {
			err = nil // Ctrl-D after the text instead of Enter.
		}
		return line, err
	})
	if err != nil {
		fmt.Fprintln(a.Err)
	}
	return strings.TrimSpace(line), err
}

// leaving are the signals that a terminal sends to leave a prompt. Without a handler, Go would
// answer SIGQUIT (Ctrl-\) with the stacks of all goroutines.
var leaving = []os.Signal{os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM}

// answer reads an answer, with a function that also asks. Ctrl-C, Ctrl-\, Ctrl-D and SIGTERM leave it: the
// terminal is as it was before, and the command ends with 130, or 128 and the signal's number.
//
// The read cannot be interrupted, so it goes on in its goroutine until the process ends.
func (a *app) answer(what string, read func() (string, error)) (string, error) {
	fd := int(a.In.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("asking for the %s: %w", what, err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, leaving...)
	defer signal.Stop(signals)
	type result struct {
		text string
		err  error
	}
	results := make(chan result, 1)
	go func() {
		text, err := read()
		results <- result{text, err}
	}()
	select {
	case s := <-signals:
		_ = term.Restore(fd, before)
		if s == syscall.SIGTERM {
			return "", interrupted(s)
		}
		return "", interrupted(os.Interrupt)
	case got := <-results:
		if errors.Is(got.err, io.EOF) {
			return "", interrupted(os.Interrupt)
		}
		if got.err != nil {
			return "", fmt.Errorf("reading the %s: %w", what, got.err)
		}
		return got.text, nil
	}
}

// confirm asks before something that cannot be undone. Scripts say --yes.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !a.interactive() {
		return usage("%s Add --yes to say so without a terminal", question)
	}
	answer, err := a.ask(question + " Type yes to go on")
	if err != nil {
		return err
	}
	if answer != "yes" {
		return &exitError{exitFailure, errors.New("nothing was changed")}
	}
	return nil
}

// readInput reads a file, or standard input for "-", bounded.
func (a *app) readInput(path string) ([]byte, error) {
	var r io.Reader = a.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usage("%w", err)
		}
		defer file.Close()
		r = file
	}
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(text) > maxInput {
		return nil, usage("%s is larger than %d bytes", path, maxInput)
	}
	return text, nil
}
