package runner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dirPrefix begins the names of private directories: forgecroft-run-<pid>-<start time>-<random>.
const dirPrefix = "forgecroft-run-"

// removeStale removes directories of wrappers that were killed before they could. One is stale if
// the process it names is gone, and nobody holds its lock: the lock covers wrappers whose process
// we cannot see (another pid namespace, a /proc with hidepid), the name covers the moment between
// making a directory and locking it.
func removeStale(base string) {
	entries, _ := os.ReadDir(base)
	for _, e := range entries {
		pid, start, ours := owner(e.Name())
		if !ours || startTime(pid) == start {
			continue
		}
		dir := filepath.Join(base, e.Name())
		if lock, err := lockDir(dir); err == nil {
			removeLocked(dir, lock)
		}
	}
}

// owner reads the process that made a directory from the directory's name.
func owner(name string) (pid int, start string, ours bool) {
	rest, found := strings.CutPrefix(name, dirPrefix)
	parts := strings.Split(rest, "-")
	if !found || len(parts) != 3 {
		return 0, "", false
	}
	pid, err := strconv.Atoi(parts[0])
	return pid, parts[1], err == nil
}
