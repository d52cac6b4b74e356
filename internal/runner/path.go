package runner

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lookPath finds the command in the PATH that the child will have. Relative directories in PATH are passed over: a credential must not go to whatever
// lies in the current directory.
func lookPath(name string, environ []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	failure := exec.ErrNotFound
	for _, dir := range filepath.SplitList(value(environ, "PATH")) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil || info.IsDir() || !filepath.IsAbs(path) {
			continue
		}
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
		failure = fs.ErrPermission
	}
	return "", failure
}
