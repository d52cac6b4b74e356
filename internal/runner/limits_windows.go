package runner

import (
	"fmt"
	"strings"
	"syscall"
	"unicode/utf16"
)

// maxString is the longest variable, and the longest command line, that Windows takes, with its NUL
// (CreateProcessW, "Environment Variables"). It counts UTF-16 units, of which a text has no more
// than bytes.
const maxString = 32767

// checkSize says in words, before the process is made, that the command line is too long. The
// environment as a whole has no limit.
func checkSize(path string, argv, _ []string) error {
	escaped := make([]string, len(argv))
	for i, arg := range argv {
		escaped[i] = syscall.EscapeArg(arg)
	}
	if n := len(utf16.Encode([]rune(strings.Join(escaped, " ")))); n >= maxString {
		return fmt.Errorf("the command line has %d characters; Windows takes at most %d", n, maxString-1)
	}
	return checkBatch(path, argv)
}
