package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// lookPath finds the command in the PATH that the child will have. Relative directories in PATH are
// passed over: a credential must not go to what happens to be in the current directory.
func lookPath(name string, environ []string) (string, error) {
	if filepath.Base(name) != name {
		return givenPath(name, environ)
	}
	failure := exec.ErrNotFound
	for _, dir := range filepath.SplitList(value(environ, "PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path, err := executable(filepath.Join(dir, name), environ)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			failure = fs.ErrPermission
		}
	}
	return "", failure
}

// withExtensions are the files that a command of Windows may mean: itself, if it has an extension
// of a program, then with each of them. extensions is the variable PATHEXT.
func withExtensions(path, extensions string) []string {
	if extensions == "" {
		extensions = ".com;.exe;.bat;.cmd"
	}
	list := strings.Split(strings.ToLower(extensions), ";")
	list = slices.DeleteFunc(list, func(ext string) bool { return len(ext) < 2 || ext[0] != '.' })
	var files []string
	if slices.Contains(list, strings.ToLower(filepath.Ext(path))) {
		files = append(files, path)
	}
	for _, ext := range list {
		files = append(files, path+ext)
	}
	return files
}

// checkBatch refuses arguments that a batch file would not get as they are: Windows starts it with
// cmd.exe, which replaces variables and splits commands even inside of quotes.
func checkBatch(path string, argv []string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".bat", ".cmd":
	default:
		return nil
	}
	for i, arg := range argv {
		if i > 0 && strings.ContainsAny(arg, "\"%!^&|<>()\r\n") {
			return fmt.Errorf("%s is a batch file, and cmd.exe would change argument %d; start the program that it starts", path, i)
		}
	}
	return nil
}
