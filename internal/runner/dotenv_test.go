//go:build linux

package runner_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// without returns values without some names.
func without(all map[string]string, names ...string) map[string]string {
	for _, name := range names {
		delete(all, name)
	}
	return all
}

func TestDotenvRoundTrip(t *testing.T) {
	interpolated := hardValues()["DOLLAR"] // python-dotenv replaces ${X} in every value.
	tests := []struct {
		dialect string
		values  map[string]string
		read    func(t *testing.T, text string, names ...string) map[string]string
	}{
		{"bash", hardValues(), sourced},
		{"python", without(hardValues(), "DOLLAR"), readPython},
		{"docker", without(hardValues(), "LINES", "GITHUB", "JSON", "CRLF"), readDocker},
		{"common", map[string]string{"PLAIN": "abc-123_/+=:,@%", "EMPTY": ""}, sourced},
		{"common", map[string]string{"PLAIN": "abc-123_/+=:,@%", "EMPTY": ""}, readPython},
		{"common", map[string]string{"PLAIN": "abc-123_/+=:,@%", "EMPTY": ""}, readDocker},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		if err := (runner.Output{Env: sdk.Environment{Env: tt.values}}).Dotenv(&out, tt.dialect); err != nil {
			t.Fatalf("%s: %v", tt.dialect, err)
		}
		var names []string
		for name := range tt.values {
			names = append(names, name)
		}
		if diff := cmp.Diff(tt.values, tt.read(t, out.String(), names...)); diff != "" {
			t.Errorf("%s read back (-want +got):\n%s", tt.dialect, diff)
		}
	}
	if o := (runner.Output{Env: token(interpolated)}); o.Dotenv(io.Discard, "python") == nil {
		t.Errorf("%q is written for python-dotenv, which replaces a part of it", interpolated)
	}
}

// TestDotenvRefuses holds the dialects to what their readers cannot read, or read differently.
func TestDotenvRefuses(t *testing.T) {
	tests := map[string][]string{ // dialect → values
		"common": {"a b", "it's", `"quoted"`, "a#b", "$HOME", "`id`", `a\nb`, "a\nb", "a\rb", "~", "a;b", "(a)", "*", "ü", strings.Repeat("x", 65<<10)},
		"docker": {"a\nb", "a\r", "a\xff", strings.Repeat("x", 65<<10)},
		"python": {"${HOME}", "a ${X:-y} b", "${}", "\xff", "a\n\\", "'\\", "a #\\"},
	}
	for dialect, values := range tests {
		for _, value := range values {
			var out bytes.Buffer
			e := sdk.Environment{Env: map[string]string{"GOOD": "1", "TOKEN": value}, Files: keyFile().Files}
			dir := t.TempDir()
			err := runner.Output{Env: e, Directory: dir}.Dotenv(&out, dialect)
			if err == nil || out.Len() > 0 {
				t.Errorf("%s of %.20q: %v, %q", dialect, value, err, &out)
				continue
			}
			if !has(err.Error(), "TOKEN", "--dialect") || has(err.Error(), "GOOD") || (len(value) > 3 && has(err.Error(), value)) {
				t.Errorf("%s of %.20q: %v", dialect, value, err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%s of %.20q leaves a key file", dialect, value)
			}
		}
	}
}

// sourced is what bash has after reading a file.
func sourced(t *testing.T, text string, names ...string) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bash.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("bash", append([]string{"-c", `set -a; . "$1"; shift; exec "$@"`, "bash", path}, as("print")...)...)
	command.Env = []string{"PATH=/bin:/usr/bin"}
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var child self
	if err := json.Unmarshal(out, &child); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range child.Environ {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return only(all, names)
}

// only is the part of a map with some names.
func only(all map[string]string, names []string) map[string]string {
	part := map[string]string{}
	for _, name := range names {
		if value, set := all[name]; set {
			part[name] = value
		}
	}
	return part
}

// readDocker reads a file as docker does (opts/file.go): each line up to the first = is a name, the
// rest a value.
func readDocker(t *testing.T, text string, names ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		all[name] = value
	}
	return only(all, names)
}

// readPython reads a file with python-dotenv, or as it does where it is not installed.
func readPython(t *testing.T, text string, names ...string) map[string]string {
	t.Helper()
	const program = "import dotenv, io, json, sys\n" +
		"print(json.dumps(dict(dotenv.dotenv_values(stream=io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8')))))"
	command := exec.Command("python3", "-c", program)
	command.Stdin = strings.NewReader(text)
	out, err := command.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) && !strings.Contains(string(failed.Stderr), "No module named") {
			t.Fatalf("python-dotenv: %v: %s", err, failed.Stderr)
		}
		return only(likePython(t, text), names)
	}
	var all map[string]string
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return only(all, names)
}

var (
	pythonLine     = regexp.MustCompile(`^([A-Z0-9_a-z]+)=(?:'((?:\\'|[^'])*)'|"((?:\\"|[^"])*)"|([^\n\r]*))\n`)
	pythonSingle   = strings.NewReplacer(`\\`, `\`, `\'`, `'`)
	pythonDouble   = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\r`, "\r", `\n`, "\n")
	pythonLineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")
)

// likePython reads what Dotenv writes by the expressions of python-dotenv (dotenv/parser.py).
func likePython(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for text = pythonLineEnds.Replace(text); text != ""; {
		m := pythonLine.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no line of a .env file: %q", text)
		}
		all[m[1]] = pythonSingle.Replace(m[2]) + pythonDouble.Replace(m[3]) + m[4]
		text = text[len(m[0]):]
	}
	return all
}

func TestLikePython(t *testing.T) {
	var out bytes.Buffer
	values := without(hardValues(), "DOLLAR")
	if err := (runner.Output{Env: sdk.Environment{Env: values}}).Dotenv(&out, "python"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(values, likePython(t, out.String())); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
