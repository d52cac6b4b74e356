package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/envname"
)

// ownPrefix begins the variables of Forgecroft itself, which the child does not need.
const ownPrefix = "FORGECROFT_"

// What execve(2) takes: one string of at most 32 pages, and all strings with their pointers in a quarter of the stack (8 MiB by default).
const (
	maxString = 131072
	maxTotal  = 2 << 20
)

// environ puts the child's environment together. files maps variables to the paths of key files.
func (c Command) environ(files map[string]string) ([]string, error) {
	delivered := maps.Clone(c.Env.Env)
	if delivered == nil {
		delivered = map[string]string{}
	}
	maps.Copy(delivered, files)
	for name, value := range delivered {
		if err := check(name, value); err != nil {
			return nil, err
		}
	}
	var environ []string
	for _, entry := range c.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, ownPrefix) || slices.Contains(c.Env.Unset, name) {
			continue
		}
		if ours, replaced := delivered[name]; replaced {
			if ours != value {
				c.notice("%s is set here, and replaced by the workspace's", name)
			}
			continue
		}
		environ = append(environ, entry)
	}
	for _, name := range slices.Sorted(maps.Keys(delivered)) {
		environ = append(environ, name+"="+delivered[name])
	}
	return environ, nil
}

// notice tells the person something.
func (c Command) notice(format string, args ...any) {
	if c.Notice != nil {
		fmt.Fprintf(c.Notice, "forgecroft: "+format+"\n", args...)
	}
}

// check holds a delivered variable to the rules once more: the server may be older, or not the one we think.
func check(name, value string) error {
	if !envname.Valid(name) {
		return fmt.Errorf("the delivery has a variable whose name is none: %.64q; nothing was started", name)
	}
	if reason := envname.ReservedReason(name); reason != "" {
		return fmt.Errorf("the delivery would set %s, which is refused: %s; nothing was started", name, reason)
	}
	if strings.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("the delivered %s contains a NUL byte, which no environment variable can hold; nothing was started", name)
	}
	if len(name)+len(value)+2 > maxString {
		return fmt.Errorf("the delivered %s has %d bytes; the kernel takes at most %d in one variable; nothing was started", name, len(value), maxString-len(name)-2)
	}
	return nil
}

// checkSize says in words what the kernel would say as "argument list too long".
func checkSize(argv, environ []string) error {
	total := 0
	for _, text := range slices.Concat(argv, environ) {
		total += len(text) + 1 + 8 // its NUL and its pointer
	}
	if total > maxTotal {
		return fmt.Errorf("arguments and environment have %d bytes together; the kernel takes about %d; nothing was started", total, maxTotal)
	}
	return nil
}

// lookPath finds the command in the PATH that the child will have.
func lookPath(name string, environ []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	failure := error(exec.ErrNotFound)
	for _, entry := range environ {
		list, found := strings.CutPrefix(entry, "PATH=")
		if !found {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			if err != nil || info.IsDir() {
				continue
			}
			if info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
				return path, nil
			}
			failure = fs.ErrPermission
		}
	}
	return "", errors.Join(failure)
}
