//go:build linux

package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

func TestChildEnvironment(t *testing.T) {
	tests := []struct {
		name   string
		parent []string
		env    sdk.Environment
		want   []string
		notice string
	}{
		{"delivered is added", []string{"A=1"}, sdk.Environment{Env: map[string]string{"TOKEN": "x=y\nz"}}, []string{"A=1", "TOKEN=x=y\nz"}, ""},
		{"an empty value is a value", nil, sdk.Environment{Env: map[string]string{"TOKEN": ""}}, []string{"TOKEN="}, ""},
		{"rivals are dropped", []string{"AWS_PROFILE=p", "AWS_PROFILES=q"}, sdk.Environment{Unset: []string{"AWS_PROFILE"}}, []string{"AWS_PROFILES=q"}, ""},
		{"our own are dropped", []string{"FORGECROFT_API_KEY=k", "FORGECROFT_X=1", "FORGE=1"}, sdk.Environment{}, []string{"FORGE=1"}, ""},
		{"an exported region stays unless one is delivered", []string{"AWS_REGION=r"}, sdk.Environment{Env: map[string]string{"AWS_ROLE_ARN": "a"}}, []string{"AWS_REGION=r", "AWS_ROLE_ARN=a"}, ""},
		{"the same value needs no notice", []string{"A=1"}, sdk.Environment{Env: map[string]string{"A": "1"}}, []string{"A=1"}, ""},
		{
			"the workspace wins, and one line says so",
			[]string{"B=old", "A=old", "B=older"},
			sdk.Environment{Env: map[string]string{"A": "new", "B": "new"}},
			[]string{"A=new", "B=new"},
			"forgecroft: replaced by the workspace's: A, B\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(runner.Command{Env: tt.env, Argv: as("print"), Environ: tt.parent})
			if got.code != 0 || got.err != nil {
				t.Fatalf("Run: %d, %v", got.code, got.err)
			}
			var child self
			if err := json.Unmarshal([]byte(got.stdout), &child); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, child.Environ); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if got.notice != tt.notice {
				t.Errorf("notice %q, want %q", got.notice, tt.notice)
			}
		})
	}
}

func TestArgumentsAreHandedOverAsTheyAre(t *testing.T) {
	want := as("print", "", "a b", "'\"`$(id)", "new\nline", "*", "-x", "\xff\xfe")
	got := run(runner.Command{Argv: want})
	var child self
	if err := json.Unmarshal([]byte(got.stdout), &child); err != nil {
		t.Fatal(err)
	}
	want[len(want)-1] = "\ufffd\ufffd" // as JSON shows it
	if diff := cmp.Diff(want, child.Argv); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

func TestExitCode(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain, broken := write("plain", 0o600, "x"), write("broken", 0o700, "\x7fnot a program")
	path := []string{"PATH=" + dir}
	tests := []struct {
		name    string
		argv    []string
		environ []string
		want    int
		message string // of the error; empty: started
	}{
		{"0", as("exit", "0"), nil, 0, ""},
		{"3", as("exit", "3"), nil, 3, ""},
		{"127 of its own", as("exit", "127"), nil, 127, ""},
		{"255", as("exit", "255"), nil, 255, ""},
		{"killed", as("die", "9"), nil, 128 + 9, ""},
		{"terminated", as("die", "15"), nil, 128 + 15, ""},
		{"no command", nil, nil, 1, "no command"},
		{"not in PATH", []string{"no-such"}, path, 127, "no-such: command not found"},
		{"no PATH", []string{"plain"}, nil, 127, "plain: command not found"},
		{"no such path", []string{dir + "/none"}, nil, 127, "command not found"},
		{"not executable", []string{plain}, nil, 126, "cannot be executed"},
		{"not executable in PATH", []string{"plain"}, path, 126, "plain cannot be executed"},
		{"not a program", []string{broken}, nil, 126, "cannot be executed"},
		{"a directory", []string{dir}, nil, 126, "cannot be executed"},
		{"the last PATH counts", []string{"sh", "-c", "exit 5"}, []string{"PATH=" + dir, "PATH=/bin:/usr/bin"}, 5, ""},
		{"relative PATH is passed over", []string{"sh"}, []string{"PATH=../../../../../../../../bin:."}, 127, "command not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(runner.Command{Argv: tt.argv, Environ: tt.environ})
			if got.code != tt.want || (got.err == nil) != (tt.message == "") {
				t.Fatalf("Run: %d, %v; want %d", got.code, got.err, tt.want)
			}
			if got.err != nil && !has(got.err.Error(), tt.message) {
				t.Errorf("error %q, want %q in it", got.err, tt.message)
			}
		})
	}
}

func TestRefusedEnvironment(t *testing.T) {
	const most = 131072 - len("TOKEN=\x00")
	tests := []struct {
		name string
		env  sdk.Environment
		want []string // parts of the error
	}{
		{"reserved", sdk.Environment{Env: map[string]string{"LD_PRELOAD": "SECRETEXAMPLE"}}, []string{"LD_PRELOAD", "loader"}},
		{"reserved in lower case", sdk.Environment{Env: map[string]string{"bash_env": "SECRETEXAMPLE"}}, []string{"bash_env"}},
		{"our own", sdk.Environment{Env: map[string]string{"FORGECROFT_API_KEY": "SECRETEXAMPLE"}}, []string{"FORGECROFT_API_KEY"}},
		{"no name", sdk.Environment{Env: map[string]string{"A=B": "SECRETEXAMPLE"}}, []string{`"A=B"`}},
		{"reserved for a file", sdk.Environment{Files: []sdk.File{{Name: "f", Env: "PATH"}}}, []string{"PATH"}},
		{"NUL", sdk.Environment{Env: map[string]string{"TOKEN": "SECRETEXAMPLE\x00"}}, []string{"TOKEN", "NUL"}},
		{"one byte too long", sdk.Environment{Env: map[string]string{"TOKEN": strings.Repeat("x", most+1)}}, []string{"TOKEN", "131066", "131065"}},
		{"value and file", sdk.Environment{Env: map[string]string{"TOKEN": "SECRETEXAMPLE"}, Files: []sdk.File{{Name: "f", Env: "TOKEN"}}}, []string{"TOKEN", "twice"}},
		{"file with a path", sdk.Environment{Files: []sdk.File{{Name: "../f", Env: "TOKEN"}}}, []string{`"../f"`}},
		{"file without a name", sdk.Environment{Files: []sdk.File{{Name: "..", Env: "TOKEN"}}}, []string{`".."`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(runner.Command{Env: tt.env, Argv: as("echo", "started")})
			if got.code != 1 || got.err == nil || got.stdout != "" {
				t.Fatalf("Run: %d, %v, output %q; want 1 and an error", got.code, got.err, got.stdout)
			}
			if !has(got.err.Error(), tt.want...) || has(got.err.Error(), "SECRETEXAMPLE") {
				t.Errorf("error %q, want %q in it, and no value", got.err, tt.want)
			}
		})
	}
	if got := run(runner.Command{Env: sdk.Environment{Env: map[string]string{"TOKEN": strings.Repeat("x", most)}}, Argv: as("exit", "0")}); got.err != nil {
		t.Errorf("the longest value: %v", got.err)
	}
}

// TestTotalLimit holds the limit against the kernel's: the largest environment starts, one byte more is refused by us, and would be by it.
func TestTotalLimit(t *testing.T) {
	const path = "/bin/true"
	var stack syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_STACK, &stack); err != nil {
		t.Fatal(err)
	}
	left := int(min(max(stack.Cur/4, 131072), 6<<20)) - (len(path) + 1) - (len(path) + 1 + 8) // the file name, and argv[0] with its pointer
	var environ []string
	for i := 0; left > 131000; i++ {
		entry := "FILL" + strconv.Itoa(i) + "=" + strings.Repeat("x", 20000)
		environ, left = append(environ, entry), left-len(entry)-1-8
	}
	environ = append(environ, "LARGEST="+strings.Repeat("x", left-len("LARGEST=")-1-8))

	if got := run(runner.Command{Argv: []string{path}, Environ: environ}); got.code != 0 || got.err != nil {
		t.Errorf("at the limit: %d, %v", got.code, got.err)
	}
	environ[len(environ)-1] += "x"
	got := run(runner.Command{Argv: []string{path}, Environ: environ})
	if got.code != 1 || got.err == nil || !has(got.err.Error(), "LARGEST", "nothing was started") {
		t.Errorf("one byte more: %d, %v; want an error that names LARGEST", got.code, got.err)
	}
	bare := exec.Command(path)
	bare.Env = environ
	if err := bare.Run(); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("the kernel says %v; want E2BIG, or our limit is too low", err)
	}
	if got := run(runner.Command{Argv: []string{path, strings.Repeat("x", 131072)}}); got.code != 1 || got.err == nil || !has(got.err.Error(), "argument") {
		t.Errorf("a long argument: %d, %v", got.code, got.err)
	}
}

func TestCanceledBeforeStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, err := runner.Command{Argv: as("exit", "0")}.Run(ctx)
	if code != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %d, %v; want 1 and canceled", code, err)
	}
}

func TestStandardInput(t *testing.T) {
	got := run(runner.Command{Argv: []string{"/bin/cat"}, Stdin: strings.NewReader("typed")})
	if got.stdout != "typed" {
		t.Errorf("output %q", got.stdout)
	}
}

// BenchmarkRun and BenchmarkBare show what the wrapper costs over a bare start.
func BenchmarkRun(b *testing.B) {
	env := sdk.Environment{Env: map[string]string{"TOKEN": "SECRETEXAMPLE"}, Files: []sdk.File{{Name: "key.json", Content: "{}", Env: "KEY"}}}
	environ := slices.Clone(os.Environ())
	for b.Loop() {
		if code, err := (runner.Command{Env: env, Argv: []string{"/bin/true"}, Environ: environ}).Run(b.Context()); code != 0 || err != nil {
			b.Fatal(code, err)
		}
	}
}

func BenchmarkBare(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
