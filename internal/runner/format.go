package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/sdk"
)

// errFiles says that a format cannot carry key files.
var errFiles = errors.New("this workspace delivers a key file; give a directory for it (--files-dir), or run the command with exec")

// Output is an environment that is printed for another tool.
type Output struct {
	Env       sdk.Environment
	Directory string    // takes the key files; empty: a delivery with key files is refused
	Environ   []string  // what the other tool is expected to inherit: this process's environment
	Notice    io.Writer // messages to the person who runs it; may be nil
}

// printed is what a format writes.
type printed struct {
	set   map[string]string // variable → value: what is delivered, paths of key files, and the null device for files that must be empty
	unset []string          // rivals that are to be removed, sorted
}

// emptied returns what a format without a way to unset writes: a rival gets the empty value. One
// that tools take for set even if it is empty is left out; if it is present, the format is refused.
func (p printed) emptied(format string, present func(name string) bool) (map[string]string, error) {
	all := maps.Clone(p.set)
	var stay []string
	for _, name := range p.unset {
		switch {
		case envname.EmptyIsUnset(name):
			all[name] = ""
		case present(name):
			stay = append(stay, name)
		}
	}
	if len(stay) > 0 {
		return nil, fmt.Errorf("%s is set here and would compete with the delivered credentials, and the format %s cannot remove it; "+
			"take it out of the environment, or use --format shell or exec", strings.Join(stay, ", "), format)
	}
	return all, nil
}

// inherited reports whether the other tool inherits a variable that is not empty.
func (o Output) inherited(name string) bool { return value(o.Environ, name) != "" }

// printed works out what a format writes. Nothing is written yet, so that a refusal leaves no file.
func (o Output) printed() (printed, error) {
	paths, err := o.paths()
	if err != nil {
		return printed{}, err
	}
	p := printed{}
	if p.set, err = merge(o.Env, paths); err != nil {
		return printed{}, err
	}
	for _, name := range mustBeEmpty(o.Env) {
		p.set[name] = os.DevNull // Nothing would remove an empty file when the other tool has ended.
	}
	for _, name := range o.Env.Unset {
		if _, set := p.set[name]; !set && envname.MayUnset(name) { // It becomes a command: the rules hold as for a value.
			p.unset = append(p.unset, name)
		}
	}
	slices.Sort(p.unset)
	return p, nil
}

// paths are the absolute paths of the key files, by variable.
func (o Output) paths() (map[string]string, error) {
	if len(o.Env.Files) == 0 {
		return nil, nil
	}
	if o.Directory == "" {
		return nil, errFiles
	}
	directory, err := filepath.Abs(o.Directory)
	if err != nil {
		return nil, fmt.Errorf("finding the directory for key files: %w", err)
	}
	paths := map[string]string{} // variable → path
	for _, f := range o.Env.Files {
		paths[f.Env] = filepath.Join(directory, f.Name)
	}
	return paths, nil
}

// print writes the key files, then the text. Files that are there already are not replaced.
func (o Output) print(w io.Writer, text string) error {
	if err := o.writeFiles(); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// writeFiles writes the key files, all or none.
func (o Output) writeFiles() error {
	if len(o.Env.Files) == 0 {
		return nil
	}
	if err := host.MakePrivateDir(o.Directory); err != nil {
		return fmt.Errorf("making the directory for key files: %w", err)
	}
	var written []string
	for _, f := range o.Env.Files {
		path, err := writeFile(o.Directory, f)
		if err != nil {
			for _, path := range written {
				_ = os.Remove(path)
			}
			return err
		}
		written = append(written, path)
	}
	return nil
}

// Shell writes commands for eval in a POSIX shell.
func (o Output) Shell(w io.Writer) error {
	p, err := o.printed()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, name := range p.unset {
		fmt.Fprintf(&b, "unset %s\n", name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.set)) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(p.set[name], "'", `'\''`))
	}
	return o.print(w, b.String())
}

// JSON writes one object of names and values.
func (o Output) JSON(w io.Writer) error {
	p, err := o.printed()
	if err != nil {
		return err
	}
	all, err := p.emptied("json", o.inherited)
	if err != nil {
		return err
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	return o.print(w, b.String())
}
