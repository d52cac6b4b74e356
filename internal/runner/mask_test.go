package runner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
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
		"shell":       func(s string) string { return strings.ReplaceAll(s, "'", `'\''`) },
		"hex":         func(s string) string { return hex.EncodeToString([]byte(s)) },
		"upper hex":   func(s string) string { return fmt.Sprintf("%X", s) },
		"base64":      func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
		"base64 url":  func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"json base64": func(s string) string { return strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=") },
	}
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
