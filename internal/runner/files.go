package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/sdk"
)

// privateFiles are the key files of one run.
type privateFiles struct {
	dir       string
	lock      *os.File          // held while the directory is in use
	variables map[string]string // variable → path of a key file
	empty     map[string]string // variable → path of an empty file
}

// writeFiles writes the key files of a delivery, and the empty files that keep other identities
// out, each 0600, into a fresh directory of mode 0700, in memory where there is a place for that.
// Without files there is no directory. Directories that killed wrappers left are removed on the
// way.
func (c Command) writeFiles() (privateFiles, error) {
	empty := mustBeEmpty(c.Env)
	if len(c.Env.Files) == 0 && len(empty) == 0 {
		return privateFiles{}, nil
	}
	var failures []error
	for _, base := range privateBases(c.Environ) {
		removeStale(base)
		p, err := makePrivate(base)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if err := p.write(c.Env.Files, empty); err != nil {
			p.remove()
			return privateFiles{}, err
		}
		return p, nil
	}
	return privateFiles{}, fmt.Errorf("making a directory for key files: %w", errors.Join(failures...))
}

// privateBases are the directories in which a private one may be made, the best first: in memory,
// so that a key does not reach a disk.
func privateBases(environ []string) []string {
	var bases []string
	for _, dir := range []string{value(environ, "XDG_RUNTIME_DIR"), "/dev/shm"} {
		if filepath.IsAbs(dir) && host.InMemory(dir) {
			bases = append(bases, dir)
		}
	}
	return append(bases, os.TempDir())
}

// makePrivate makes a directory of mode 0700 and locks it.
func makePrivate(base string) (privateFiles, error) {
	dir, err := host.MkdirTempPrivate(base, fmt.Sprintf("%s%d-%s-", dirPrefix, os.Getpid(), startTime(os.Getpid())))
	if err != nil {
		return privateFiles{}, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return privateFiles{}, errors.Join(err, os.Remove(dir))
	}
	return privateFiles{dir, lock, map[string]string{}, map[string]string{}}, nil
}

// write writes all files. An empty one is named after its variable.
func (p privateFiles) write(files []sdk.File, empty []string) error {
	for _, f := range files {
		path, err := writeFile(p.dir, f)
		if err != nil {
			return err
		}
		p.variables[f.Env] = path
	}
	for _, name := range empty {
		path, err := writeFile(p.dir, sdk.File{Name: strings.ToLower(name) + ".empty"})
		if err != nil {
			return err
		}
		p.empty[name] = path
	}
	return nil
}

// remove removes the files and their directory.
func (p privateFiles) remove() {
	if p.lock != nil {
		removeLocked(p.dir, p.lock)
	}
}

// writeFile writes one key file that must not be there yet.
func writeFile(dir string, f sdk.File) (path string, err error) {
	if f.Name != filepath.Base(f.Name) || strings.Trim(f.Name, ".") == "" || strings.ContainsAny(f.Name, "/\\:\x00") {
		return "", fmt.Errorf("the delivery has a file whose name is no plain name: %.64q", f.Name)
	}
	path = filepath.Join(dir, f.Name)
	file, err := host.CreatePrivate(path)
	if err != nil {
		return "", fmt.Errorf("writing a key file: %w", err)
	}
	_, err = file.WriteString(f.Content)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("writing a key file: %w", errors.Join(err, os.Remove(path)))
	}
	return path, nil
}
