package runner

import "golang.org/x/sys/unix"

// maxString is ARG_MAX (sys/syslimits.h): a single string has no limit of its own.
const maxString = 1 << 20

// totalLimit is how much all strings and their addresses may take.
func totalLimit() int {
	if most, err := unix.SysctlUint32("kern.argmax"); err == nil {
		return int(most)
	}
	return maxString
}
