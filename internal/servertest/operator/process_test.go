// Package operator_test holds the built binary to what its operators rely on: starting, stopping, refusing, recovering.
package operator_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// binary is the program under test; see [TestMain].
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests builds the program once.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "forgecroft-operator-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "forgecroft")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/forgecroft/forgecroft/cmd/forgecroft").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// place is where one installation keeps everything.
type place struct{ dir string }

func newPlace(t *testing.T) place { return place{t.TempDir()} }

func (p place) data() string     { return filepath.Join(p.dir, "data") }
func (p place) keyFile() string  { return filepath.Join(p.dir, "vault.key") }
func (p place) ownerKey() string { return filepath.Join(p.dir, "owner.key") }

// command is the program with arguments and an environment of its own.
func (p place) command(environ []string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append([]string{"HOME=" + p.dir, "PATH=" + os.Getenv("PATH")}, environ...)
	return cmd
}

// settings are the arguments that the server and its offline commands share.
func (p place) settings() []string {
	return []string{"--data-dir", p.data(), "--key-file", p.keyFile()}
}

// mustRun runs an offline command, which must end with the code, and returns what it said.
func (p place) mustRun(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := p.command(nil, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("running %s: %v", args, err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("forgecroft %s ended with %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// server is a running server.
type server struct {
	cmd    *exec.Cmd
	url    string
	client *sdk.Client
	stdout lines
	log    bytes.Buffer // complete once it has ended
	wait   func() error
}

// lines collects lines.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// mustStart starts a server and returns once it says where it listens. more are further arguments.
func (p place) mustStart(t *testing.T, environ []string, more ...string) *server {
	t.Helper()
	args := append([]string{"server", "--data-dir", p.data(), "--listen", "127.0.0.1:0", "--owner-key-file", p.ownerKey()}, more...)
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "FORGECROFT_KEY") }) {
		args = append(args, "--key-file", p.keyFile())
	}
	s := &server{cmd: p.command(environ, args...)}
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan struct{})
	go s.read(stdout, said)
	s.wait = sync.OnceValue(func() error { <-said; return s.cmd.Wait() })
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.wait() })
	if !s.listens(said) {
		t.Fatalf("the server did not start: %v\n%s%s", s.wait(), &s.stdout, &s.log)
	}
	key, err := os.ReadFile(p.ownerKey())
	if err != nil {
		t.Fatalf("reading the owner key: %v", err)
	}
	s.client = mustClient(t, s.url, strings.TrimSpace(string(key)))
	return s
}

// read collects what the server says until it ends.
func (s *server) read(stdout io.Reader, done chan<- struct{}) {
	defer close(done)
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		s.stdout.add(scanner.Text())
	}
}

// mustStop ends the server with a signal and returns the code that it ended with.
func (s *server) mustStop(t *testing.T, signal syscall.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = s.wait()
	return s.cmd.ProcessState.ExitCode()
}

func mustClient(t *testing.T, url, key string) *sdk.Client {
	t.Helper()
	client, err := sdk.New(url, key)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// status asks for a path without a key.
func (s *server) status(t *testing.T, path string) int {
	t.Helper()
	reply, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	return reply.StatusCode
}

// must fails the test on an error.
func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	return must(t, text, err)
}

func mustReadDir(t *testing.T, path string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(path)
	return must(t, entries, err)
}
