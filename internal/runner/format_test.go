//go:build linux

package runner_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// hardValues are values that a careless format would break.
func hardValues() map[string]string {
	return map[string]string{
		"PLAIN": "abc-123_/+=:,@%", "EMPTY": "", "SPACES": "  a  b  ", "QUOTES": `'"` + "`" + `'`, "DOLLAR": "$HOME $(id) ${X}", "BACKSLASH": `\n\\'\`, "HASH": "a #b", "BANG": "!!",
		"LINES": "one\n\ntwo\n", "CRLF": "a\r\nb", "TAB": "a\tb", "UTF8": "grüße ☃", "JSON": `{"private_key": "-----BEGIN\nEXAMPLE\n-----"}`, "ESCAPED": `{"a": "\\n"}`, "INJECT": "x'; echo hacked; '", "END": `ends with \`,
		"GITHUB": "a\nPATH<<EOF\n/evil\nEOF",
	}
}

// formats are all formats that go to one writer.
func formats() map[string]func(runner.Output, io.Writer) error {
	return map[string]func(runner.Output, io.Writer) error{
		"shell": runner.Output.Shell, "json": runner.Output.JSON,
		"dotenv": func(o runner.Output, w io.Writer) error { return o.Dotenv(w, "bash") },
		"github": func(o runner.Output, w io.Writer) error { return o.GitHub(file{strings.NewReader(""), w}, io.Discard) },
	}
}

// file is a file that has some content and takes more.
type file struct {
	io.Reader
	io.Writer
}

func TestShellRoundTrip(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "dash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		var script bytes.Buffer
		e := sdk.Environment{Env: hardValues(), Unset: []string{"AWS_PROFILE", "PATH", "X; echo hacked"}}
		if err := (runner.Output{Env: e}).Shell(&script); err != nil {
			t.Fatal(err)
		}
		command := exec.Command(path, append([]string{"-c", `eval "$1"; shift; exec "$@"`, "sh", script.String()}, as("print")...)...)
		command.Env = []string{"AWS_PROFILE=rival", "PATH=/bin:/usr/bin"}
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		var child self
		if err := json.Unmarshal(out, &child); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := map[string]string{}
		for _, entry := range child.Environ {
			name, value, _ := strings.Cut(entry, "=")
			got[name] = value
		}
		want := hardValues()
		want["PATH"] = "/bin:/usr/bin"
		for _, own := range []string{"PWD", "SHLVL", "_", "OLDPWD"} { // The shell's own.
			delete(got, own)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("through %s (-want +got):\n%s", shell, diff)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	var out bytes.Buffer
	if err := (runner.Output{Env: sdk.Environment{Env: hardValues()}}).JSON(&out); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hardValues(), got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestGitHubRoundTrip(t *testing.T) {
	var out, log, again bytes.Buffer
	o := runner.Output{Env: sdk.Environment{Env: hardValues()}}
	if err := errors.Join(o.GitHub(&out, &log), o.GitHub(&again, io.Discard)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hardValues(), parseGitHub(t, out.String())); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if out.String() == again.String() {
		t.Error("the delimiter is the same twice: it can be guessed")
	}
	if !has(log.String(), "::add-mask::PATH<<EOF\n", "::add-mask::abc-123_/+=:,@%25\n") || has(log.String(), "::add-mask::one\n", "::add-mask::a\n") {
		t.Errorf("masks:\n%s", &log)
	}
	for line := range strings.Lines(log.String()) {
		if !strings.HasPrefix(line, "::add-mask::") {
			t.Errorf("%q in the log is no mask", line)
		}
	}
}

func TestFormatsAndKeyFiles(t *testing.T) {
	for name, format := range formats() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := format(runner.Output{Env: keyFile()}, &out); err == nil || out.Len() > 0 || !has(err.Error(), "key file") {
				t.Errorf("without a directory: %v, %q", err, &out)
			}
			dir := t.TempDir()
			if err := format(runner.Output{Env: keyFile(), Directory: dir}, &out); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "key.json")
			content, err := os.ReadFile(path)
			if err != nil || string(content) != "SECRETEXAMPLE" || !has(out.String(), "KEY_FILE", path) {
				t.Errorf("file %q, %v; output %q", content, err, &out)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
			}
			out.Reset()
			if err := format(runner.Output{Env: keyFile(), Directory: dir}, &out); !errors.Is(err, os.ErrExist) || out.Len() > 0 {
				t.Errorf("over a file that is there: %v, %q", err, &out)
			}
		})
	}
}

func TestFormatsRefuse(t *testing.T) {
	for name, format := range formats() {
		for _, variable := range []string{"LD_PRELOAD", "A B", "X;id", ""} {
			var out bytes.Buffer
			dir := t.TempDir()
			e := sdk.Environment{Env: map[string]string{variable: "SECRETEXAMPLE"}, Files: keyFile().Files}
			if err := format(runner.Output{Env: e, Directory: dir}, &out); err == nil || out.Len() > 0 || has(err.Error(), "SECRETEXAMPLE") {
				t.Errorf("%s of %q: %v, %q", name, variable, err, &out)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%s of %q leaves %s", name, variable, left[0].Name())
			}
		}
		dir, two := t.TempDir(), sdk.Environment{Files: append(keyFile().Files, sdk.File{Name: "../x", Env: "OTHER"})}
		if err := format(runner.Output{Env: two, Directory: dir}, io.Discard); err == nil {
			t.Errorf("%s of a file with a path succeeded", name)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s leaves %s of a delivery that failed", name, left[0].Name())
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, value := range hardValues() {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		e := sdk.Environment{Env: map[string]string{"TOKEN": value, "Z": "last"}}
		for name, format := range formats() {
			var out bytes.Buffer
			err := format(runner.Output{Env: e}, &out)
			if strings.Contains(value, "\x00") || len(value) > 131065 {
				if err == nil {
					t.Fatalf("%s of a value that no variable can hold succeeded", name)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]string
			switch name {
			case "dotenv":
				if !utf8.ValidString(value) {
					continue // The child shows its environment as JSON.
				}
				got = sourced(t, out.String(), "TOKEN", "Z")
			case "github":
				got = parseGitHub(t, out.String())
			case "shell":
				got = parseShell(t, out.String())
			case "json":
				if err := json.Unmarshal(out.Bytes(), &got); err != nil {
					t.Fatal(err)
				}
				if !utf8.ValidString(value) {
					continue // JSON cannot carry it, and it cannot have come from the server.
				}
			}
			if diff := cmp.Diff(e.Env, got); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// parseGitHub reads a file as the runner of GitHub Actions does.
func parseGitHub(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for text != "" {
		head, rest, _ := strings.Cut(text, "\n")
		name, delimiter, found := strings.Cut(head, "<<")
		value, after, ended := strings.Cut(rest, "\n"+delimiter+"\n")
		if !found || !ended {
			t.Fatalf("no variable in %q", text)
		}
		all[name], text = value, after
	}
	return all
}

// parseShell reads export lines in single quotes.
func parseShell(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for text != "" {
		var name, part string
		if n, err := fmt.Sscanf(text, "export %s", &name); n != 1 || err != nil {
			t.Fatalf("no command: %q", text)
		}
		name, _, _ = strings.Cut(name, "=")
		text = strings.TrimPrefix(text, "export "+name+"='")
		part, text, _ = strings.Cut(text, "'")
		value := part
		for strings.HasPrefix(text, `\''`) {
			part, text, _ = strings.Cut(text[3:], "'")
			value += "'" + part
		}
		if !strings.HasPrefix(text, "\n") {
			t.Fatalf("behind %s: %q", name, text)
		}
		all[name], text = value, text[1:]
	}
	return all
}
