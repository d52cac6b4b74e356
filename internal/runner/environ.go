package runner

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/sdk"
)

// ownPrefix begins the variables of Forgecroft itself, which the child does not need.
const ownPrefix = "FORGECROFT_"

// environ puts the child's environment together: the parent's entries in their order, then the
// delivered ones by name, then those that point at empty files.
func (c Command) environ(files privateFiles) ([]string, error) {
	delivered, err := merge(c.Env, files.variables)
	if err != nil {
		return nil, err
	}
	maps.Copy(delivered, files.empty)
	environ, replaced := inherit(c.Environ, delivered, c.Env, foldNames)
	if len(replaced) > 0 {
		c.notice("replaced by the workspace's: %s", strings.Join(replaced, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(delivered)) {
		environ = append(environ, name+"="+delivered[name])
	}
	return environ, nil
}

// foldNames says that the system compares names of variables in any case, as Windows does.
const foldNames = runtime.GOOS == "windows"

// inherit returns the entries of the parent that a child gets beside what is set, and the names of
// those of them that a delivery replaces.
func inherit(parent []string, set map[string]string, e sdk.Environment, fold bool) (environ, replaced []string) {
	key := func(name string) string { return name }
	if fold {
		key = strings.ToUpper
	}
	ours, unset := map[string]string{}, map[string]bool{} // by key
	for name, value := range set {
		ours[key(name)] = value
	}
	for _, name := range e.Unset {
		unset[key(name)] = true
	}
	for _, entry := range parent {
		name, value, _ := strings.Cut(entry, "=")
		now, replaces := ours[key(name)]
		if replaces && !unset[key(name)] && now != value {
			replaced = append(replaced, name)
		}
		if !replaces && !unset[key(name)] && !strings.HasPrefix(key(name), ownPrefix) {
			environ = append(environ, entry)
		}
	}
	slices.Sort(replaced)
	return environ, slices.Compact(replaced)
}

// mustBeEmpty are the variables that have to point at an empty file beside what a delivery sets.
func mustBeEmpty(e sdk.Environment) []string {
	return envname.MustBeEmpty(func(name string) bool {
		_, set := e.Env[name]
		return set || slices.ContainsFunc(e.Files, func(f sdk.File) bool { return f.Env == name })
	})
}

// notices are messages to the person who runs the command.
type notices struct{ w io.Writer }

// say writes one message.
func (n notices) say(format string, args ...any) {
	if n.w != nil {
		fmt.Fprintf(n.w, "forgecroft: "+format+"\n", args...)
	}
}

// tooShort names variables whose secret values are not masked.
func (n notices) tooShort(names []string) {
	if len(names) > 0 {
		n.say("too short to be masked: %s", strings.Join(names, ", "))
	}
}

// notice tells the person something.
func (c Command) notice(format string, args ...any) { notices{c.Notice}.say(format, args...) }

// notices are the messages of a format.
func (o Output) notices() notices { return notices{o.Notice} }

// merge returns all that a delivery sets, with files as variable → path, once it has passed the
// rules.
func merge(e sdk.Environment, files map[string]string) (map[string]string, error) {
	all := make(map[string]string, len(e.Env)+len(files)) // variable → value
	maps.Copy(all, e.Env)
	for name, path := range files {
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("the delivery sets %.64q twice, to a value and to a file", name)
		}
		all[name] = path
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := check(name, all[name]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// check holds a delivered variable to the rules once more: the server may be older, or not the one
// we think.
func check(name, value string) error {
	if !envname.Valid(name) {
		return fmt.Errorf("the delivery has a variable with an invalid name: %.64q", name)
	}
	if reason := envname.ReservedReason(name); reason != "" {
		return fmt.Errorf("the delivery would set %s, which is refused: %s", name, reason)
	}
	if strings.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("the delivered %s contains a NUL byte, which no environment variable can hold", name)
	}
	if most := maxString - len(name) - len("=\x00"); len(value) > most {
		return fmt.Errorf("the delivered %s has %d bytes; the system takes at most %d in this variable", name, len(value), most)
	}
	return nil
}

// value is the value of a variable; the last one counts, as for [os/exec.Cmd].
func value(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		given, v, _ := strings.Cut(entry, "=")
		if given == name || foldNames && strings.EqualFold(given, name) {
			return v
		}
	}
	return ""
}
