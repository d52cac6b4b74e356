//go:build unix

package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the server under test, built once.
func buildBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "forgecroft")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/forgecroft/forgecroft/cmd/forgecroft")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the server: %v\n%s", err, out)
	}
	return binary
}

// process is one run of the server.
type process struct {
	binary, dir string
	address     string
	key         string
	cmd         *exec.Cmd
	output      bytes.Buffer
	exited      chan error
}

// inject says at which call of a system call the server is killed.
type inject struct {
	call string // names as strace knows them, comma-separated
	nth  int
}

// freeAddress finds a port that nobody uses.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start starts the server, under strace if it is to be killed. It returns false if the server ended before it was ready, as it may when it is
// killed early.
func start(t *testing.T, binary, dir string, kill *inject) (*process, bool) {
	t.Helper()
	p := &process{binary: binary, dir: dir, address: freeAddress(t), exited: make(chan error, 1)}
	args := []string{binary, "server", "--data-dir", filepath.Join(dir, "data"), "--listen", p.address, "--owner-key-file", filepath.Join(dir, "owner.key"), "--log-level", "error"}
	if kill != nil {
		args = append([]string{
			"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + kill.call,
			"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", kill.call, kill.nth), "--",
		}, args...)
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace would leave the server behind.
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting the server: %v", err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(p.kill)
	if !p.waitReady(t) {
		return p, false
	}
	key, err := os.ReadFile(filepath.Join(dir, "owner.key"))
	if err != nil {
		t.Fatalf("reading the owner key: %v", err)
	}
	p.key = strings.TrimSpace(string(key))
	return p, true
}

// waitReady polls until the server is ready; false if it ended.
func (p *process) waitReady(t *testing.T) bool {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		select {
		case err := <-p.exited:
			p.exited <- err
			return false
		default:
		}
		if reply, err := http.Get("http://" + p.address + "/readyz"); err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	t.Fatalf("the server did not get ready:\n%s", p.output.String())
	return false
}

// kill ends the process, and the strace around it, and waits for them.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.await()
}

// await waits until the process has ended.
func (p *process) await() error {
	err := <-p.exited
	p.exited <- err
	return err
}

// stop ends the server as an operator does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt)
	if err := p.await(); err != nil {
		t.Fatalf("stopping the server: %v\n%s", err, p.output.String())
	}
}

// errDied says that no answer came: the act may or may not have happened.
var errDied = errors.New("the server died")

// call makes one request. An answer of another status than wanted fails the test; no answer is errDied.
func (p *process) call(t *testing.T, want int, method, path, idempotency string, body, to any) error {
	t.Helper()
	return p.callAs(t, p.key, want, method, path, idempotency, body, to)
}

// callAs is call with another key.
func (p *process) callAs(t *testing.T, key string, want int, method, path, idempotency string, body, to any) error {
	t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.address+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if idempotency != "" {
		req.Header.Set("Idempotency-Key", idempotency)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	reply, err := transport.RoundTrip(req)
	if err != nil {
		return errDied
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err != nil {
		return errDied
	}
	if reply.StatusCode != want {
		t.Fatalf("%s %s: got %d, want %d\n%s", method, path, reply.StatusCode, want, answer)
	}
	if to != nil {
		if err := json.Unmarshal(answer, to); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return nil
}
