//go:build unix

package embedded_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// newRingText makes the text of a ring of one key, and its id.
func newRingText(t testing.TB) (text, id string) {
	t.Helper()
	ring, err := envelope.GenerateRing()
	if err != nil {
		t.Fatal(err)
	}
	return string(ring.Format()), ring.Primary()
}

func mustWrite(t testing.TB, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// hashes are the files of a directory. The index of the log, which SQLite rebuilds at every start, does not count.
func (h home) hashes(t testing.TB) map[string][32]byte {
	t.Helper()
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string][32]byte{} // name → content
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "-shm") {
			sums[e.Name()] = sha256.Sum256(mustRead(t, filepath.Join(h.dir, e.Name())))
		}
	}
	return sums
}

// snapshot copies a directory as a crash would leave it. Nothing may write to it meanwhile.
func (h home) snapshot(t testing.TB) home {
	t.Helper()
	copied := newHome(t)
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "-shm") {
			mustWrite(t, filepath.Join(copied.dir, e.Name()), mustRead(t, filepath.Join(h.dir, e.Name())), 0o600)
		}
	}
	return copied
}

// mustRefuse opens a vault that must be refused with a message, without any change.
func mustRefuse(t *testing.T, h home, o embedded.Options, want ...string) {
	t.Helper()
	before := h.hashes(t)
	v, err := embedded.Open(t.Context(), o)
	if err == nil {
		_ = v.Close()
		t.Fatal("the vault opened")
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want it to say %q", err, text)
		}
	}
	if diff := cmp.Diff(before, h.hashes(t)); diff != "" {
		t.Errorf("the refused start changed files (-before +after):\n%s", diff)
	}
}

// TestUnusableKeys is KEY-1: a key that is none makes no vault and opens none.
func TestUnusableKeys(t *testing.T) {
	good, _ := newRingText(t)
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "holds no key"},
		{"passphrase", "correct horse battery staple", "not a key"},
		{"cut off", strings.TrimSpace(good)[:len(good)-9], "key"},
		{"twice", good + good, "twice"},
		{"too long", strings.Repeat("# EXAMPLE\n", 10_000), "at most"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fresh := newHome(t)
			mustWrite(t, fresh.key(), []byte(test.text), 0o600)
			mustRefuse(t, fresh, fresh.options(), test.want)

			used := newHome(t)
			mustClose(t, mustOpen(t, used.options()))
			mustWrite(t, used.key(), []byte(test.text), 0o600)
			mustRefuse(t, used, used.options(), test.want, "is sealed with")
			mustRefuse(t, used, embedded.Options{Path: used.vault(), Keys: embedded.TextKeys(test.text)}, test.want)
		})
	}
}

// TestWrongKey is KEY-2, for a vault that was stopped and for one that crashed.
func TestWrongKey(t *testing.T) {
	wrong, wrongID := newRingText(t)
	for _, test := range []struct {
		name    string
		secrets int
		crashed bool
	}{
		{"empty vault", 0, false},
		{"stopped", 3, false},
		{"crashed", 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			v := mustOpen(t, h.options())
			for range test.secrets {
				vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
			}
			keys, err := v.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.crashed {
				h = h.snapshot(t)
			} else {
				mustClose(t, v)
			}
			if _, err := os.Stat(h.vault() + "-wal"); (err == nil) != test.crashed {
				t.Fatalf("looking at the log: %v; only a crash leaves one", err)
			}
			right := mustRead(t, h.key())
			mustWrite(t, h.key(), []byte(wrong), 0o600)
			mustRefuse(t, h, h.options(), "wrong key", keys[0].ID, wrongID, h.key())

			if err := os.Remove(h.key()); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, h, h.options(), keys[0].ID, "no such file", h.key())

			mustWrite(t, h.key(), right, 0o600)
			mustClose(t, mustOpen(t, h.options()))
		})
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	h := newHome(t)
	mustClose(t, mustOpen(t, h.options()))
	first := mustRead(t, h.key())
	info, err := os.Stat(h.key())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file has mode %v, %v, want 0600", info.Mode(), err)
	}
	mustClose(t, mustOpen(t, h.options()))
	if !bytes.Equal(first, mustRead(t, h.key())) {
		t.Error("the second start changed the key file")
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "*.new*")); len(left) > 0 {
		t.Errorf("unfinished files are left: %v", left)
	}
}

// TestFileModes is ENC-9 for the files of this package.
func TestFileModes(t *testing.T) {
	for _, test := range []struct {
		name string
		mode os.FileMode
		path func(h home) string
	}{
		{"vault for others", 0o604, home.vault},
		{"vault for the group", 0o640, home.vault},
		{"vault to be written by the group", 0o620, home.vault},
		{"key for others", 0o604, home.key},
		{"key for the group", 0o640, home.key},
		{"directory for others", 0o705, func(h home) string { return h.dir }},
		{"directory for the group", 0o710, func(h home) string { return h.dir }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			mustClose(t, mustOpen(t, h.options()))
			if err := os.Chmod(test.path(h), test.mode); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, h, h.options(), "chmod", test.path(h))
		})
	}
}

func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for name, path := range map[string]func(h home) string{"vault": home.vault, "key": home.key} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			mustClose(t, mustOpen(t, h.options()))
			if err := os.Chown(path(h), 65534, 65534); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, h, h.options(), "belongs to user 65534", path(h))
		})
	}
}

func TestFilesArePrivate(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	if _, err := v.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("the directory has %d files, %v, want the vault, its log, its index and the key", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v, want 0600", e.Name(), info.Mode(), err)
		}
	}
}

// TestKeySources opens one vault with its ring from everywhere (KEY-8).
func TestKeySources(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	mustClose(t, v)
	text := mustRead(t, h.key())
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.key(), link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		source   func(t *testing.T) embedded.KeySource
		readOnly bool
	}{
		{"file", func(*testing.T) embedded.KeySource { return embedded.FileKeys(h.key()) }, false},
		{"link to the file", func(*testing.T) embedded.KeySource { return embedded.FileKeys(link) }, false},
		{"text", func(t *testing.T) embedded.KeySource { return embedded.TextKeys(string(text)) }, true},
		{"descriptor", func(t *testing.T) embedded.KeySource { return descriptor(t, text) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := test.source(t)
			v := mustOpen(t, embedded.Options{Path: h.vault(), Keys: source, MustExist: true})
			defer mustClose(t, v)
			vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
			if err := v.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			if strings.Contains(source.String(), "fck1_") {
				t.Error("the name of the source shows a key")
			}
			if !test.readOnly {
				return
			}
			_, err := v.Rotate(t.Context())
			wantCode(t, err, forgecroft.KindUnprocessable, "key_source_read_only")
		})
	}
}

// descriptor makes a key source of a pipe.
func descriptor(t *testing.T, text []byte) embedded.KeySource {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(r.Fd())) // one that no *os.File of this process closes
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	source, err := embedded.FDKeys(uintptr(inherited))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestDescriptorThatIsNotOpen(t *testing.T) {
	if _, err := embedded.FDKeys(987); err == nil || !strings.Contains(err.Error(), "987") {
		t.Errorf("got %v, want that descriptor 987 cannot be read", err)
	}
}

func TestReadOnlySourceMakesNoKey(t *testing.T) {
	h := newHome(t)
	text, id := newRingText(t)
	v := mustOpen(t, embedded.Options{Path: h.vault(), Keys: embedded.TextKeys(text)})
	keys, err := v.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]forgecroft.RingKey{{ID: id, Primary: true}}, keys); diff != "" {
		t.Errorf("a new vault with a given ring (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(h.key()); !errors.Is(err, os.ErrNotExist) {
		t.Error("a key file was made beside a given ring")
	}
}

// wantCode fails the test unless the error has a kind and a code.
func wantCode(t *testing.T, err error, kind forgecroft.Kind, code string) {
	t.Helper()
	var e *forgecroft.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Errorf("got %v, want %s with code %s", err, kind, code)
	}
}
