//go:build linux

package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestMain makes the test binary also the child and the wrapper of the tests: what it is depends on its first argument.
func TestMain(m *testing.M) {
	roles := map[string]func(args []string) int{
		"as:print": printSelf, "as:exit": exitWith, "as:die": dieOf, "as:file": showFile, "as:signals": showSignals, "as:wrapper": wrap, "as:echo": echo, "as:hardened": hardened,
	}
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		// Not os.Exit: under -cover it writes to the standard error that the tests read.
		syscall.Exit(roles[os.Args[1]](os.Args[2:]))
	}
	os.Exit(m.Run())
}

// self is what as:print prints.
type self struct{ Argv, Environ []string }

func printSelf([]string) int {
	_ = json.NewEncoder(os.Stdout).Encode(self{os.Args, os.Environ()})
	return 0
}

func exitWith(args []string) int {
	code, _ := strconv.Atoi(args[0])
	return code
}

func dieOf(args []string) int {
	number, _ := strconv.Atoi(args[0])
	_ = syscall.Kill(os.Getpid(), syscall.Signal(number))
	select {}
}

// echo writes its arguments, each with one write.
func echo(args []string) int {
	for _, arg := range args {
		fmt.Print(arg)
	}
	return 0
}

// showFile prints the path and content of the file that a variable names, then waits for the end of its input.
func showFile(args []string) int {
	path := os.Getenv(args[0])
	content, err := os.ReadFile(path)
	if err != nil {
		return 1
	}
	fmt.Printf("%s %s\n", path, content)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// showSignals prints each signal it gets, until it gets the one that ends it.
func showSignals(args []string) int {
	caught := make(chan os.Signal, 16)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT)
	fmt.Println("ready", os.Getpid())
	for sig := range caught {
		fmt.Println(sig)
		if len(args) > 0 && sig.String() == args[0] {
			return 7
		}
	}
	return 0
}

// wrap is a process around [runner.Command.Run]; it is given the environment as JSON, then the command.
func wrap(args []string) int {
	var env sdk.Environment
	if err := json.Unmarshal([]byte(args[0]), &env); err != nil {
		return 90
	}
	runner.Harden()
	c := runner.Command{Env: env, Argv: args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Mask: os.Getenv("MASK") != ""}
	code, err := c.Run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// hardened hardens itself and prints what came of it.
func hardened([]string) int {
	runner.Harden()
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var cores unix.Rlimit
	if err := errors.Join(err, unix.Getrlimit(unix.RLIMIT_CORE, &cores)); err != nil {
		return 1
	}
	fmt.Printf("dumpable %d, cores %d %d\n", dumpable, cores.Cur, cores.Max)
	return 0
}

// result is what came of a run.
type result struct {
	code           int
	err            error
	stdout, notice string
}

// run runs the test binary in a role, with an environment.
func run(c runner.Command) result {
	var stdout, notice bytes.Buffer
	c.Stdout, c.Stderr, c.Notice = &stdout, &stdout, &notice
	code, err := c.Run(context.Background())
	return result{code, err, stdout.String(), notice.String()}
}

// as is the command that starts the test binary in a role.
func as(role string, args ...string) []string {
	return append([]string{os.Args[0], "as:" + role}, args...)
}

// has reports whether text has all parts.
func has(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
