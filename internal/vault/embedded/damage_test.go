//go:build unix

package embedded_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// tamper runs SQL on a closed vault file, as somebody who can write the disk does.
func tamper(t *testing.T, h home, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", h.vault())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSwappedRows is ENC-3 and ENC-5 in the file: whatever is exchanged between rows, which are two versions of one credential config here, does
// not open.
func TestSwappedRows(t *testing.T) {
	a := forgecroft.Binding{OrganizationID: "org_a", CredentialConfigID: "cc_a", Version: 1}
	b := a
	b.Version = 2
	for _, test := range []struct {
		name       string
		statements []string
	}{
		{"blobs exchanged", []string{
			`CREATE TEMP TABLE old AS SELECT id, sealed FROM secret`,
			`UPDATE secret SET sealed = (SELECT sealed FROM old WHERE old.id <> secret.id)`,
		}},
		{"references exchanged", []string{
			`CREATE TEMP TABLE old AS SELECT id, reference FROM secret`,
			`UPDATE secret SET reference = id`,
			`UPDATE secret SET reference = (SELECT reference FROM old WHERE old.id <> secret.id)`,
		}},
		{"cut off", []string{`UPDATE secret SET sealed = substr(sealed, 1, length(sealed) - 1)`}},
		{"emptied", []string{`UPDATE secret SET sealed = x''`}},
		{"another format", []string{`UPDATE secret SET sealed = CAST(x'02' || substr(sealed, 2) AS BLOB)`}},
		{"another key", []string{`UPDATE secret SET sealed = CAST(substr(sealed, 1, 2) || x'0102030405060708' || substr(sealed, 11) AS BLOB)`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			v := mustOpen(t, h.options())
			refs := map[forgecroft.Reference]forgecroft.Binding{ // reference → what it belongs to
				vaulttest.MustPut(t, v, a, "EXAMPLE one"): a, vaulttest.MustPut(t, v, b, "EXAMPLE two"): b,
			}
			mustClose(t, v)
			tamper(t, h, test.statements...)
			v = mustOpen(t, h.options())
			for ref, binding := range refs {
				if got, err := v.Get(t.Context(), ref, binding); !errors.Is(err, forgecroft.KindIntegrity) || !got.IsZero() {
					t.Errorf("version %d: got %v, want an integrity failure and no value", binding.Version, err)
				}
			}
			if err := v.Check(t.Context()); err != nil {
				t.Errorf("one bad row took the vault down: %v", err)
			}
		})
	}
}

func TestIntegrity(t *testing.T) {
	for _, test := range []struct{ name, statement string }{
		{"blob of another key", `UPDATE secret SET sealed = CAST(substr(sealed, 1, 2) || x'0102030405060708' || substr(sealed, 11) AS BLOB) WHERE id = 1`},
		{"no blob at all", `UPDATE secret SET sealed = x'00' WHERE id = 1`},
		{"key that nobody knows", `UPDATE secret SET key_id = '0000000000000000' WHERE id = 1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			v := mustOpen(t, h.options())
			for range 3 {
				vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
			}
			if err := v.Integrity(t.Context()); err != nil {
				t.Fatalf("a sound file: %v", err)
			}
			mustClose(t, v)
			tamper(t, h, test.statement)
			v = mustOpen(t, h.options())
			if err := v.Integrity(t.Context()); !errors.Is(err, forgecroft.KindIntegrity) {
				t.Errorf("got %v, want an integrity failure", err)
			}
		})
	}
}

// TestRewrapPassesDamage moves what is sound and reports the rest.
func TestRewrapPassesDamage(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	var refs []forgecroft.Reference
	for range 10 {
		refs = append(refs, vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE"))
	}
	mustClose(t, v)
	tamper(t, h, `UPDATE secret SET version = 99 WHERE id IN (1, 2)`)
	v = mustOpen(t, h.options())
	mustRotate(t, v)
	var left int64
	var err error
	for range 10 {
		if left, err = v.Rewrap(t.Context(), 2); err != nil {
			break
		}
	}
	if left != 2 || !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("got %d left, %v, want 2 and an integrity failure", left, err)
	}
	for _, ref := range refs { // The rows' own note of the binding was wrong, not the blobs.
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	}
}

// TestBadFiles is DUR-21: what is not a whole vault file is refused as it is.
func TestBadFiles(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(content []byte) []byte
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, "empty, cut off"},
		{"half a header", func(c []byte) []byte { return c[:50] }, "empty, cut off"},
		{"one page", func(c []byte) []byte { return c[:4096] }, "its header says"},
		{"last byte missing", func(c []byte) []byte { return c[:len(c)-1] }, "its header says"},
		{"a text", func([]byte) []byte { return bytes.Repeat([]byte("EXAMPLE\n"), 1000) }, "no SQLite database"},
		{"another application", func(c []byte) []byte { return slices.Replace(c, 68, 72, 1, 2, 3, 4) }, "application id"},
		{"newer format", func(c []byte) []byte { return slices.Replace(c, 60, 64, 0, 0, 0, 2) }, "use the newer one"},
		{"pages of zeros", func(c []byte) []byte { clear(c[4096:]); return c }, "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			v := mustOpen(t, h.options())
			vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
			mustClose(t, v)
			mustWrite(t, h.vault(), test.damage(mustRead(t, h.vault())), 0o600)
			mustRefuse(t, h, h.options(), test.want)
		})
	}
}

// TestRandomDamage writes random bytes into the file: whatever comes of it, no other value is read, and nothing panics.
func TestRandomDamage(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	var refs []forgecroft.Reference
	for i := range 50 {
		refs = append(refs, vaulttest.MustPut(t, v, versionOf(i), fmt.Sprint("EXAMPLE ", i)))
	}
	mustClose(t, v)
	sound := mustRead(t, h.vault())
	found := 0
	for range 60 {
		damaged := bytes.Clone(sound)
		var where [2]byte
		rand.Read(where[:])
		at := (int(where[0])<<8 | int(where[1])) % (len(damaged) - 16)
		rand.Read(damaged[at : at+16])
		mustWrite(t, h.vault(), damaged, 0o600)
		found += readDamaged(t, h, refs)
	}
	if found == 0 {
		t.Error("no damage was found at all")
	}
}

// versionOf is the binding of the i-th secret: as in an installation, no two are the same. So a pointer of the file that is bent from one to
// another is noticed.
func versionOf(i int) forgecroft.Binding {
	b := vaulttest.Binding()
	b.Version = int64(i + 1)
	return b
}

// readDamaged opens a damaged file, reads everything, and counts the failures.
func readDamaged(t *testing.T, h home, refs []forgecroft.Reference) (failures int) {
	t.Helper()
	v, err := embedded.Open(t.Context(), h.options())
	if err != nil {
		return 1
	}
	defer v.Close()
	for i, ref := range refs {
		got, err := v.Get(t.Context(), ref, versionOf(i))
		if err != nil {
			failures++
		} else if got.Reveal() != fmt.Sprint("EXAMPLE ", i) {
			t.Error("a damaged file gave another value")
		}
	}
	return failures
}

// TestTamperedCanary refuses a file whose note of a key does not fit the key.
func TestTamperedCanary(t *testing.T) {
	for name, statement := range map[string]string{
		"changed": `UPDATE ring_key SET canary = zeroblob(32)`,
		"emptied": `UPDATE ring_key SET canary = x''`,
		"gone":    `DELETE FROM ring_key`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			mustClose(t, mustOpen(t, h.options()))
			tamper(t, h, statement)
			mustRefuse(t, h, h.options(), "damaged")
		})
	}
}

func TestMissingVault(t *testing.T) {
	h := newHome(t)
	o := h.options()
	o.MustExist = true
	mustRefuse(t, h, o, "missing", "restore")

	v := mustOpen(t, h.options())
	vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	crashed := h.snapshot(t)
	if err := os.Remove(crashed.vault()); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, crashed, crashed.options(), "log", "missing")
}

// TestCutOffCreation starts after a crash during the first start.
func TestCutOffCreation(t *testing.T) {
	h := newHome(t)
	for _, name := range []string{"vault.db.new", "vault.db.new-wal", "vault.key.new"} {
		mustWrite(t, filepath.Join(h.dir, name), []byte("unfinished"), 0o600)
	}
	v := mustOpen(t, h.options())
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	if left, _ := filepath.Glob(filepath.Join(h.dir, "*.new*")); len(left) > 0 {
		t.Errorf("unfinished files are left: %v", left)
	}
}

// TestNoPlaintextAtRest is ENC-1 for the files of the vault, the log included.
func TestNoPlaintextAtRest(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	var canaries [][]byte
	for i := range 50 {
		canary := make([]byte, 24+i%40)
		rand.Read(canary)
		canaries = append(canaries, canary)
		ref := vaulttest.MustPut(t, v, vaulttest.Binding(), string(canary))
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), string(canary))
		if i%2 == 0 {
			if err := v.Destroy(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustRotate(t, v)
	mustRewrap(t, v, 7)
	searchCanaries(t, h, canaries)
	mustClose(t, v)
	searchCanaries(t, h, canaries)
}

// searchCanaries looks for canaries in all files, in every usual encoding.
func searchCanaries(t *testing.T, h home, canaries [][]byte) {
	t.Helper()
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content := mustRead(t, filepath.Join(h.dir, e.Name()))
		for _, canary := range canaries {
			for name, form := range encodings(canary) {
				if bytes.Contains(content, form) {
					t.Errorf("%s holds a secret, %s", e.Name(), name)
				}
			}
		}
	}
}

// encodings are the forms in which a text may hide.
func encodings(plain []byte) map[string][]byte {
	reversed := bytes.Clone(plain)
	slices.Reverse(reversed)
	var wide []byte
	for _, unit := range utf16.Encode([]rune(string(plain))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	forms := map[string][]byte{ // name → bytes
		"plain": plain, "the first half": plain[:12], "hex": []byte(hex.EncodeToString(plain)), "reversed": reversed, "UTF-16": wide,
	}
	for offset := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, offset), plain...))
		forms[fmt.Sprint("base64 at offset ", offset)] = []byte(encoded[4 : len(encoded)-4])
	}
	return forms
}

// TestDestroyedLeavesTheFiles looks for the sealed bytes of a destroyed version, after the first idle moment.
func TestDestroyedLeavesTheFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t)
		v, err := embedded.Open(t.Context(), h.options())
		if err != nil {
			t.Fatal(err)
		}
		ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
		if !h.mentions(t, string(ref)) {
			t.Error("the row of a stored version is not in the files: this test would find nothing")
		}
		if err := v.Destroy(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		idle()
		if h.mentions(t, string(ref)) {
			t.Error("the row of a destroyed version is still in the files")
		}
		mustClose(t, v)
	})
}

// mentions reports whether a file of the directory contains a text.
func (h home) mentions(t *testing.T, text string) bool {
	t.Helper()
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return bytes.Contains(mustRead(t, filepath.Join(h.dir, e.Name())), []byte(text))
	})
}

// idle lets the clock of the test run on until the vault has done what it does when nobody calls.
func idle() {
	time.Sleep(time.Second)
	synctest.Wait()
}
