// Package runner puts a delivered environment into a process: variables, private key files, signals, exit code, and masking of output. It knows the wire
// types and the operating system, nothing of the server.
//
// The environment of the child is the parent's, without the rivals that the delivery names, without Forgecroft's own variables (the API key among
// them), and with what is delivered. A variable that the parent has and the delivery sets is replaced: the workspace's credentials win over
// what happens to be exported, and a notice says so.
//
// If the wrapper itself is killed with SIGKILL, the child gets SIGTERM (prctl(2), PR_SET_PDEATHSIG), and the next wrapper removes the
// key files that were left.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/sdk"
)

// The exit codes of a command that cannot be started, as shells have them.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// Command is one command with the environment it is to have.
type Command struct {
	Env     sdk.Environment
	Argv    []string // the command and its arguments, handed over as they are: there is no shell
	Environ []string // the parent's environment
	Stdin   io.Reader
	Stdout  io.Writer // a *os.File is handed to the child itself, unless Mask is set
	Stderr  io.Writer
	Mask    bool      // hide delivered values in the output, best effort
	Notice  io.Writer // messages to the person who runs it
}

// Harden keeps this process's memory out of core dumps and away from other processes of the same user. The child's is its own matter, but
// it inherits that it leaves no core dump. Failing is no reason not to run.
func Harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// Run runs the command and returns its exit code: its own, 128+n if signal n ended it. An error means that it was not started; the code
// is then 126 or 127, or 1 for an environment that cannot be given to a process.
func (c Command) Run(ctx context.Context) (code int, err error) {
	if len(c.Argv) == 0 {
		return 1, errors.New("there is no command to run")
	}
	files, err := writeFiles(c.Env.Files)
	if err != nil {
		return 1, err
	}
	defer files.remove()
	environ, err := c.environ(files.variables)
	if err != nil {
		return 1, err
	}
	if err := checkSize(c.Argv, environ); err != nil {
		return 1, err
	}
	if err := ctx.Err(); err != nil {
		return 1, err
	}
	return c.start(environ)
}

// start starts the child and waits for it. The thread is locked, because the death signal belongs to the thread that made the child.
func (c Command) start(environ []string) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path, err := lookPath(c.Argv[0], environ)
	if err != nil {
		return startFailure(c.Argv[0], err)
	}
	child := &exec.Cmd{Path: path, Args: c.Argv, Env: environ, Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}}
	var masked []*masker
	if c.Mask {
		patterns := c.patterns()
		for _, out := range []*io.Writer{&child.Stdout, &child.Stderr} {
			m := newMasker(*out, patterns)
			*out, masked = m, append(masked, m)
		}
	}
	signals := catch()
	defer signals.stop()
	if err := child.Start(); err != nil {
		return startFailure(c.Argv[0], err)
	}
	clear(child.Env) // The child has its copy.
	signals.forward(child.Process)
	err = child.Wait()
	for _, m := range masked {
		_ = m.flush()
	}
	if child.ProcessState == nil {
		return 1, fmt.Errorf("waiting for %s: %w", c.Argv[0], err)
	}
	return exitCode(child.ProcessState), nil
}

// startFailure is the code and message for a command that cannot be started.
func startFailure(name string, err error) (int, error) {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return exitNotFound, fmt.Errorf("%s: command not found", name)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		return exitCannotRun, fmt.Errorf("%s cannot be executed: %w", name, err)
	default:
		return exitCannotRun, fmt.Errorf("starting %s: %w", name, err)
	}
}

// exitCode is the child's exit code, 128+n after signal n.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
