package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dirPrefix begins the names of private directories: forgecroft-run-<pid>-<start time>-<random>.
const dirPrefix = "forgecroft-run-"

// removeStale removes directories of wrappers that were killed before they could. One is stale if the process it names is gone, and
// nobody holds its lock: the lock covers wrappers whose process we cannot see (another pid namespace, a /proc with hidepid), the name
// covers the moment between making a directory and locking it.
func removeStale(base string) {
	entries, _ := os.ReadDir(base)
	for _, e := range entries {
		pid, start, ours := owner(e.Name())
		if !ours || startTime(pid) == start {
			continue
		}
		dir := filepath.Join(base, e.Name())
		if lock, err := lockDir(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}

// lockDir locks a directory of this user's until the file is closed or the process has ended. It fails if another process has it locked.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &stat)
	if err == nil && int(stat.Uid) != os.Geteuid() {
		err = os.ErrPermission
	}
	if err == nil {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
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

// startTime is when a process started, in ticks since the machine did (proc(5), field 22 of stat). It tells a process from a later one with the same
// number. Empty: no such process can be seen.
func startTime(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	end := strings.LastIndexByte(string(text), ')') // A program's name may contain anything, also ") ".
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}
