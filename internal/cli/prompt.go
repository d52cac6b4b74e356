package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

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

// askSecret asks without an echo.
func (a *app) askSecret(what string) (string, error) {
	if !a.interactive() {
		return "", usage("%w for the %s; give a file, or - for standard input", errNoTerminal, what)
	}
	fmt.Fprintf(a.Err, "%s (not shown): ", safe(what))
	text, err := term.ReadPassword(int(a.In.Fd()))
	fmt.Fprintln(a.Err)
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", what, err)
	}
	return string(text), nil
}

// ask asks for something that may be seen.
func (a *app) ask(what string) (string, error) {
	if !a.interactive() {
		return "", usage("%w for the %s", errNoTerminal, what)
	}
	fmt.Fprintf(a.Err, "%s: ", safe(what))
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", what, err)
	}
	return strings.TrimSpace(line), nil
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
