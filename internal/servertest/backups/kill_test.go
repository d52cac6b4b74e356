package backups_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/forgecroft/forgecroft/internal/cli"
	"github.com/forgecroft/forgecroft/internal/server"
)

// asProgram, in the environment, makes the test binary the program itself, so that it can be killed.
const asProgram = "FORGECROFT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], cli.System()))
	}
	os.Exit(m.Run())
}

// turningPoints are the system calls between which a kill can leave something else: what makes names, and what makes them durable.
const turningPoints = "mkdirat,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"

// runKilled runs the program and kills it at the n-th turning point of one of its threads, as strace counts them. It reports whether the program ended by
// itself before that.
func runKilled(t *testing.T, n int, args ...string) (ended bool) {
	t.Helper()
	trace := []string{
		"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + turningPoints, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", turningPoints, n), "--", os.Args[0],
	}
	cmd := exec.Command("strace", append(trace, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("running the program: %v", err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled(), status.ExitStatus() == 128+int(syscall.SIGKILL):
		return false
	case err != nil:
		t.Fatalf("kill %d: the program failed instead: %v\n%s", n, err, out)
	}
	return true
}

// needStrace skips a test where programs cannot be killed at a place of one's choice.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("FORGECROFT_CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// killEverywhere kills a program at one turning point after the other until it lives to its end, and calls test after each kill. stride leaves some out.
func killEverywhere(t *testing.T, stride int, arguments func() []string, test func(t *testing.T)) {
	t.Helper()
	needStrace(t)
	for n, ended := 1, false; !ended; n += stride {
		if n > 1000 {
			t.Fatal("the program never comes to its end")
		}
		t.Run(fmt.Sprint("kill ", n), func(t *testing.T) {
			ended = runKilled(t, n, arguments()...)
			test(t)
		})
		if t.Failed() {
			return
		}
	}
}

// TestKilledRestore kills a restore at every turning point. Nobody takes what it leaves for an installation, and repeating the command brings it to its end.
func TestKilledRestore(t *testing.T) {
	h := newHouse(t, 2)
	path := h.mustBackUp(t)
	var dir string
	stride := 1
	if testing.Short() {
		stride = 7
	}
	arguments := func() []string {
		dir = filepath.Join(t.TempDir(), "restored")
		return []string{"restore", "--data-dir", dir, "--key-file", h.keyFile, path}
	}
	killEverywhere(t, stride, arguments, func(t *testing.T) {
		c := settings(t, dir, h.keyFile)
		whole := !slices.Contains(entries(t, dir), "restoring") && slices.Contains(entries(t, dir), "metadata.db")
		if !whole {
			if err := server.Run(stopped(), c, io.Discard, io.Discard); slices.Contains(entries(t, dir), "restoring") && err == nil {
				t.Errorf("a server starts on %v", entries(t, dir))
			}
			if slices.Contains(entries(t, dir), "restoring") {
				_, err := server.Restore(t.Context(), c, path, server.RestoreOptions{}, io.Discard)
				check(t, err)
				whole = true
			}
		}
		if whole {
			var report bytes.Buffer
			if err := server.Fsck(t.Context(), c, false, &report, io.Discard); err != nil || !strings.Contains(report.String(), "in use:   3\n") {
				t.Errorf("%v after %v:\n%s", err, entries(t, dir), &report)
			}
			if names := entries(t, dir); slices.Contains(names, "restoring") {
				t.Errorf("the directory holds %v", names)
			}
		}
	})
}

// stopped is a context that has ended.
func stopped() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
