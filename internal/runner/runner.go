// Package runner puts a delivered environment into a process: variables, private key files,
// signals, exit code, and masking of output. It knows the wire types and the operating system,
// nothing of the server.
//
// The environment of the child is the parent's, without the rivals that the delivery names, without
// Forgecroft's own variables (the API key among them), and with what is delivered. A variable that
// the parent has and the delivery sets is replaced: the workspace's credentials win over what
// happens to be exported, and a notice says so. So an exported AWS_REGION stays unless the
// workspace delivers one.
//
// If the wrapper itself is killed, the next one that writes key files removes those that were left.
// On Linux the child then gets SIGTERM (prctl(2), PR_SET_PDEATHSIG; not a child that is
// set-user-ID), on Windows the child and what it started are ended (a job object); macOS has no
// such means, and the child goes on.
//
// As process 1 of a container the wrapper also reaps processes whose parents have ended.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"runtime"

	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/sdk"
)

// The exit codes of a command that is not started. The last two are as shells have them.
const (
	exitRefused   = 1
	exitCannotRun = 126
	exitNotFound  = 127
)

// Command is one command with the environment it is to have.
type Command struct {
	Env     sdk.Environment
	Argv    []string // the command and its arguments, handed over as they are: there is no shell
	Environ []string // the parent's environment, as [os.Environ] has it
	Stdin   io.Reader
	Stdout  io.Writer // a *os.File is handed to the child itself, unless Mask is set
	Stderr  io.Writer
	Mask    bool      // hide secret values in the output, best effort; the child then writes to a pipe, not to the terminal
	Notice  io.Writer // messages to the person who runs it; may be nil
}

// Harden keeps this process's memory out of core dumps and away from other processes of the same
// user. The child's is its own matter, but it inherits that it leaves no core dump. Failing is no
// reason not to run.
func Harden() { host.Harden() }

// Run runs the command and returns its exit code: its own, or 128+n if signal n ended it. An error
// means that it was not started; the code is then 127 (not found), 126 (found, but not executable)
// or 1 (the environment cannot be given to a process). The context counts until the child is
// started; after that only signals end it, and they go to the child: the wrapper stays until the
// child has ended.
func (c Command) Run(ctx context.Context) (code int, err error) {
	if len(c.Argv) == 0 {
		return exitRefused, errors.New("there is no command to run")
	}
	signals := catch()
	defer signals.stop()
	files, err := c.writeFiles()
	if err != nil {
		return exitRefused, err
	}
	defer files.remove()
	environ, err := c.environ(files)
	if err != nil {
		return exitRefused, fmt.Errorf("%w; nothing was started", err)
	}
	path, err := lookPath(c.Argv[0], environ)
	if err != nil {
		return c.failure(err)
	}
	if err := checkSize(path, c.Argv, environ); err != nil {
		return exitRefused, fmt.Errorf("%w; nothing was started", err)
	}
	if err := ctx.Err(); err != nil {
		return exitRefused, err
	}
	return c.run(path, environ, signals)
}

// run starts the child and waits for it. The thread is locked, because the death signal belongs to
// the thread that made the child.
func (c Command) run(path string, environ []string, s *signals) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := c.outputs()
	if err != nil {
		return exitRefused, err
	}
	child := &exec.Cmd{
		Path: path, Args: c.Argv, Env: environ, Stdin: c.Stdin, Stdout: out.stdout, Stderr: out.stderr,
		SysProcAttr: attributes(),
	}
	if err := child.Start(); err != nil {
		_ = out.end() // It is empty.
		return c.failure(err)
	}
	defer tie(child.Process)()
	clear(environ) // The child has its copy.
	go s.forward(child.Process)
	code, lost, err := await(child)
	if err != nil {
		return exitRefused, fmt.Errorf("waiting for %s: %w", c.Argv[0], err)
	}
	if lost = errors.Join(lost, out.end()); lost != nil {
		c.notice("the output is not complete: %v", lost)
	}
	return code, nil
}

// waited waits for a child. code is its exit code, 128+n after signal n; lost says what of its
// output could not be passed on.
func waited(child *exec.Cmd) (code int, lost, err error) {
	err = child.Wait()
	if child.ProcessState == nil {
		return 0, nil, err
	}
	if status := (*exec.ExitError)(nil); errors.As(err, &status) {
		err = nil
	}
	return exitCode(child.ProcessState), err, nil
}

// failure is the code and message for a command that cannot be started.
func (c Command) failure(err error) (int, error) {
	name := c.Argv[0]
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return exitNotFound, fmt.Errorf("%s: command not found", name)
	case errors.Is(err, fs.ErrPermission), notExecutable(err):
		return exitCannotRun, fmt.Errorf("%s cannot be executed: %w", name, err)
	default:
		return exitCannotRun, fmt.Errorf("starting %s: %w", name, err)
	}
}
