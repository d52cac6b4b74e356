package runner

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/sdk"
)

// errFiles says that a format cannot carry key files.
var errFiles = errors.New("this workspace delivers a key file; give a directory for it (--files-dir), or run the command with exec")

// plain matches what every reader of .env files takes as it stands.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]*$`)

// variables are what a format prints: delivered values, and absolute paths of key files, which are written into directory once all is known
// to be in order. Files that are there already are not replaced.
func variables(e sdk.Environment, directory string) (map[string]string, error) {
	if len(e.Files) == 0 {
		return merge(e, nil)
	}
	if directory == "" {
		return nil, errFiles
	}
	directory, err := filepath.Abs(directory)
	if err != nil {
		return nil, fmt.Errorf("finding the directory for key files: %w", err)
	}
	paths := map[string]string{} // variable → path
	for _, f := range e.Files {
		paths[f.Env] = filepath.Join(directory, f.Name)
	}
	all, err := merge(e, paths)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for key files: %w", err)
	}
	var written []string
	for _, f := range e.Files {
		path, err := writeFile(directory, f)
		if err != nil {
			for _, path := range written {
				_ = os.Remove(path)
			}
			return nil, err
		}
		written = append(written, path)
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
		if envname.Valid(name) && envname.ReservedReason(name) == "" { // It becomes a command: the rules hold as for a value.
			fmt.Fprintf(&b, "unset %s\n", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(all[name], "'", `'\''`))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// Dotenv writes NAME=value lines. Readers of .env files agree on plain values and on single quotes without escapes; only a value that has
// a single quote itself goes into double quotes, whose escapes differ a little from reader to reader. Key files go into directory. The format
// cannot unset a variable.
func Dotenv(w io.Writer, e sdk.Environment, directory string) error {
	all, err := variables(e, directory)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=%s\n", name, dotenvValue(all[name]))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// dotenvValue quotes a value as little as it needs.
func dotenvValue(value string) string {
	switch {
	case plain.MatchString(value):
		return value
	case !strings.ContainsAny(value, "'\r") && !strings.Contains(value, `\\`) && !strings.HasSuffix(value, `\`):
		return "'" + value + "'" // Python's reader takes \\ and \' for escapes, which is why they are kept out.
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "$", `\$`, "`", "\\`").Replace(value) + `"`
	}
}

// JSON writes one object of names and values. Key files go into directory, their paths into the object.
func JSON(w io.Writer, e sdk.Environment, directory string) error {
	all, err := variables(e, directory)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}

// GitHub writes the environment file of a GitHub Actions step, with delimiters that nobody can guess, and to log the commands that mask each
// line of each value. Key files go into directory; their content is not masked, as it is not printed.
func GitHub(file, log io.Writer, e sdk.Environment, directory string) error {
	all, err := variables(e, directory)
	if err != nil {
		return err
	}
	delimiter := "forgecroft_" + rand.Text()
	command := strings.NewReplacer("%", "%25", "\r", "%0D") // The escapes of workflow commands.
	var b, masks strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", name, delimiter, all[name], delimiter)
		for line := range strings.Lines(e.Env[name]) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				fmt.Fprintf(&masks, "::add-mask::%s\n", command.Replace(line))
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
