package runner

import "golang.org/x/sys/unix"

// What execve(2) takes, "Limits on size of arguments and environment".
const (
	maxString = 32 * 4096 // MAX_ARG_STRLEN: one string with its NUL
	minTotal  = 32 * 4096 // ARG_MAX: granted whatever the stack's limit is
	maxTotal  = 6 << 20   // three quarters of the default stack: granted at most
)

// totalLimit is how much all strings and their addresses may take: a quarter of the stack (2 MiB by
// default), within bounds.
func totalLimit() int {
	var stack unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &stack); err != nil {
		return minTotal
	}
	return int(min(max(stack.Cur/4, minTotal), maxTotal))
}
