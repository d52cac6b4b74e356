//go:build linux

package runner_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestProcessOneReapsOrphans runs the wrapper as process 1 of a namespace, as containers do. A
// child leaves a process to it, and waits until that one is gone: as a zombie it would stay.
func TestProcessOneReapsOrphans(t *testing.T) {
	const script = `(sh -c 'echo $$ >&3; exec sleep 0' &) 3>"$1"
while [ ! -s "$1" ]; do sleep 0.01; done
read -r orphan <"$1"
while kill -0 "$orphan" 2>/dev/null; do sleep 0.01; done
echo gone
exit 5`
	for _, mask := range []string{"", "yes"} {
		command := as("wrapper", `{"env":{"TOKEN":"SECRETEXAMPLE"}}`, "/bin/sh", "-c", script, "sh", t.TempDir()+"/orphan")
		wrapper := exec.Command(command[0], command[1:]...)
		wrapper.Env = append(os.Environ(), "MASK="+mask)
		wrapper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		var out strings.Builder
		wrapper.Stdout, wrapper.Stderr = &out, &out
		err := wrapper.Run()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("making a pid namespace takes root")
		}
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != 5 || out.String() != "gone\n" {
			t.Errorf("MASK=%s: the wrapper ends with %v and %q; want 5 and the orphan gone", mask, err, &out)
		}
	}
}

// TestProcessOneAfterSignal holds the code of a child that a signal ended.
func TestProcessOneAfterSignal(t *testing.T) {
	command := as("wrapper", "{}", "/bin/sh", "-c", "kill -KILL $$")
	wrapper := exec.Command(command[0], command[1:]...)
	wrapper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	err := wrapper.Run()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("making a pid namespace takes root")
	}
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 137 {
		t.Errorf("the wrapper ends with %v; want 137", err)
	}
}
