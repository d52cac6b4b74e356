//go:build unix

package operator_test

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFirstStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.mustStart(t, nil)
	for path, want := range map[string]fs.FileMode{p.data(): 0o700, p.keyFile(): 0o600, p.ownerKey(): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", path, info, err, want)
		}
	}
	files := mustReadDir(t, p.data())
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", f.Name(), info, err)
		}
	}
	key := mustRead(t, p.ownerKey())
	if text := s.Said(); strings.Contains(text, strings.TrimSpace(string(key))) {
		t.Errorf("the owner key is in a file and shown too:\n%s", text)
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("stopping ended with %d", code)
	}
	again := p.mustStart(t, nil)
	if diff := cmp.Diff(string(key), string(mustRead(t, p.ownerKey()))); diff != "" {
		t.Errorf("the second start changed the owner key (-first +second):\n%s", diff)
	}
	if _, err := again.client.Whoami(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLoginIsLeftOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.mustStart(t, nil, "--login")
	config := filepath.Join(p.dir, ".config", "forgecroft", "config.json")
	if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the profile: %v, %v", info, err)
	}
	if text := string(mustRead(t, config)); !strings.Contains(text, s.URL) {
		t.Errorf("the profile does not lead to %s", s.URL)
	}
	s.Stop(syscall.SIGINT)
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	p.mustStart(t, nil, "--login")
	if _, err := os.Stat(config); err == nil {
		t.Error("the second start, which knows no owner key, left a profile")
	}
}

// TestTakenAddress checks that a first start on an address that is taken makes no installation, whose key somebody would have to find again.
func TestTakenAddress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	out := p.mustRun(t, 1, append([]string{"server", "--listen", listener.Addr().String()}, p.settings()...)...)
	if _, err := os.Stat(p.ownerKey()); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("an owner key is there (%v), or nothing says why:\n%s", err, out)
	}
	p.mustStart(t, nil)
	if _, err := os.Stat(p.ownerKey()); err != nil {
		t.Errorf("the next start is not a first one: %v", err)
	}
}

// TestKeysAreNotInTheEnvironment looks at what the kernel shows of the process (KEY-8).
func TestKeysAreNotInTheEnvironment(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.mustStart(t, nil).Stop(syscall.SIGTERM)
	ring := mustRead(t, p.keyFile())
	s := p.mustStart(t, []string{"FORGECROFT_KEY=" + string(ring)})
	for _, file := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.Cmd.Process.Pid, file))
		if os.IsNotExist(err) {
			t.Skip("this machine has no /proc")
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "FORGECROFT_KEY=") || strings.Contains(string(text), secretLine(ring)) {
			t.Errorf("/proc/PID/%s shows the keys", file)
		}
	}
	if _, err := s.client.Whoami(t.Context()); err != nil {
		t.Error(err)
	}
}

// secretLine is the line of a key ring that holds the primary key.
func secretLine(ring []byte) string {
	for line := range strings.Lines(string(ring)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return string(ring)
}

func TestStartIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(t *testing.T, p place)
		more   []string
		says   string
		writes bool // something of the installation may change before the refusal
	}{
		{"another key", func(t *testing.T, p place) { replace(t, p.keyFile(), newRing(t)) }, nil, "key", false},
		{"no key", func(t *testing.T, p place) { mustRemove(t, p.keyFile()) }, nil, "vault.key", false},
		{"the metadata is missing", func(t *testing.T, p place) { mustRemove(t, filepath.Join(p.data(), "metadata.db")) }, nil, "metadata", false},
		{"the vault is missing", func(t *testing.T, p place) { mustRemove(t, filepath.Join(p.data(), "vault.db")) }, nil, "vault", false},
		{"a data directory for all", func(t *testing.T, p place) { mustChmod(t, p.data(), 0o755) }, nil, "0700", false},
		{"a database for the group", func(t *testing.T, p place) { mustChmod(t, filepath.Join(p.data(), "metadata.db"), 0o640) }, nil, "0600", false},
		{"a key for all", func(t *testing.T, p place) { mustChmod(t, p.keyFile(), 0o604) }, nil, "0600", false},
		{"plain HTTP to everybody", func(*testing.T, place) {}, []string{"--listen", "0.0.0.0:0"}, "--tls-cert", false},
		{"a certificate without its key", func(*testing.T, place) {}, []string{"--tls-cert", "x"}, "go together", false},
		{"a port that is none", func(*testing.T, place) {}, []string{"--listen", "127.0.0.1:99999"}, "listen", true},
		{"a provider's endpoint that is no URL", func(*testing.T, place) {}, []string{"--aws-sts-endpoint", "ftp://x"}, "aws-sts-endpoint", false},
		{"a provider's endpoint in the clear", func(*testing.T, place) {}, []string{"--gcp-token-url", "http://192.0.2.1/token"}, "gcp-token-url", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			s := p.mustStart(t, nil)
			s.mustFill(t)
			s.Stop(syscall.SIGTERM)
			tt.spoil(t, p)
			before := contents(t, p.data())
			cmd := p.command(nil, append(append([]string{"server"}, p.settings()...), tt.more...)...)
			watchdog := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }) // One that starts would serve for ever.
			defer watchdog.Stop()
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.says) {
				t.Errorf("%v; it should fail and name %q:\n%s", err, tt.says, out)
			}
			if strings.Contains(string(out), "goroutine ") {
				t.Errorf("a stack trace:\n%s", out)
			}
			if diff := cmp.Diff(before, contents(t, p.data())); diff != "" && !tt.writes {
				t.Errorf("the refused start wrote (-before +after):\n%s", diff)
			}
		})
	}
}

// newRing makes a key ring that fits nothing.
func newRing(t *testing.T) []byte {
	t.Helper()
	p := newPlace(t)
	p.mustStart(t, nil).Stop(syscall.SIGTERM)
	return mustRead(t, p.keyFile())
}

func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mustChmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// contents are the files of a directory with all that is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, f := range mustReadDir(t, dir) {
		all[f.Name()] = fmt.Sprintf("%x", mustRead(t, filepath.Join(dir, f.Name())))
	}
	return all
}

// TestSecondProcess starts two servers on one data directory (DUR-20).
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.mustStart(t, nil)
	for _, args := range [][]string{{"server", "--listen", "127.0.0.1:0"}, {"server", "fsck"}, {"server", "recover-owner"}} {
		out := p.mustRun(t, 1, append(args, p.settings()...)...)
		if !strings.Contains(out, p.data()) || !strings.Contains(out, "another") {
			t.Errorf("forgecroft %s does not say that another server runs there:\n%s", strings.Join(args, " "), out)
		}
	}
	if s.status(t, "/readyz") != 200 {
		t.Error("the first server suffered")
	}
}

// TestOwnerKeyFileExists checks that a first start overwrites no file: it may hold the key of another installation.
func TestOwnerKeyFileExists(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const other = "fc_live_of_another_installation\n"
	if err := os.WriteFile(p.ownerKey(), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	out := p.mustRun(t, 1, append([]string{"server", "--listen", "127.0.0.1:0", "--owner-key-file", p.ownerKey()}, p.settings()...)...)
	if got := string(mustRead(t, p.ownerKey())); got != other {
		t.Errorf("the file holds %q now", got)
	}
	if !strings.Contains(out, p.ownerKey()+" exists and is not overwritten") {
		t.Errorf("nothing says which file is in the way:\n%s", out)
	}
	mustRemove(t, p.ownerKey())
	s := p.mustStart(t, nil)
	if _, err := s.client.Whoami(t.Context()); err != nil {
		t.Errorf("the next start, with the file moved away: %v", err)
	}
	s.Stop(syscall.SIGTERM)
	lost := string(mustRead(t, p.ownerKey()))
	out = p.mustRun(t, 1, append([]string{"server", "recover-owner", "--owner-key-file", p.ownerKey()}, p.settings()...)...)
	if got := string(mustRead(t, p.ownerKey())); got != lost || !strings.Contains(out, "not overwritten") {
		t.Errorf("recover-owner left %q and said:\n%s", got, out)
	}
}

// TestOwnerKeyOfACutOffStart checks what a start finds of one that was killed after it had written the owner key, and before or after that was committed.
func TestOwnerKeyOfACutOffStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pending := p.ownerKey() + ".pending"
	if err := os.WriteFile(pending, []byte("fc_live_never_committed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := p.mustStart(t, nil) // Before: another key is made.
	if _, err := s.client.Whoami(t.Context()); err != nil {
		t.Error(err)
	}
	s.Stop(syscall.SIGTERM)
	if err := os.Rename(p.ownerKey(), pending); err != nil {
		t.Fatal(err)
	}
	s = p.mustStart(t, nil) // After: the key gets its name.
	if _, err := s.client.Whoami(t.Context()); err != nil {
		t.Error(err)
	}
	s.Stop(syscall.SIGTERM)
	if err := os.WriteFile(pending, []byte("fc_live_never_committed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.mustStart(t, nil) // A key that is none goes, and the good one stays.
	if _, err := os.Stat(pending); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", pending, err)
	}
}
