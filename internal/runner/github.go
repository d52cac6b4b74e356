package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// errOpenValue says that what a format appends would become part of an earlier value.
var errOpenValue = errors.New("the file that GITHUB_ENV names ends inside of a value: its delimiter is missing, so that what follows would " +
	"become part of it; look at what wrote there before")

// GitHub appends to the environment file of a GitHub Actions step, with delimiters that cannot be
// guessed, and writes to log the commands that mask the secret values. The file is read first: an
// earlier step may have set rivals there. The content of key files is not masked, as it is not
// printed.
func (o Output) GitHub(file io.ReadWriter, log io.Writer) error {
	p, err := o.printed()
	if err != nil {
		return err
	}
	before, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("reading the file that GITHUB_ENV names: %w", err)
	}
	earlier, closed := parseGitHub(string(before))
	if !closed {
		return errOpenValue
	}
	all, err := p.emptied("github", func(name string) bool {
		if value, set := earlier[name]; set {
			return value != ""
		}
		return o.inherited(name)
	})
	if err != nil {
		return err
	}
	var b strings.Builder
	if len(before) > 0 && before[len(before)-1] != '\n' {
		b.WriteByte('\n')
	}
	delimiter := "forgecroft_" + rand.Text()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", name, delimiter, all[name], delimiter)
	}
	// The masks come first: what follows may be logged.
	if _, err := io.WriteString(log, o.masks()); err != nil {
		return err
	}
	return o.print(file, b.String())
}

// masks are the workflow commands that mask the secret values. A command is one line, so texts of
// several lines are masked by line.
func (o Output) masks() string {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D") // The escapes of workflow commands.
	values, short := secretValues(o.Env)
	o.notices().tooShort(short)
	var b strings.Builder
	for _, text := range secretTexts(values) {
		if !strings.Contains(text, "\n") {
			fmt.Fprintf(&b, "::add-mask::%s\n", escape.Replace(text))
		}
	}
	return b.String()
}

// parseGitHub reads an environment file as the runner of GitHub Actions does
// (FileCommandManager.cs): lines NAME=value, and NAME<<DELIMITER with the value in the lines up to
// the delimiter. closed: no value lacks its delimiter. Lines of other forms are passed over, as it
// is the runner that refuses them.
func parseGitHub(text string) (set map[string]string, closed bool) {
	set = map[string]string{}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		equals, heredoc := strings.Index(lines[i], "="), strings.Index(lines[i], "<<")
		switch {
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			set[lines[i][:equals]] = lines[i][equals+1:]
		case heredoc >= 0:
			rest := lines[i+1:]
			end := slices.Index(rest, lines[i][heredoc+len("<<"):])
			if end < 0 {
				return set, false
			}
			set[lines[i][:heredoc]] = strings.Join(rest[:end], "\n")
			i += 1 + end
		}
	}
	return set, true
}
