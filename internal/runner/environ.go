package runner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/sdk"
)

// ownPrefix begins the variables of Forgecroft itself, which the child does not need.
const ownPrefix = "FORGECROFT_"

// environ puts the child's environment together: the parent's entries in their order, then the delivered ones by name. files maps
// variables to the paths of key files.
func (c Command) environ(files map[string]string) ([]string, error) {
	delivered, err := merge(c.Env, files)
	if err != nil {
		return nil, err
	}
	var environ, replaced []string
	for _, entry := range c.Environ {
		name, value, _ := strings.Cut(entry, "=")
		ours, set := delivered[name]
		if set && ours != value {
			replaced = append(replaced, name)
		}
		if set || strings.HasPrefix(name, ownPrefix) || slices.Contains(c.Env.Unset, name) {
			continue
		}
		environ = append(environ, entry)
	}
	if len(replaced) > 0 {
		slices.Sort(replaced)
		c.notice("replaced by the workspace's: %s", strings.Join(slices.Compact(replaced), ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(delivered)) {
		environ = append(environ, name+"="+delivered[name])
	}
	return environ, nil
}

// notice tells the person something.
func (c Command) notice(format string, args ...any) {
	if c.Notice != nil {
		fmt.Fprintf(c.Notice, "forgecroft: "+format+"\n", args...)
	}
}

// merge returns all that a delivery sets, with files as variable → path, once it has passed the rules.
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

// check holds a delivered variable to the rules once more: the server may be older, or not the one we think.
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
		return fmt.Errorf("the delivered %s has %d bytes; the kernel takes at most %d in this variable", name, len(value), most)
	}
	return nil
}

// value is the value of a variable; the last one counts, as for [os/exec.Cmd].
func value(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			return v
		}
	}
	return ""
}
