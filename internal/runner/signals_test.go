//go:build linux

package runner_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// startWrapper starts a wrapper around as:signals, waits until its child is ready, and returns the child's further output and its process number.
func startWrapper(t *testing.T, attr *syscall.SysProcAttr, stdin *os.File, args ...string) (*exec.Cmd, *bufio.Scanner, int) {
	t.Helper()
	command := as("wrapper", append([]string{"{}"}, as("signals", args...)...)...)
	wrapper := exec.Command(command[0], command[1:]...)
	wrapper.SysProcAttr = attr
	wrapper.Stdin = stdin
	out, err := wrapper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := wrapper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wrapper.Process.Kill() })
	lines := bufio.NewScanner(out)
	var child int
	if !lines.Scan() {
		t.Fatal("the child says nothing")
	}
	if _, err := fmt.Sscanf(lines.Text(), "ready %d", &child); err != nil {
		t.Fatalf("the child says %q", lines.Text())
	}
	return wrapper, lines, child
}

// wantLine fails unless the child prints this line next.
func wantLine(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	if !lines.Scan() || lines.Text() != want {
		t.Fatalf("the child says %q, want %q", lines.Text(), want)
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	wrapper, lines, _ := startWrapper(t, &syscall.SysProcAttr{Setsid: true}, nil, "user defined signal 2")
	for _, sig := range []syscall.Signal{
		syscall.SIGINT, syscall.SIGINT, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGWINCH,
		syscall.SIGUSR2, // ends the child with 7
	} {
		if err := wrapper.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		wantLine(t, lines, sig.String())
	}
	var status *exec.ExitError
	if err := wrapper.Wait(); !errors.As(err, &status) || status.ExitCode() != 7 {
		t.Errorf("the wrapper ends with %v; want the child's 7", err)
	}
}

func TestWrapperStopsWithItsChild(t *testing.T) {
	wrapper, lines, _ := startWrapper(t, &syscall.SysProcAttr{Setsid: true}, nil, "terminated")
	_ = wrapper.Process.Signal(syscall.SIGTSTP)
	wantLine(t, lines, syscall.SIGTSTP.String())
	var status unix.WaitStatus
	if _, err := unix.Wait4(wrapper.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the wrapper has not stopped: %v, %v", status, err)
	}
	_ = wrapper.Process.Signal(syscall.SIGCONT)
	wantLine(t, lines, syscall.SIGCONT.String())
	_ = wrapper.Process.Signal(syscall.SIGTERM)
	wantLine(t, lines, syscall.SIGTERM.String())
}

// TestTerminalSignalsComeOnce types Ctrl-C at a terminal: the child gets the terminal's signal and not a second one from the wrapper.
func TestTerminalSignalsComeOnce(t *testing.T) {
	keyboard, tty := terminal(t)
	wrapper, lines, _ := startWrapper(t, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}, tty, "terminated")
	for range 2 {
		if _, err := io.WriteString(keyboard, "\x03"); err != nil {
			t.Fatal(err)
		}
		wantLine(t, lines, syscall.SIGINT.String())
		_ = wrapper.Process.Signal(syscall.SIGUSR1) // Would come after the second SIGINT, if there were one.
		wantLine(t, lines, syscall.SIGUSR1.String())
	}
	_ = wrapper.Process.Signal(syscall.SIGTERM)
	wantLine(t, lines, syscall.SIGTERM.String())
}

// TestIgnoredSignalStaysIgnored is nohup(1): what it starts must not see SIGHUP.
func TestIgnoredSignalStaysIgnored(t *testing.T) {
	command := as("wrapper", "{}", "/bin/sh", "-c", `kill -HUP $PPID; kill -HUP $$; kill -USR1 $$`)
	wrapper := exec.Command("/bin/sh", append([]string{"-c", `trap "" HUP; exec "$@"`, "sh"}, command...)...)
	var status *exec.ExitError
	if err := wrapper.Run(); !errors.As(err, &status) || status.ExitCode() != 128+int(syscall.SIGUSR1) {
		t.Errorf("the wrapper ends with %v; want the child to live until SIGUSR1", err)
	}
}

func TestHardened(t *testing.T) {
	command := as("hardened")
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil || string(out) != "dumpable 0, cores 0 0\n" {
		t.Errorf("a hardened process says %q, %v", out, err)
	}
	wrapper, lines, child := startWrapper(t, &syscall.SysProcAttr{Setsid: true}, nil, "terminated")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", child))
	if err != nil || !has(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
		t.Errorf("the child may leave a core dump: %v\n%s", err, limits)
	}
	_ = wrapper.Process.Signal(syscall.SIGTERM)
	wantLine(t, lines, syscall.SIGTERM.String())
}

// TestClosedOutput ends the reader of a masked output: the child ends as it would without us, and we live to say how.
func TestClosedOutput(t *testing.T) {
	command := as("wrapper", "{}", "/bin/sh", "-c", "while :; do echo x; done")
	wrapper := exec.Command(command[0], command[1:]...)
	wrapper.Env = []string{"MASK=yes"}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	wrapper.Stdout = writer
	var status *exec.ExitError
	if err := wrapper.Run(); !errors.As(err, &status) || status.ExitCode() != 128+int(syscall.SIGPIPE) {
		t.Errorf("the wrapper ends with %v; want the child's SIGPIPE", err)
	}
}

// terminal makes a pseudo terminal.
func terminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return keyboard, tty
}
