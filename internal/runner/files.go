package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/forgecroft/forgecroft/sdk"
)

// dirPrefix begins the names of private directories: forgecroft-run-<pid>-<start time>-<random>.
const dirPrefix = "forgecroft-run-"

// privateFiles are the key files of one run.
type privateFiles struct {
	dir       string
	variables map[string]string // variable → path
}

// writeFiles writes the key files of a delivery, each 0600, into a fresh directory of mode 0700, in memory where there is a place for
// that. Without files there is no directory.
func writeFiles(files []sdk.File) (privateFiles, error) {
	if len(files) == 0 {
		return privateFiles{}, nil
	}
	base := memoryDir()
	removeStale(base)
	dir, err := os.MkdirTemp(base, fmt.Sprintf("%s%d-%s-", dirPrefix, os.Getpid(), startTime(os.Getpid()))) // mode 0700
	if err != nil {
		return privateFiles{}, fmt.Errorf("making a directory for key files: %w", err)
	}
	p := privateFiles{dir, map[string]string{}}
	for _, f := range files {
		path, err := writeFile(dir, f)
		if err != nil {
			p.remove()
			return privateFiles{}, err
		}
		p.variables[f.Env] = path
	}
	return p, nil
}

// writeFile writes one key file that must not be there yet.
func writeFile(dir string, f sdk.File) (string, error) {
	if f.Name == "" || f.Name != filepath.Base(f.Name) || f.Name == "." || f.Name == ".." {
		return "", fmt.Errorf("the delivery has a file whose name is no plain name: %.64q", f.Name)
	}
	path := filepath.Join(dir, f.Name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("writing a key file: %w", err)
	}
	_, err = file.WriteString(f.Content)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("writing a key file: %w", err)
	}
	return path, nil
}

// remove removes the files and their directory.
func (p privateFiles) remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// memoryDir is a directory in memory, if the system has one for us.
func memoryDir() string {
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if info, err := os.Stat(dir); dir != "" && err == nil && info.IsDir() {
			if probe, err := os.MkdirTemp(dir, dirPrefix+"probe-"); err == nil {
				_ = os.Remove(probe)
				return dir
			}
		}
	}
	return os.TempDir()
}

// removeStale removes directories of wrappers that were killed before they could.
func removeStale(base string) {
	entries, _ := os.ReadDir(base)
	for _, e := range entries {
		pid, start, ours := owner(e.Name())
		if ours && startTime(pid) != start {
			_ = os.RemoveAll(filepath.Join(base, e.Name())) // Another user's cannot be removed, which is right.
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

// startTime is when a process started, in ticks since the machine did (proc(5), field 22 of stat). It tells a process from a later one with the same
// number. Empty: there is no such process.
func startTime(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}
