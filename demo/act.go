package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// graceTime is what an interrupted command has to end by itself.
const graceTime = 5 * time.Second

// What the command line's exit codes mean (forgecroft help).
const (
	exitConflict  = 4
	exitDenied    = 5
	exitInvalid   = 6
	exitUndecided = 7
)

// step is a chapter of the story.
type step struct {
	title string
	why   string // one sentence
	acts  []act
}

// act is something that happens in a step.
type act interface {
	play(ctx context.Context, s *stage) error
}

// command is a line for the shell, and what must come of it. {name} stands for what an earlier command kept.
type command struct {
	line  string
	code  int               // that it must exit with
	shows []string          // must be in its output
	hides []string          // must not be in its output
	keep  map[string]string // :: name → expression whose first group is kept
}

// play runs the line in sh, shows it with its output, and compares.
func (c command) play(ctx context.Context, s *stage) error {
	line := s.expand(c.line)
	s.out.command(line)
	text, code, err := s.shell(ctx, line)
	if err != nil {
		return err
	}
	s.out.output(string(text), code)
	if err := errors.Join(c.check(s, text, code), s.leak(text)); err != nil {
		return fmt.Errorf("$ %s: %w", firstLine(line), err)
	}
	return nil
}

// check compares the outcome with what was expected, and keeps what later steps want.
func (c command) check(s *stage, text []byte, code int) error {
	if code != c.code {
		return fmt.Errorf("exit code %d, want %d", code, c.code)
	}
	for _, want := range c.shows {
		if !bytes.Contains(text, []byte(s.expand(want))) {
			return fmt.Errorf("the output lacks %q", s.expand(want))
		}
	}
	for _, secret := range c.hides {
		if bytes.Contains(text, []byte(s.expand(secret))) {
			return fmt.Errorf("the output has %q", s.expand(secret))
		}
	}
	for name, expression := range c.keep {
		found := regexp.MustCompile(expression).FindSubmatch(text)
		if len(found) != 2 {
			return fmt.Errorf("the output has no %s", name)
		}
		s.vars[name] = string(found[1])
	}
	return nil
}

// shell runs a line as typed, in a process group of its own that ends with ctx. Output and errors come as a terminal would mix them.
func (s *stage) shell(ctx context.Context, line string) (output []byte, code int, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	if cmd.Env, err = s.environ(); err != nil {
		return nil, 0, err
	}
	cmd.Dir = s.path("work")
	ownGroup(cmd)
	cmd.Cancel = func() error { return endGroup(cmd) }
	cmd.WaitDelay = graceTime
	output, err = cmd.CombinedOutput()
	if ctx.Err() != nil {
		return output, 0, ctx.Err()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return output, exit.ExitCode(), nil
	}
	return output, 0, err
}

// elsewhere is something that happens at a provider or to the server, and is told in a sentence.
type elsewhere struct {
	note string
	do   func(ctx context.Context, s *stage) error
}

func (e elsewhere) play(ctx context.Context, s *stage) error {
	s.out.note(s.expand(e.note))
	return e.do(ctx, s)
}

// at makes an act of something that cannot fail.
func at(note string, do func(s *stage)) elsewhere {
	return elsewhere{note: note, do: func(_ context.Context, s *stage) error {
		do(s)
		return nil
	}}
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}
