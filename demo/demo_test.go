package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// binaries are what these tests run: the demo itself, and the binary it shows.
type binaries struct{ demo, forgecroft string }

var programs binaries

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

// runTests builds both programs once. The tests use them from outside, as make does.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "forgecroft-demo-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("go", "build", "-o", dir, ".", "../cmd/forgecroft").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		return 1
	}
	programs = binaries{filepath.Join(dir, "demo"), filepath.Join(dir, "forgecroft")}
	return m.Run()
}

// demo runs the program with an empty directory for temporary files, and fails the test if it leaves something there.
func demo(t *testing.T, watch func(p *os.Process, soFar string), binary string) (code int, stdout, stderr string) {
	t.Helper()
	temp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), programs.demo, "-binary", binary)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out := &watched{seen: func(text string) { watch(cmd.Process, text) }}
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("running the demo: %v", err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	return cmd.ProcessState.ExitCode(), out.text.String(), errs.String()
}

// watched collects output and calls seen with all of it after every write.
type watched struct {
	text bytes.Buffer
	seen func(string)
}

func (w *watched) Write(p []byte) (int, error) {
	w.text.Write(p)
	w.seen(w.text.String())
	return len(p), nil
}

func ignore(*os.Process, string) {}

func TestStory(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := demo(t, ignore, programs.forgecroft)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, stderr, stdout)
	}
	for _, want := range []string{"FAKE AWS STS", "FAKE Google", "FAKE Cloudflare", "$ forgecroft whoami", "(exit code 6)", "Every step held"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Error("a pipe got escape sequences")
	}
}

// A demo that cannot fail would prove nothing: each of these binaries lies about one thing.
func TestStoryThatDoesNotHold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script string // before the real binary takes over
		want   string
	}{
		{"wrong exit code", `if [ "$2" = verify ]; then REAL "$@"; exit 0; fi`, `step 3, "AWS: no answer is not a bad answer": $ forgecroft credential verify "Production AWS": exit code 0, want 7`},
		{"missing output", `if [ "$1" = whoami ]; then echo somebody; exit 0; fi`, `step 1, "A project and a workspace": $ forgecroft whoami: the output lacks`},
		{"shown secret", `if [ "$2" = set-secrets ]; then echo "version 1"; cat; exit 0; fi`, `secret number 1 was shown`},
		{"no server", `exit 1`, `the server ended at once`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := "#!/bin/sh\n" + strings.ReplaceAll(tt.script, "REAL", programs.forgecroft) + "\nexec " + programs.forgecroft + ` "$@"` + "\n"
			liar := filepath.Join(t.TempDir(), "forgecroft")
			if err := os.WriteFile(liar, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			code, _, stderr := demo(t, ignore, liar)
			if code != 1 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, want 1; error %q, want %q", code, stderr, tt.want)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	var once sync.Once
	interrupt := func(p *os.Process, soFar string) {
		if strings.Contains(soFar, "$ forgecroft credential verify") {
			once.Do(func() { _ = p.Signal(os.Interrupt) }) // a program that is gone fails the test by its exit code
		}
	}
	code, stdout, stderr := demo(t, interrupt, programs.forgecroft)
	if code != 130 || !strings.Contains(stderr, "interrupted") {
		t.Fatalf("exit code %d, want 130: %s", code, stderr)
	}
	if address := serverURL(stdout); answers(t.Context(), address) {
		t.Errorf("the server at %s is still running", address)
	}
}

// serverURL finds the server's address in the prologue.
func serverURL(stdout string) string {
	_, rest, _ := strings.Cut(stdout, "/forgecroft on ")
	address, _, _ := strings.Cut(rest, ".\n")
	return address
}

func answers(ctx context.Context, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/readyz", nil)
	if err != nil {
		return true
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = reply.Body.Close()
	return true
}
