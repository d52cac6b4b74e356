//go:build unix

// Package operator_test holds the built binary to what its operators rely on: starting, stopping, refusing, recovering.
package operator_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest/process"
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
	if binary, err = process.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
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

// server is a running server, with a client that calls as its owner.
type server struct {
	*process.Server
	client *sdk.Client
}

// mustStart starts a server and returns once it says where it listens. more are further arguments.
func (p place) mustStart(t *testing.T, environ []string, more ...string) *server {
	t.Helper()
	args := append([]string{"server", "--data-dir", p.data(), "--listen", "127.0.0.1:0", "--owner-key-file", p.ownerKey()}, more...)
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "FORGECROFT_KEY") }) {
		args = append(args, "--key-file", p.keyFile())
	}
	running, err := process.Start(p.command(environ, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	return &server{running, mustClient(t, running.URL, strings.TrimSpace(string(mustRead(t, p.ownerKey()))))}
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
	reply, err := http.Get(s.URL + path)
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
