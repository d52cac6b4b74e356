// Package tour_test does what README.md says, by copy and paste.
package tour_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const root = "../../.." // of the repository

// block matches a block of commands in Markdown.
var block = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestTour starts the server as `make run` does, on a machine where nobody has used Forgecroft, and runs every block of commands of the README.
func TestTour(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 10 || !strings.HasPrefix(blocks[0][1], "make run ") {
		t.Fatalf("README.md has %d blocks of commands, and begins with %q", len(blocks), blocks[0][1])
	}
	dir := t.TempDir()
	address := mustFindPort(t)
	mustStart(t, dir, address)

	want := []string{
		"role            owner", "AKIAIOSFODNN7EXAMPLE in eu-central-1 says hello from the vault", "environment.deliver", "intact: ", `"name":"Team Cloudflare"`, `"items":[`, "fc_live_",
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks[1:] {
		if strings.Contains(b[1], "terraform ") {
			if _, err := exec.LookPath("terraform"); err != nil {
				t.Log("terraform is not on this machine: its part of the tour is left out")
				continue
			}
			want = append(want, `+ greeting = "hello from the vault"`)
		}
		script += b[1]
	}
	script = strings.NewReplacer("127.0.0.1:8300", address, "/tmp/forgecroft-tour", filepath.Join(dir, "module")).Replace(script)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tour := exec.CommandContext(ctx, "bash", "-c", script)
	tour.Dir, tour.Env = dir, environ(dir, "")
	out, err := tour.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour: %v\n%s", err, out)
	}
	for _, part := range want {
		if !bytes.Contains(out, []byte(part)) {
			t.Errorf("the tour does not show %q:\n%s", part, out)
		}
	}
}

// environ is that of a new user, for whom AWS cannot be reached.
func environ(dir, listen string) []string {
	return []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "FORGECROFT_LISTEN=" + listen, "FORGECROFT_AWS_STS_ENDPOINT=http://127.0.0.1:1", "CHECKPOINT_DISABLE=1", "TF_CLI_ARGS=-no-color",
	}
}

// mustFindPort finds an address that is free: the README's may be taken.
func mustFindPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// mustStart builds the binary into dir/bin and starts it with the command of `make run`.
func mustStart(t *testing.T, dir, listen string) {
	t.Helper()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "forgecroft"), "./cmd/forgecroft")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	plan := exec.Command("make", "--no-print-directory", "-n", "run")
	plan.Dir = root
	out, err := plan.Output()
	if err != nil {
		t.Fatalf("make -n run: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	server := exec.Command("bash", "-c", "exec "+lines[len(lines)-1])
	server.Dir, server.Env = dir, environ(dir, listen)
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		defer close(said)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			said <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		for range said { // The end of its output is its end.
		}
		if err := server.Wait(); err != nil {
			t.Errorf("the server: %v\n%s", err, &log)
		}
	})
	awaitListening(t, said, listen)
}

// awaitListening reads on until the server says where it listens. A server that ends says no more.
func awaitListening(t *testing.T, said <-chan string, listen string) {
	t.Helper()
	var all strings.Builder
	for line := range said {
		all.WriteString(line + "\n")
		if strings.Contains(line, "listens on http://"+listen) {
			go func() {
				for range said { // It must not block on its output.
				}
			}()
			return
		}
	}
	t.Fatalf("the server did not say that it listens on %s:\n%s", listen, &all)
}
