//go:build unix

package runner

import (
	"fmt"
	"strings"
)

// pointer is how many bytes the address of a string takes.
const pointer = 8

// checkSize says in words, before the process is made, what the kernel would say as "argument list
// too long". Interpreter lines of scripts add to what it counts, so the kernel may still refuse
// what comes within a few hundred bytes of the limit.
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
