package runner

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// attributes let the child get SIGTERM when this process ends.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// await waits for the child. As process 1 it also reaps the processes that were orphaned: they are
// its children then.
func await(child *exec.Cmd) (code int, lost, err error) {
	if os.Getpid() != 1 {
		return waited(child)
	}
	status, err := reap(child.Process.Pid)
	if err != nil {
		return 0, nil, err
	}
	// The child is gone, so this fails; but it waits until the output is passed on.
	if lost := child.Wait(); !errors.Is(lost, syscall.ECHILD) && !errors.Is(lost, os.ErrProcessDone) {
		return codeOf(status), lost, nil
	}
	return codeOf(status), nil, nil
}

// reap waits for every child of this process until one of them has ended.
func reap(until int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return status, err
		case pid == until:
			return status, nil
		}
	}
}
