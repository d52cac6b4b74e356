package runner

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// dialects are the ways of readers of .env files. Each writes a value so that its reader gets it
// byte for byte, or reports that it cannot.
var dialects = map[string]struct {
	reader string // for messages
	write  func(value string) (string, bool)
}{
	"common": {"bash, docker and python-dotenv alike", commonValue},
	"bash":   {"bash", bashValue},
	"docker": {"docker", dockerValue},
	"python": {"python-dotenv", pythonValue},
}

// Dialects are the names that [Output.Dotenv] knows.
func Dialects() []string { return slices.Sorted(maps.Keys(dialects)) }

// Dotenv writes NAME=value lines for the readers that dialect names. A value that they would read
// differently is refused. The format cannot unset a variable.
func (o Output) Dotenv(w io.Writer, dialect string) error {
	p, err := o.printed()
	if err != nil {
		return err
	}
	all, err := p.emptied("dotenv", o.inherited)
	if err != nil {
		return err
	}
	d := dialects[dialect]
	var b strings.Builder
	var refused []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text, ok := d.write(all[name])
		if !ok {
			refused = append(refused, name)
		}
		fmt.Fprintf(&b, "%s=%s\n", name, text)
	}
	if len(refused) > 0 {
		return fmt.Errorf("the value of %s cannot be written for %s; "+
			"name the reader of the file with --dialect (%s), or use --format json or exec",
			strings.Join(refused, ", "), d.reader, strings.Join(Dialects(), ", "))
	}
	return o.print(w, b.String())
}

// plain matches what every reader of .env files takes as it stands.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]*$`)

// maxDockerValue keeps a line below the 64 KiB that docker reads (bufio.MaxScanTokenSize), whatever
// its name.
const maxDockerValue = 64<<10 - 256

// commonValue takes what needs no quotes: docker takes quotes for a part of the value.
func commonValue(value string) (string, bool) {
	return value, plain.MatchString(value) && len(value) <= maxDockerValue
}

// bashValue is for bash and every other POSIX shell that reads the file with the command dot (set
// -a; . FILE).
func bashValue(value string) (string, bool) {
	switch {
	case plain.MatchString(value):
		return value, true
	case !strings.Contains(value, "'"):
		return "'" + value + "'", true
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value) + `"`, true
	}
}

// dockerValue is for docker run --env-file, which takes what follows the first = to the end of the
// line as it is.
func dockerValue(value string) (string, bool) {
	line := !strings.Contains(value, "\n") && !strings.HasSuffix(value, "\r") && len(value) <= maxDockerValue
	return value, line && utf8.ValidString(value)
}

// interpolation is what python-dotenv replaces in every value, however it is quoted
// (dotenv/variables.py).
var interpolation = regexp.MustCompile(`\$\{[^}:]*(?::-[^}]*)?\}`)

// Values that python-dotenv takes as they stand without quotes: it drops white space at the ends,
// and a comment behind white space.
var (
	pythonPlain   = regexp.MustCompile(`^[^'"\s](?:[^\r\n]*\S)?$`)
	pythonComment = regexp.MustCompile(`\s#`)
)

// pythonValue is for python-dotenv (dotenv/parser.py): single quotes with the escapes \\ and \'.
// Only double quotes have an escape for a carriage return, which is a line end otherwise. A
// backslash before the closing quote would hide that quote, so a value that ends with one goes
// without quotes.
func pythonValue(value string) (string, bool) {
	switch {
	case interpolation.MatchString(value) || !utf8.ValidString(value):
		return "", false
	case plain.MatchString(value):
		return value, true
	case strings.HasSuffix(value, `\`):
		return value, pythonPlain.MatchString(value) && !pythonComment.MatchString(value)
	case !strings.Contains(value, "\r"):
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'", true
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", `\r`).Replace(value) + `"`, true
	}
}
