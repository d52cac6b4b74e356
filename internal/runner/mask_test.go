//go:build linux

package runner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// encodings are the ways to write a value that are masked.
func encodings() map[string]func(string) string {
	return map[string]func(string) string{
		"as it is":    func(s string) string { return s },
		"json":        func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
		"go":          func(s string) string { q := fmt.Sprintf("%q", s); return q[1 : len(q)-1] },
		"go ascii":    func(s string) string { q := fmt.Sprintf("%+q", s); return q[1 : len(q)-1] },
		"query":       url.QueryEscape,
		"path":        url.PathEscape,
		"lower query": func(s string) string { return lowerPercent(url.QueryEscape(s)) },
		"lower path":  func(s string) string { return lowerPercent(url.PathEscape(s)) },
		"percent":     func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") },
		"shell":       func(s string) string { return strings.ReplaceAll(s, "'", `'\''`) },
		"hex":         func(s string) string { return hex.EncodeToString([]byte(s)) },
		"upper hex":   func(s string) string { return fmt.Sprintf("%X", s) },
		"base64":      func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
		"base64 url":  func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"json base64": func(s string) string { return strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=") },
	}
}

// lowerPercent writes the digits of percent-encoding in lower case.
func lowerPercent(text string) string {
	return regexp.MustCompile(`%[0-9A-F]{2}`).ReplaceAllStringFunc(text, strings.ToLower)
}

// masked is what comes out of a masker for text that comes in parts of some size.
func masked(e sdk.Environment, text string, size int) string {
	var out bytes.Buffer
	write, flush := runner.NewMasker(&out, e)
	for part := range slices.Chunk([]byte(text), max(size, 1)) {
		if n, err := write(part); n != len(part) || err != nil {
			panic(fmt.Sprint(n, err)) // A buffer takes everything.
		}
	}
	if err := flush(); err != nil {
		panic(err)
	}
	return out.String()
}

// token is an environment with one value.
func token(value string) sdk.Environment {
	return sdk.Environment{Env: map[string]string{"TOKEN": value}}
}

func TestMaskHidesEveryForm(t *testing.T) {
	noise := rapid.StringMatching(`[~|# \n\x00\xff]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9'"\\/+&<ü]{6,50}`).Draw(t, "secret")
		before, after := noise.Draw(t, "before"), noise.Draw(t, "after")
		size := rapid.IntRange(1, 80).Draw(t, "size")
		for name, encode := range encodings() {
			text := before + encode(secret) + after + encode(secret) + before
			want := before + "***" + after + "***" + before
			if after == "" || strings.Contains(name, "base64") {
				want = "" // The last digits of base64 may stay.
			}
			got := masked(token(secret), text, size)
			if strings.Contains(got, encode(secret)) || (want != "" && got != want) {
				t.Fatalf("%s: %q masked in parts of %d gives %q, want %q", name, text, size, got, want)
			}
		}
	})
}

func TestMaskBase64WhereverItBegins(t *testing.T) {
	left := regexp.MustCompile(`^[A-Za-z0-9+/_=-]{0,4}\*\*\*[A-Za-z0-9+/_=-]{0,6}$`)
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringN(6, 60, -1).Draw(t, "secret")
		around := rapid.SliceOfN(rapid.Byte(), 0, 2)
		text := slices.Concat(around.Draw(t, "before"), []byte(secret), around.Draw(t, "after"))
		size := rapid.IntRange(1, 80).Draw(t, "size")
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
			if got := masked(token(secret), encoding.EncodeToString(text), size); !left.MatchString(got) {
				t.Fatalf("%q in base64 masked in parts of %d gives %q", text, size, got)
			}
		}
	})
}

func TestMask(t *testing.T) {
	key := "-----BEGIN KEY-----\nEXAMPLEfirst\r\nEXAMPLEsecond\nabc\n-----END KEY-----\n"
	tests := []struct {
		name string
		env  sdk.Environment
		text string
		want string
	}{
		{"nothing to mask", sdk.Environment{}, "text\x00\xff", "text\x00\xff"},
		{"too short", token("short"), "short", "short"},
		{"just long enough", token("longer"), "longer", "***"},
		{"the longest wins", sdk.Environment{Env: map[string]string{"A": "EXAMPLE", "B": "EXAMPLE-long"}}, "EXAMPLE-long EXAMPLE-lon", "*** ***-lon"},
		{"begins again", token("aaaaab"), "aaaaaab aaaaa", "a*** aaaaa"},
		{"PEM armor is public", token(key), "-----BEGIN KEY-----", "-----BEGIN KEY-----"},
		{"each line", token(key), "x EXAMPLEfirst y EXAMPLEsecond abc", "x *** y *** abc"},
		{"all lines", token(key), ">" + key + "<", ">***<"},
		{"a file", sdk.Environment{Files: []sdk.File{{Name: "f", Content: key, Env: "F"}}}, "EXAMPLEsecond", "***"},
		{"one beside the other", token("EXAMPLE"), "EXAMPLEEXAMPLE", "******"},
		{"its beginning alone", token("EXAMPLE"), "EXAMPL", "EXAMPL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.text); size++ {
				if got := masked(tt.env, tt.text, size); got != tt.want {
					t.Fatalf("in parts of %d: %q, want %q", size, got, tt.want)
				}
			}
		})
	}
}

// TestMaskOnlySecrets is a delivery that says which of its variables are secret, and one of an older server that does not.
func TestMaskOnlySecrets(t *testing.T) {
	e := sdk.Environment{Env: map[string]string{"AWS_REGION": "eu-central-1", "AWS_SECRET_ACCESS_KEY": "SECRETEXAMPLE"}, SecretVariables: []string{"AWS_SECRET_ACCESS_KEY"}}
	const text = "eu-central-1 SECRETEXAMPLE"
	if got := masked(e, text, 5); got != "eu-central-1 ***" {
		t.Errorf("masked: %q", got)
	}
	var log bytes.Buffer
	if err := (runner.Output{Env: e}).GitHub(file{strings.NewReader(""), io.Discard}, &log); err != nil || log.String() != "::add-mask::SECRETEXAMPLE\n" {
		t.Errorf("masks: %v, %q", err, &log)
	}
	e.SecretVariables = nil
	if got := masked(e, text, 5); got != "*** ***" {
		t.Errorf("masked, of an older server: %q", got)
	}
	e.SecretVariables = []string{}
	if got := masked(e, text, 5); got != text {
		t.Errorf("masked, without secrets: %q", got)
	}
}

// TestMaskInsideJSON holds the parts of a JSON value to be secret, and its punctuation and names not.
func TestMaskInsideJSON(t *testing.T) {
	settings := "{\n  \"a\": \"longsecretvalue\",\n  \"list\": [1, 1234567, \"other-secret\", \"{\\\"deep\\\": \\\"deep-secret\\\"}\"]\n}"
	google, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "example-project", "client_email": "deploy@example.com",
		"private_key": "-----BEGIN PRIVATE KEY-----\nEXAMPLE/first\nEXAMPLE/second\n-----END PRIVATE KEY-----\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	pretty := strings.ReplaceAll(string(google), ",", ",\n  ")
	tests := []struct{ name, value, text, want string }{
		{"punctuation and names", settings, "{ } a list 1 [1,", "{ } a list 1 [1,"},
		{"strings", settings, "longsecretvalue other-secret deep-secret 1234567", "*** *** *** ***"},
		{"whole", settings, settings, "***"},
		{"a key", string(google), string(google), "***"},
		{"a key's public part", string(google), "service_account example-project deploy@example.com", "service_account example-project deploy@example.com"},
		{"a key's lines", string(google), "EXAMPLE/first EXAMPLE/second", "*** ***"},
		{"a key written in another order", pretty, `{"private_key":"-----BEGIN PRIVATE KEY-----\nEXAMPLE/first\nEXAMPLE/second\n-----END PRIVATE KEY-----\n"}`, `{"private_key":"***"}`},
		{"cut off", `{"a": "longsecret"`, `{"a": "longsecret" longsecret`, "*** longsecret"},
		{"punctuation in lines", "{{{{{{{{\nlongsecret\n--------", "{{{{{{{{ -------- longsecret", "{{{{{{{{ -------- ***"},
		{"punctuation alone is a value", "!@#$%^&*", "!@#$%^&*", "***"},
		{"blanks", "        ", "a        b", "a        b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := masked(token(tt.value), tt.text, 7); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			file := sdk.Environment{Files: []sdk.File{{Name: "f", Content: tt.value, Env: "F"}}, SecretVariables: []string{}}
			if got := masked(file, tt.text, 7); got != tt.want {
				t.Errorf("in a file: %q, want %q", got, tt.want)
			}
		})
	}
}

// TestGitHubMasks holds the masks of a log to whole lines.
func TestGitHubMasks(t *testing.T) {
	var log, notice bytes.Buffer
	e := sdk.Environment{Env: map[string]string{"TF_VAR_settings": "{\n  \"a\": \"longsecretvalue\"\n}", "PIN": "1234"}}
	o := runner.Output{Env: e, Notice: &notice}
	if err := o.GitHub(file{strings.NewReader(""), io.Discard}, &log); err != nil || log.String() != "::add-mask::longsecretvalue\n" {
		t.Errorf("masks: %v, %q", err, &log)
	}
	if notice.String() != "forgecroft: too short to be masked: PIN\n" {
		t.Errorf("notice %q", &notice)
	}
}

// TestMaskDoesNotWait runs a child that leaves a process behind which holds its output.
func TestMaskDoesNotWait(t *testing.T) {
	held, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	// The process behind ends when its input does: when the test closes it, after Run has returned.
	got := run(runner.Command{
		Env: token("SECRETEXAMPLE"), Argv: []string{"/bin/sh", "-c", "exec 3<&0; cat <&3 >&2 & seq 1 20000; echo SECRETEXAMPLE; exit 3"}, Environ: os.Environ(), Stdin: held, Mask: true,
	})
	hold.Close()
	if lines := strings.Count(got.stdout, "\n"); lines != 20001 || !strings.HasSuffix(got.stdout, "\n***\n") || got.code != 3 || got.notice != "" {
		t.Errorf("Run: %d, %v, notice %q, %d lines", got.code, got.err, got.notice, lines)
	}
}

func TestMaskPassesOnAtOnceWhatIsNoSecret(t *testing.T) {
	var out bytes.Buffer
	write, _ := runner.NewMasker(&out, token("EXAMPLE"))
	for _, tt := range []struct{ text, want string }{
		{"Enter a value: ", "Enter a value: "},
		{"EXAM", "Enter a value: "},
		{"ine", "Enter a value: EXAMine"},
		{"EXAMPLE", "Enter a value: EXAMine***"},
	} {
		if _, err := write([]byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.want {
			t.Errorf("after %q: %q, want %q", tt.text, &out, tt.want)
		}
	}
}

func TestMaskedRun(t *testing.T) {
	env := sdk.Environment{Env: map[string]string{"TOKEN": "SECRETEXAMPLE", "PIN": "1234", "NONE": ""}}
	got := run(runner.Command{Env: env, Argv: as("echo", "SECRET", "EXAMPLE ", "SECRET"), Mask: true})
	if got.stdout != "*** SECRET" || got.code != 0 || got.err != nil {
		t.Errorf("Run: %d, %v, %q", got.code, got.err, got.stdout)
	}
	if got.notice != "forgecroft: too short to be masked: PIN\n" {
		t.Errorf("notice %q", got.notice)
	}
	both := run(runner.Command{Env: env, Argv: []string{"/bin/sh", "-c", "echo SECRETEXAMPLE; echo SECRETEXAMPLE >&2; exit 4"}, Mask: true})
	if both.stdout != "***\n***\n" || both.code != 4 {
		t.Errorf("both outputs: %d, %q", both.code, both.stdout)
	}
	if code, err := (runner.Command{Env: env, Argv: as("echo", "x"), Mask: true}).Run(t.Context()); code != 0 || err != nil {
		t.Errorf("without outputs: %d, %v", code, err)
	}
}

func FuzzMask(f *testing.F) {
	f.Add("SECRETEXAMPLE", "a SECRETEXAMPLE b", 3)
	f.Add("line one\nline two", "line one\r\nline two\n", 1)
	f.Add("aaaaaa", "aaaaaaaaaaaaaaaaa", 5)
	f.Fuzz(func(t *testing.T, secret, text string, size int) {
		whole, parts := masked(token(secret), text, len(text)), masked(token(secret), text, size)
		if whole != parts {
			t.Fatalf("in one part %q, in parts of %d %q", whole, size, parts)
		}
		if len(secret) >= 6 && !strings.Contains(secret, "*") && strings.Contains(parts, secret) {
			t.Fatalf("%q is in %q", secret, parts)
		}
		if len(secret) < 6 && parts != text {
			t.Fatalf("%q became %q with nothing to mask", text, parts)
		}
		if stays := strings.Split(parts, "***"); !strings.Contains(text, "*") && !inOrder(text, stays) {
			t.Fatalf("%q became %q: what is not masked must stay", text, parts)
		}
	})
}

// inOrder reports whether text has the parts, one after the other.
func inOrder(text string, parts []string) bool {
	for _, part := range parts {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return true
}
