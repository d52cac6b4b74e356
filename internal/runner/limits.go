package runner

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// What execve(2) takes, "Limits on size of arguments and environment".
const (
	maxString = 32 * 4096 // MAX_ARG_STRLEN: one string with its NUL
	minTotal  = 32 * 4096 // ARG_MAX: granted whatever the stack's limit is
	maxTotal  = 6 << 20   // three quarters of the default stack: granted at most
	pointer   = 8         // bytes for the address of each string
)

// checkSize says in words, before the process is made, what the kernel would say as "argument list too long". Interpreter lines of
// scripts add to what it counts, so the kernel may still refuse what comes within a few hundred bytes of the limit.
func checkSize(path string, argv, environ []string) error {
	total := len(path) + 1 // the file name is there too, beside argv[0]
	for _, arg := range argv {
		if len(arg) >= maxString {
			return fmt.Errorf("an argument has %d bytes; the kernel takes at most %d", len(arg), maxString-1)
		}
		total += len(arg) + 1 + pointer
	}
	largest := ""
	for _, entry := range environ {
		if len(entry) > len(largest) {
			largest = entry
		}
		total += len(entry) + 1 + pointer
	}
	if most := totalLimit(); total > most {
		name, value, _ := strings.Cut(largest, "=")
		return fmt.Errorf("arguments and environment have %d bytes together; the kernel takes at most %d; the largest variable is %s with %d", total, most, name, len(value))
	}
	return nil
}

// totalLimit is how much all strings and their addresses may take: a quarter of the stack (2 MiB by default), within bounds.
func totalLimit() int {
	var stack unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &stack); err != nil {
		return minTotal
	}
	return int(min(max(stack.Cur/4, minTotal), maxTotal))
}
