//go:build linux

package runner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// awsKey is a delivery of a static key; awsRole of a role's session.
func awsKey() sdk.Environment {
	return sdk.Environment{
		Env:   map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "SECRETEXAMPLE"},
		Unset: []string{"AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE"},
	}
}

func awsRole() sdk.Environment {
	return sdk.Environment{
		Env:   map[string]string{"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "SECRETEXAMPLE", "AWS_SESSION_TOKEN": "TOKENEXAMPLE"},
		Unset: []string{"AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"},
	}
}

// TestEmptyFilesKeepOtherIdentitiesOut runs a child beside files in the home directory that would
// bring another identity in.
func TestEmptyFilesKeepOtherIdentitiesOut(t *testing.T) {
	tests := []struct {
		name      string
		delivered map[string]string
		want      []string // variables that point at empty files
	}{
		{"key", awsKey().Env, []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}},
		{"web identity", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "f"}, []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}},
		{"a profile, which is in the files", map[string]string{"AWS_PROFILE": "p"}, nil},
		{"a key and a profile", map[string]string{"AWS_PROFILE": "p", "AWS_ACCESS_KEY_ID": "a"}, nil},
		{"Google token", map[string]string{"GOOGLE_OAUTH_ACCESS_TOKEN": "x"}, []string{"GOOGLE_APPLICATION_CREDENTIALS"}},
		{"Google key", map[string]string{"GOOGLE_CREDENTIALS": "{}"}, []string{"GOOGLE_APPLICATION_CREDENTIALS"}},
		{"Google key file", map[string]string{"GOOGLE_CREDENTIALS": "{}", "GOOGLE_APPLICATION_CREDENTIALS": "/k"}, nil},
		{"another provider", map[string]string{"CLOUDFLARE_API_TOKEN": "x"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := privateBase(t)
			script := `for n in AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE GOOGLE_APPLICATION_CREDENTIALS; do ` +
				`eval p=\$$n; case "$p" in */forgecroft-run-*) echo $n $(stat -c '%a %s' "$p");; esac; done`
			got := run(runner.Command{
				Env: sdk.Environment{Env: tt.delivered}, Argv: []string{"/bin/sh", "-c", script},
				Environ: []string{"PATH=/bin:/usr/bin", "XDG_RUNTIME_DIR=" + base, "AWS_CONFIG_FILE=/theirs", "AWS_SHARED_CREDENTIALS_FILE=/theirs"},
			})
			var want strings.Builder
			for _, name := range tt.want {
				fmt.Fprintln(&want, name, "600 0")
			}
			if got.stdout != want.String() || got.code != 0 {
				t.Errorf("Run: %d, %v, %q; want %q", got.code, got.err, got.stdout, &want)
			}
			if left, _ := os.ReadDir(base); len(left) > 0 {
				t.Errorf("%s is left", left[0].Name())
			}
		})
	}
}

// TestEmptyFilesBesideKeyFiles holds the names of both kinds apart.
func TestEmptyFilesBesideKeyFiles(t *testing.T) {
	e := awsKey()
	e.Files = []sdk.File{{Name: "aws_config_file", Content: "x", Env: "KEY_FILE"}}
	got := run(runner.Command{Env: e, Argv: []string{"/bin/sh", "-c", `cat "$KEY_FILE" "$AWS_CONFIG_FILE"`}, Environ: os.Environ()})
	if got.stdout != "x" || got.code != 0 {
		t.Errorf("Run: %d, %v, %q", got.code, got.err, got.stdout)
	}
}

// TestShellUnsetsEveryRival reads the commands in a shell that has every rival set, those with
// reserved names among them.
func TestShellUnsetsEveryRival(t *testing.T) {
	var out bytes.Buffer
	e := awsKey()
	e.Unset = append(e.Unset, "PATH", "LD_PRELOAD")
	if err := (runner.Output{Env: e}).Shell(&out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_PROFILE", "AWS_SESSION_TOKEN"} {
		if !has(out.String(), "unset "+name+"\n") {
			t.Errorf("%s stays:\n%s", name, &out)
		}
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		if !has(out.String(), "export "+name+"='/dev/null'\n") || has(out.String(), "unset "+name) {
			t.Errorf("%s does not name the null device:\n%s", name, &out)
		}
	}
	if has(out.String(), "unset PATH") || has(out.String(), "unset LD_PRELOAD") {
		t.Errorf("a delivery takes over the shell:\n%s", &out)
	}
}

// TestRivalsBecomeEmpty holds the formats that cannot unset a variable to the empty value.
func TestRivalsBecomeEmpty(t *testing.T) {
	want := awsKey().Env
	want["AWS_CONFIG_FILE"], want["AWS_SHARED_CREDENTIALS_FILE"] = os.DevNull, os.DevNull
	want["AWS_SESSION_TOKEN"], want["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "", ""
	for name, format := range formats() {
		if name == "shell" {
			continue
		}
		var out bytes.Buffer
		if err := format(runner.Output{Env: awsKey()}, &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, readBack(t, name, out.String())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		// botocore looks for a profile of the empty name, so AWS_PROFILE can only go.
		err := format(runner.Output{Env: awsKey(), Environ: []string{"AWS_PROFILE=theirs"}}, io.Discard)
		if err == nil || !has(err.Error(), "AWS_PROFILE", name, "--format shell") {
			t.Errorf("%s beside AWS_PROFILE: %v", name, err)
		}
		if err := format(runner.Output{Env: awsKey(), Environ: []string{"AWS_PROFILE="}}, io.Discard); err != nil {
			t.Errorf("%s beside an empty AWS_PROFILE: %v", name, err)
		}
	}
}

// readBack reads what a format wrote.
func readBack(t *testing.T, format, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	switch format {
	case "dotenv":
		return readDocker(t, text, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
			"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE")
	case "github":
		return parseGitHub(t, text)
	case "json":
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestGitHubSecondIdentity is a job that takes the environments of two workspaces, one after the
// other.
func TestGitHubSecondIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "github.env")
	if err := os.WriteFile(path, []byte("EARLIER=1"), 0o600); err != nil { // An earlier step left out the line end.
		t.Fatal(err)
	}
	add := func(e sdk.Environment) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return runner.Output{Env: e}.GitHub(f, io.Discard)
	}
	for _, e := range []sdk.Environment{awsRole(), awsKey()} {
		if err := add(e); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	if first != "EARLIER=1" {
		t.Errorf("the earlier line is %q", first)
	}
	got := parseGitHub(t, rest)
	if got["AWS_SESSION_TOKEN"] != "" || got["AWS_ACCESS_KEY_ID"] != "AKIAEXAMPLE" {
		t.Errorf("the job has %v; want the second identity alone", got)
	}
	if err := add(sdk.Environment{Env: map[string]string{"AWS_PROFILE": "p"}}); err != nil {
		t.Fatal(err)
	}
	if err := add(awsKey()); err == nil || !has(err.Error(), "AWS_PROFILE") {
		t.Errorf("beside a profile of an earlier step: %v", err)
	}
}

func TestGitHubFileThatEndsInAValue(t *testing.T) {
	for text, refused := range map[string]bool{
		"": false, "A=1\n": false, "A<<E\nx\nE\n": false, "A<<E\nx\nE": false, "A=1\r\nB<<E\r\nx\r\nE\r\n": false, "A=b<<c": false,
		"A<<E\nx\n": true, "A<<E": true, "A<<E\nE x\n": true,
	} {
		var out bytes.Buffer
		err := runner.Output{Env: token("SECRETEXAMPLE")}.GitHub(file{strings.NewReader(text), &out}, io.Discard)
		if (err != nil) != refused || refused != (out.Len() == 0) {
			t.Errorf("after %q: %v, %q", text, err, &out)
		}
		if begins := strings.HasPrefix(out.String(), "\n"); !refused && begins != (text != "" && !strings.HasSuffix(text, "\n")) {
			t.Errorf("after %q: %q", text, &out)
		}
	}
}
