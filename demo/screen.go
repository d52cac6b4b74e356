package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// screen prints the story: bold headings on a terminal unless NO_COLOR is set (https://no-color.org), plain text everywhere else.
type screen struct {
	w     io.Writer
	color bool
}

func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return &screen{w: w}
	}
	info, err := f.Stat()
	return &screen{w: w, color: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// The looks of a terminal, as the parameters of "select graphic rendition" (ECMA-48, 8.3.117).
const (
	bold = "1"
	dim  = "2"
)

func (o *screen) paint(look, text string) string {
	if !o.color {
		return text
	}
	return "\x1b[" + look + "m" + text + "\x1b[0m"
}

// prologue says what is real and what is not.
func (o *screen) prologue(s *stage) {
	fmt.Fprintln(o.w, o.paint(bold, "Forgecroft, from the first project to a restart"))
	fmt.Fprintf(o.w, `
The server, the command line and every exit code below are real: %s on %s.
The clouds are not. These are FAKES on this machine, which verify signatures as the originals do:
  FAKE AWS STS     %s
  FAKE Google      %s
  FAKE Cloudflare  %s
All keys are made up. Everything lies in a temporary directory and is gone at the end.

`, s.server.binary, s.server.url, s.clouds.awsURL, s.clouds.gcpURL, s.clouds.cloudflareURL)
}

// heading opens a step.
func (o *screen) heading(title, why string) {
	fmt.Fprintf(o.w, "%s\n%s\n\n", o.paint(bold, title), why)
}

// command shows what is typed. Lines after the first are its input (a here-document).
func (o *screen) command(line string) {
	first, rest, _ := strings.Cut(line, "\n")
	fmt.Fprintln(o.w, o.paint(dim, "$ ")+o.paint(bold, first))
	if rest != "" {
		fmt.Fprintln(o.w, rest)
	}
}

// output shows what a command printed, and its exit code if that is not 0.
func (o *screen) output(text string, code int) {
	fmt.Fprint(o.w, text)
	if code != 0 {
		fmt.Fprintln(o.w, o.paint(dim, fmt.Sprintf("(exit code %d)", code)))
	}
	fmt.Fprintln(o.w)
}

// note tells what happens elsewhere, at a provider or to the server.
func (o *screen) note(text string) {
	fmt.Fprintln(o.w, o.paint(dim, "# "+text))
}
