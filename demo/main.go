// Command demo tells the whole story of Forgecroft in a minute, without a network and without a cloud account.
//
//	go run ./demo [-binary bin/forgecroft]
//
// It exists because the interesting half of a credential service happens at the providers. So it starts the behaving fakes of AWS, Google and
// Cloudflare on loopback, starts the real binary against them, and types real commands into a real shell. What it prints is what ran.
//
// Every step says what must come of it. A step that does not hold ends the story with exit code 1 and the step's name; the test of this package
// runs the same story. Nothing stays behind: all data lies in one temporary directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// SIGPIPE too: `make demo | head` must clear up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run tells the story and returns the exit code: 0 if all of it held, 1 if not, 2 for a wrong command line, 130 if it was interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	binary := flags.String("binary", "bin/forgecroft", "the binary to show")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	err := tell(ctx, *binary, newScreen(stdout))
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(stderr, "\ndemo: interrupted; everything is cleaned up")
		return 130
	case err != nil:
		fmt.Fprintf(stderr, "\ndemo: the story does not hold: %v\n", err)
		return 1
	}
	return 0
}

// tell sets the stage, plays every step, and clears up whatever happened.
func tell(ctx context.Context, binary string, out *screen) (err error) {
	s, err := newStage(binary, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.server.start(ctx); err != nil {
		return err
	}
	s.vars["url"] = s.server.url
	out.prologue(s)
	steps := story()
	for i, step := range steps {
		out.heading(fmt.Sprintf("%d/%d  %s", i+1, len(steps), step.title), step.why)
		for _, a := range step.acts {
			if err := a.play(ctx, s); err != nil {
				return fmt.Errorf("step %d, %q: %w", i+1, step.title, err)
			}
		}
	}
	return s.epilogue()
}
