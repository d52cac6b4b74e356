//go:build unix

package runner

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// givenPath takes a path as it is.
func givenPath(path string, _ []string) (string, error) { return path, nil }

// executable returns the path if it may be executed.
func executable(path string, _ []string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fs.ErrNotExist
	case unix.Access(path, unix.X_OK) != nil:
		return "", fs.ErrPermission
	}
	return path, nil
}
