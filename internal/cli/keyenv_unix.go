//go:build unix

package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxKeyText is how long the keys in the environment may be, in bytes: what a pipe takes before it
// is read.
const maxKeyText = 16 << 10

// hideKeys starts this program again in the same process, with the vault's keys in a pipe in place
// of the environment. The kernel shows what a process was started with for as long as it lives
// (proc(5), /proc/PID/environ; ps -E on macOS); unsetting a variable does not change that. It
// returns only when that fails.
func hideKeys(keys string) error {
	if len(keys) > maxKeyText {
		return usage("FORGECROFT_KEY has more than %d bytes; use --key-file", maxKeyText)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe for the vault's keys: %w", err)
	}
	_, err = write.WriteString(keys)
	if err = errors.Join(err, write.Close()); err != nil {
		return fmt.Errorf("writing the vault's keys to a pipe: %w", err)
	}
	fd := int(read.Fd())
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil { // It is to outlive what follows.
		return fmt.Errorf("passing on the pipe with the vault's keys: %w", err)
	}
	environ := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "FORGECROFT_KEY=") })
	environ = append(environ, "FORGECROFT_KEY_FD="+strconv.Itoa(fd))
	return fmt.Errorf("starting again without the keys in the environment: %w", syscall.Exec(program, os.Args, environ))
}
