//go:build linux

package runner_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// keyFile is an environment with one file.
func keyFile() sdk.Environment {
	return sdk.Environment{Files: []sdk.File{{Name: "key.json", Content: "SECRETEXAMPLE", Env: "KEY_FILE"}}}
}

func TestKeyFilesArePrivateAndGoneAfterwards(t *testing.T) {
	script := `printf '%s %s %s %s' "$(stat -c %a "$KEY_FILE")" "$(stat -c %a "$(dirname "$KEY_FILE")")" "$(cat "$KEY_FILE")" "$KEY_FILE"`
	for _, tt := range []struct {
		name, end string
		code      int
	}{
		{"success", "", 0},
		{"failure", "; exit 3", 3},
		{"child killed", "; kill -9 $$", 137},
		{"file removed by the child", `; rm "$KEY_FILE"`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(runner.Command{Env: keyFile(), Argv: []string{"/bin/sh", "-c", script + tt.end}, Environ: os.Environ()})
			var file, dir, content, path string
			if _, err := fmt.Sscan(got.stdout, &file, &dir, &content, &path); err != nil || got.code != tt.code {
				t.Fatalf("Run: %d, %v, %q; want %d", got.code, got.err, got.stdout, tt.code)
			}
			if file != "600" || dir != "700" || content != "SECRETEXAMPLE" || filepath.Base(path) != "key.json" {
				t.Errorf("file %s in %s with %q at %s; want 600 in 700", file, dir, content, path)
			}
			wantGone(t, filepath.Dir(path))
		})
	}
}

func TestKeyFilesAreGoneIfNothingStarts(t *testing.T) {
	base := privateBase(t)
	for _, c := range []runner.Command{
		{Env: keyFile(), Argv: []string{"/no/such"}},
		{Env: sdk.Environment{Files: append(keyFile().Files, sdk.File{Name: "a/b", Env: "OTHER"})}, Argv: []string{"/bin/true"}},
		{Env: sdk.Environment{Files: keyFile().Files, Env: map[string]string{"PATH": "x"}}, Argv: []string{"/bin/true"}},
	} {
		c.Environ = []string{"XDG_RUNTIME_DIR=" + base}
		if got := run(c); got.err == nil {
			t.Fatalf("Run of %q succeeded", c.Argv)
		}
		if left, _ := os.ReadDir(base); len(left) > 0 {
			t.Errorf("%s is left", left[0].Name())
		}
	}
}

// TestWrapperKilled kills the wrapper so that it cannot clean up: its child is told to end, and the next run removes what is left,
// but nothing of a wrapper that lives.
func TestWrapperKilled(t *testing.T) {
	base := privateBase(t)
	killed, killedDir := startWithFile(t, base)
	_, livingDir := startWithFile(t, base)
	_ = killed.Process.Kill()
	_ = killed.Wait() // The child held the other end of the output; it is gone as well, or this would not return.
	if _, err := os.Stat(killedDir); err != nil {
		t.Fatalf("the killed wrapper's directory: %v; the test shows nothing", err)
	}
	stranger := filepath.Join(base, "forgecroft-run-something-else")
	if err := os.Mkdir(stranger, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := run(runner.Command{Env: keyFile(), Argv: as("exit", "0"), Environ: []string{"XDG_RUNTIME_DIR=" + base}}); got.code != 0 {
		t.Fatalf("Run: %d, %v", got.code, got.err)
	}
	wantGone(t, killedDir)
	for _, dir := range []string{livingDir, stranger} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("a directory that is in use or not ours was removed: %v", err)
		}
	}
}

// TestLockedDirectoryIsKept is about a wrapper whose process cannot be seen from here.
func TestLockedDirectoryIsKept(t *testing.T) {
	base := privateBase(t)
	dir := filepath.Join(base, "forgecroft-run-4194305-1-x") // beyond the largest process number
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	c := runner.Command{Env: keyFile(), Argv: as("exit", "0"), Environ: []string{"XDG_RUNTIME_DIR=" + base}}
	run(c)
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a locked directory was removed: %v", err)
	}
	held.Close()
	run(c)
	wantGone(t, dir)
}

func TestKeyFilesAreKeptOffTheDisk(t *testing.T) {
	const script = `stat -f -c %T "$KEY_FILE"`
	got := run(runner.Command{Env: keyFile(), Argv: []string{"/bin/sh", "-c", script}, Environ: []string{"PATH=/bin:/usr/bin", "XDG_RUNTIME_DIR=/"}})
	if got.stdout != "tmpfs\n" {
		t.Errorf("the key file lies on %q; want tmpfs", got.stdout)
	}
}

// privateBase is a directory in memory for one test.
func privateBase(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "runner-test-")
	if err != nil {
		t.Skipf("no directory in memory: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startWithFile starts a wrapper whose child has read its key file and waits. It ends with the test.
func startWithFile(t *testing.T, base string) (*exec.Cmd, string) {
	t.Helper()
	env, err := json.Marshal(keyFile())
	if err != nil {
		t.Fatal(err)
	}
	command := as("wrapper", append([]string{string(env)}, as("file", "KEY_FILE")...)...)
	wrapper := exec.Command(command[0], command[1:]...)
	wrapper.Env = []string{"XDG_RUNTIME_DIR=" + base}
	wrapper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := wrapper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	wrapper.Stdout = in // Wait returns when everyone has closed it.
	if err := wrapper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		out.Close()
		_ = wrapper.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	path, content, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || content != "SECRETEXAMPLE" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return wrapper, filepath.Dir(path)
}

// wantGone fails if a path is still there.
func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
}
