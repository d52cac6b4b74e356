package runner

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/sdk"
)

// errFiles says that a format cannot carry key files.
var errFiles = errors.New("this workspace delivers a key file; give a directory for it, or run the command with exec")

// variables are what a format prints: delivered values, and paths of key files written into directory.
func variables(e sdk.Environment, directory string) (map[string]string, error) {
	all := maps.Clone(e.Env)
	if all == nil {
		all = map[string]string{}
	}
	if len(e.Files) > 0 && directory == "" {
		return nil, errFiles
	}
	for _, f := range e.Files {
		path, err := writeFile(directory, f)
		if err != nil {
			return nil, err
		}
		all[f.Env] = path
	}
	for name, value := range all {
		if err := check(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Shell writes commands for eval in a POSIX shell. Key files go into directory.
func Shell(w io.Writer, e sdk.Environment, directory string) error {
	all, err := variables(e, directory)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, name := range e.Unset {
		if err := check(name, ""); err == nil {
			fmt.Fprintf(&b, "unset %s\n", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(all[name], "'", `'\''`))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// Dotenv writes NAME="value" lines, in the escapes that the usual readers of .env files share. Key files go into directory.
func Dotenv(w io.Writer, e sdk.Environment, directory string) error {
	all, err := variables(e, directory)
	if err != nil {
		return err
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "$", `\$`, "`", "\\`")
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, escape.Replace(all[name]))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// GitHub writes the environment file of a GitHub Actions step, with delimiters that nobody can guess, and to log the commands that mask each
// line of each value. Key files go into directory.
func GitHub(file, log io.Writer, e sdk.Environment, directory string) error {
	all, err := variables(e, directory)
	if err != nil {
		return err
	}
	var random [16]byte
	rand.Read(random[:])
	delimiter := "forgecroft_" + hex.EncodeToString(random[:])
	var b, masks strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", name, delimiter, all[name], delimiter)
		for line := range strings.Lines(e.Env[name]) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				fmt.Fprintf(&masks, "::add-mask::%s\n", strings.ReplaceAll(line, "%", "%25"))
			}
		}
	}
	// The masks come first: what follows may be logged.
	if _, err := io.WriteString(log, masks.String()); err != nil {
		return err
	}
	_, err = io.WriteString(file, b.String())
	return err
}
