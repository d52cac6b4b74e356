package runner

import (
	"io/fs"
	"os"
	"os/exec"
)

// givenPath finds the file that a path means.
func givenPath(path string, environ []string) (string, error) {
	found, err := executable(path, environ)
	if err != nil {
		return "", exec.ErrNotFound
	}
	return found, nil
}

// executable finds the file that a command means. What may be executed is a matter of its
// extension.
func executable(path string, environ []string) (string, error) {
	for _, file := range withExtensions(path, value(environ, "PATHEXT")) {
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file, nil
		}
	}
	return "", fs.ErrNotExist
}
