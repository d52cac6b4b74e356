//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// The keys of a terminal.
const (
	enter     = "\r"
	ctrlC     = "\x03"
	ctrlD     = "\x04"
	ctrlSlash = "\x1c" // Ctrl-\
)

// terminal is a command that runs on a terminal of its own.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	keys   *os.File // the terminal's other end
	before unix.Termios
	output chan []byte // closed when nothing more comes
	seen   []byte      // all of the output so far
	read   int         // how much of seen [terminal.expect] has passed
}

// onTerminal starts forgecroft on a terminal.
func onTerminal(t *testing.T, s *servertest.Server, args ...string) *terminal {
	t.Helper()
	p := &terminal{t: t, cmd: exec.Command("forgecroft", args...), output: make(chan []byte, 64)}
	home := t.TempDir()
	p.cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "FORGECROFT_API_URL=" + s.URL, "FORGECROFT_API_KEY=" + s.OwnerKey}
	keys, screen, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	p.keys = keys
	p.before = p.settings()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = screen, screen, screen
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = keys.Close()
	})
	if err := screen.Close(); err != nil { // The last reader learns of the command's end by it.
		t.Fatal(err)
	}
	go func() {
		defer close(p.output)
		for {
			some := make([]byte, 4096)
			n, err := keys.Read(some)
			if err != nil {
				return
			}
			p.output <- some[:n]
		}
	}()
	return p
}

// settings are the terminal's.
func (p *terminal) settings() unix.Termios {
	p.t.Helper()
	raw, err := p.keys.SyscallConn() // Fd would make reads block for good.
	if err != nil {
		p.t.Fatal(err)
	}
	var s *unix.Termios
	if failed := raw.Control(func(fd uintptr) { s, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }); failed != nil || err != nil {
		p.t.Fatal(failed, err)
	}
	return *s
}

// expect waits for a text.
func (p *terminal) expect(text string) {
	p.t.Helper()
	for {
		if at := bytes.Index(p.seen[p.read:], []byte(text)); at >= 0 {
			p.read += at + len(text)
			return
		}
		some, open := <-p.output
		if !open {
			p.t.Fatalf("waiting for %q, got\n%s", text, p.seen)
		}
		p.seen = append(p.seen, some...)
	}
}

// answer waits for a prompt, and types.
func (p *terminal) answer(prompt, keys string) {
	p.t.Helper()
	p.expect(prompt)
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end, with an exit code, and with the terminal as it was.
func (p *terminal) ends(code int) {
	p.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if got := p.settings(); got != p.before {
		p.t.Errorf("the terminal has the settings %+v now, it had %+v", got, p.before)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		for len(p.output) > 0 {
			p.seen = append(p.seen, <-p.output...)
		}
		p.t.Errorf("got exit code %d, want %d:\n%s", got, code, p.seen)
	}
}

// TestPromptsOfEveryType answers every prompt of set-secrets, for every type that the server knows.
func TestPromptsOfEveryType(t *testing.T) {
	s := servertest.MustStart(t, nil)
	s.Cloudflare.AddToken(fakecloudflare.Token{Value: cloudflareToken, ID: "0123456789abcdef0123456789abcdef"})
	key, err := s.GCP.CreateAccount("deploy", "example-project")
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	type step struct{ prompt, keys string }
	const hidden = " (not shown): "
	conversations := map[string]struct { // by type
		steps  []step
		fields []string // stored, defaults included
	}{
		"aws_static": {[]step{
			{"access_key_id: ", "AKIAIOSFODNN7EXAMPLE" + enter},
			{"secret_access_key" + hidden, awsSecret + enter},
			{"session_token, empty if there is none" + hidden, enter},
		}, []string{"access_key_id", "secret_access_key"}},
		"aws_assume_role":      {[]step{{"role_arn: ", "arn:aws:iam::123456789012:role/deploy" + enter}}, []string{"duration_seconds", "role_arn"}},
		"gcp_service_account":  {[]step{{"path of the file with the service_account_key: ", keyFile + enter}}, []string{"delivery", "project", "service_account_key"}},
		"cloudflare_api_token": {[]step{{"api_token" + hidden, cloudflareToken + enter}}, []string{"api_token"}},
		"generic_env": {[]step{
			{"name of a variable, empty when done: ", "TF_VAR_one" + enter},
			{"TF_VAR_one" + hidden, envSecret + enter},
			{"name of a variable, empty when done: ", enter},
		}, []string{"TF_VAR_one"}},
	}
	types, err := s.Owner.CredentialTypes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range types.Items {
		t.Run(kind.Name, func(t *testing.T) {
			conversation, known := conversations[kind.Name]
			if !known {
				t.Fatal("this type has no conversation here: add one")
			}
			config, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: kind.Name, CredentialType: kind.Name})
			if err != nil {
				t.Fatal(err)
			}
			p := onTerminal(t, s, "credential", "set-secrets", kind.Name)
			for _, step := range conversation.steps {
				p.answer(step.prompt, step.keys)
			}
			p.expect("Stored version 1")
			p.ends(0)
			config, err = s.Owner.CredentialConfig(t.Context(), config.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(slices.Values(config.Fields)); !slices.Equal(got, conversation.fields) {
				t.Errorf("got fields %q, want %q", got, conversation.fields)
			}
			for _, secret := range []string{awsSecret, cloudflareToken, envSecret} {
				if bytes.Contains(p.seen, []byte(secret)) {
					t.Errorf("the screen shows a secret:\n%s", p.seen)
				}
			}
		})
	}
}

// TestTemporaryKeysAtPrompts types a session token, which is longer than other answers.
func TestTemporaryKeysAtPrompts(t *testing.T) {
	s := servertest.MustStart(t, nil)
	config, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "temporary", CredentialType: "aws_static"})
	if err != nil {
		t.Fatal(err)
	}
	p := onTerminal(t, s, "credential", "set-secrets", "temporary")
	p.answer("access_key_id: ", "ASIAIOSFODNN7EXAMPLE"+enter)
	p.answer("secret_access_key (not shown): ", awsSecret+enter)
	p.answer("session_token, empty if there is none (not shown): ", strings.Repeat("EXAMPLEtoken/+", 100)+"=="+enter)
	p.expect("Stored version 1")
	p.ends(0)
	if config, err = s.Owner.CredentialConfig(t.Context(), config.ID); err != nil || len(config.Fields) != 3 {
		t.Errorf("got fields %q and %v, want three", config.Fields, err)
	}
}

// TestLeavingPrompts leaves each kind of prompt in each way.
func TestLeavingPrompts(t *testing.T) {
	s := servertest.MustStart(t, nil)
	if _, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "aws", CredentialType: "aws_static"}); err != nil {
		t.Fatal(err)
	}
	prompts := map[string]struct {
		args []string
		last string // the prompt that is left
	}{
		"a visible answer": {[]string{"credential", "set-secrets", "aws"}, "access_key_id: "},
		"a hidden answer":  {[]string{"login", s.URL}, "API key (not shown): "},
		"a question":       {[]string{"credential", "delete", "aws"}, "Type yes to go on: "},
	}
	for name, prompt := range prompts {
		for way, keys := range map[string]string{"Ctrl-C": ctrlC, "Ctrl-D": ctrlD, `Ctrl-\`: ctrlSlash, "Ctrl-C after a few letters": "abc" + ctrlC} {
			t.Run(name+", "+way, func(t *testing.T) {
				p := onTerminal(t, s, prompt.args...)
				p.answer(prompt.last, keys)
				p.expect("forgecroft: interrupted")
				p.ends(130)
				if bytes.Contains(p.seen, []byte("goroutine ")) || bytes.Contains(p.seen, []byte("rip ")) {
					t.Errorf("the screen shows stacks or registers:\n%s", p.seen)
				}
			})
		}
		t.Run(name+", SIGTERM", func(t *testing.T) {
			p := onTerminal(t, s, prompt.args...)
			p.answer(prompt.last, "")
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			p.expect("forgecroft: interrupted")
			p.ends(143)
		})
	}
	if configs, err := s.Owner.CredentialConfigs(t.Context(), sdk.ListOptions{}); err != nil || len(configs.Items) != 1 {
		t.Errorf("got %d credential configs and %v, want the one that was not deleted", len(configs.Items), err)
	}
}

// TestLostFields replaces a version by one with fewer fields.
func TestLostFields(t *testing.T) {
	s := servertest.MustStart(t, nil)
	config, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "settings", CredentialType: "generic_env"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Owner.StoreSecrets(t.Context(), config.ID, sdk.StoreSecrets{Data: map[string]json.RawMessage{"TF_VAR_one": json.RawMessage(`"EXAMPLE"`), "TF_VAR_two": json.RawMessage(`"EXAMPLE"`)}})
	if err != nil {
		t.Fatal(err)
	}
	fewer := filepath.Join(t.TempDir(), "fewer.env")
	if err := os.WriteFile(fewer, []byte("TF_VAR_two=EXAMPLE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		answer  string
		code    int
		version int64
	}{{"no", 1, 1}, {"yes", 0, 2}} {
		p := onTerminal(t, s, "credential", "set-secrets", "settings", "--from", fewer)
		p.expect(`The new version of "settings" will not have these fields of version 1: TF_VAR_one.`)
		p.answer("Type yes to go on: ", test.answer+enter)
		p.ends(test.code)
		if config, err = s.Owner.CredentialConfig(t.Context(), config.ID); err != nil || config.SecretVersion != test.version {
			t.Errorf("after %q: got version %d and %v, want %d", test.answer, config.SecretVersion, err, test.version)
		}
	}
}

// TestAnswerTooLong types more than a prompt keeps: half a secret must not be stored.
func TestAnswerTooLong(t *testing.T) {
	s := servertest.MustStart(t, nil)
	config, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "long", CredentialType: "cloudflare_api_token"})
	if err != nil {
		t.Fatal(err)
	}
	p := onTerminal(t, s, "credential", "set-secrets", "long")
	p.answer("api_token (not shown): ", strings.Repeat("EXAMPLEtoken", 400)+enter)
	p.expect("the api_token is longer than a prompt takes")
	p.ends(2)
	if config, err = s.Owner.CredentialConfig(t.Context(), config.ID); err != nil || config.SecretVersion != 0 {
		t.Errorf("got version %d and %v, want none stored", config.SecretVersion, err)
	}
}

// TestInterruptedRequest interrupts a command that waits for an answer.
func TestInterruptedRequest(t *testing.T) {
	asked := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer slow.Close()
	p := onTerminal(t, &servertest.Server{URL: slow.URL, OwnerKey: "fc_live_EXAMPLE"}, "whoami")
	<-asked
	if _, err := p.keys.WriteString(ctrlC); err != nil {
		t.Fatal(err)
	}
	p.expect("forgecroft: interrupted")
	p.ends(130)
}
