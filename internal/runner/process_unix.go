//go:build unix

package runner

import (
	"errors"
	"os"
	"syscall"
)

// exitCode is the child's exit code, 128+n after signal n.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok {
		return codeOf(status)
	}
	return state.ExitCode()
}

// codeOf is the exit code of a process that has ended, 128+n after signal n.
func codeOf(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// notExecutable reports whether the system does not know how to start a file.
func notExecutable(err error) bool { return errors.Is(err, syscall.ENOEXEC) }

// tie does nothing: see attributes.
func tie(*os.Process) (untie func()) { return func() {} }
