//go:build unix

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
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/server"
)

// asProgram, in the environment, makes the test binary the program itself, so that it can be killed.
const asProgram = "FORGECROFT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], cli.System()))
	}
	os.Exit(pgtest.Runner{M: m}.Run())
}

// turningPoints are the system calls between which a kill can leave something else: what makes names, and what makes them durable.
const turningPoints = "mkdirat,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"

// run is one run of the program that is to be killed.
type run struct {
	calls   string // the system calls at which it may be killed
	environ []string
	args    []string
}

// killed runs the program and kills it at the n-th of the calls of one of its threads, as strace counts them. It reports whether the program ended by
// itself before that.
func (r run) killed(t *testing.T, n int) (ended bool) {
	t.Helper()
	trace := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + r.calls, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", r.calls, n), "--", os.Args[0]}
	cmd := exec.Command("strace", append(trace, r.args...)...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), r.environ...)
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

// killEverywhere kills the program at one call after the other until it lives to its end, and calls test after each kill. stride leaves some out.
func killEverywhere(t *testing.T, stride int, prepare func(t *testing.T) run, test func(t *testing.T)) {
	t.Helper()
	if testing.Short() {
		stride *= 7
	}
	needStrace(t)
	for n, ended := 1, false; !ended; n += stride {
		if n > 1000 {
			t.Fatal("the program never comes to its end")
		}
		t.Run(fmt.Sprint("kill ", n), func(t *testing.T) {
			ended = prepare(t).killed(t, n)
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
	prepare := func(t *testing.T) run {
		dir = filepath.Join(t.TempDir(), "restored")
		return run{turningPoints, nil, []string{"restore", "--data-dir", dir, "--key-file", h.keyFile, path}}
	}
	killEverywhere(t, 1, prepare, func(t *testing.T) {
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
