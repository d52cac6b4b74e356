package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
)

// table collects what was measured.
type table struct {
	rows [][3]string // what, goal, measured
	o    options
}

func newTable(o options) *table { return &table{o: o} }

// add appends one row.
func (t *table) add(what, goal, measured string, args ...any) {
	row := [3]string{what, goal, fmt.Sprintf(measured, args...)}
	t.rows = append(t.rows, row)
	fmt.Fprintf(os.Stderr, "  %s: %s (goal %s)\n", row[0], row[2], row[1])
}

// print writes the table as Markdown that is also readable as it is.
func (t *table) print(w io.Writer) error {
	if info, err := os.Stat(t.o.binary); err == nil {
		t.add("binary, stripped", "≤ 45 MB", "%.1f MB", float64(info.Size())/1e6)
	}
	fmt.Fprintf(w, "%s; %d cores; %s; loads of %s; client and server on the same machine\n\n", cpu(), runtime.NumCPU(), strings.TrimSpace(output("uname", "-sr")), t.o.length)
	tw := tabwriter.NewWriter(w, 0, 4, 1, ' ', 0)
	fmt.Fprintln(tw, "| what\t| goal\t| measured\t|")
	fmt.Fprintln(tw, "|---\t|---\t|---\t|")
	for _, row := range t.rows {
		fmt.Fprintf(tw, "| %s\t| %s\t| %s\t|\n", row[0], row[1], row[2])
	}
	return tw.Flush()
}

// cpu names the processor.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// output is what a command prints.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "?"
	}
	return string(out)
}
