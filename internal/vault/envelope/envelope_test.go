package envelope_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

var binding = envelope.Binding{Organization: "org", Credential: "credential", Version: 3}

// plaintext is what the tests seal.
var plaintext = []byte(`{"secret_access_key":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}`)

func newRing(t testing.TB) *envelope.Ring {
	t.Helper()
	ring, err := envelope.GenerateRing()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func seal(t testing.TB, ring *envelope.Ring, b envelope.Binding, plaintext []byte) []byte {
	t.Helper()
	blob, err := ring.Seal(b, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func TestRoundTrip(t *testing.T) {
	ring := newRing(t)
	rapid.Check(t, func(rt *rapid.T) {
		b := envelope.Binding{Organization: rapid.String().Draw(rt, "org"), Credential: rapid.String().Draw(rt, "credential"), Version: rapid.Uint64().Draw(rt, "version")}
		want := rapid.SliceOf(rapid.Byte()).Draw(rt, "plaintext")
		got, err := ring.Open(b, seal(t, ring, b, want))
		if err != nil || !bytes.Equal(got, want) {
			rt.Fatalf("got %q, %v, want %q", got, err, want)
		}
	})
}

// TestEveryBitCounts flips each bit of a blob of over 512 bytes (ENC-6).
func TestEveryBitCounts(t *testing.T) {
	ring := newRing(t)
	blob := seal(t, ring, binding, bytes.Repeat([]byte("x"), 512))
	for i := range len(blob) * 8 {
		changed := bytes.Clone(blob)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := ring.Open(binding, changed); err == nil {
			t.Fatalf("bit %d can be flipped", i)
		}
	}
}

func TestTruncationsAndAdditions(t *testing.T) {
	ring := newRing(t)
	blob := seal(t, ring, binding, plaintext)
	for n := range blob {
		if _, err := ring.Open(binding, blob[:n]); err == nil {
			t.Errorf("the first %d bytes opened", n)
		}
	}
	if _, err := ring.Open(binding, append(bytes.Clone(blob), 0)); !errors.Is(err, envelope.ErrIntegrity) {
		t.Errorf("with a byte added: got %v", err)
	}
}

// TestBindings opens every blob with every other's binding (ENC-3, ENC-4, ENC-5).
func TestBindings(t *testing.T) {
	ring := newRing(t)
	var bindings []envelope.Binding
	for _, parts := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}, {"ab", "d"}, {"ab\x00", "c"}, {"org", "credential"}} {
		for version := range uint64(4) {
			bindings = append(bindings, envelope.Binding{Organization: parts[0], Credential: parts[1], Version: version})
		}
	}
	for i, b := range bindings {
		blob := seal(t, ring, b, plaintext)
		for j, other := range bindings {
			_, err := ring.Open(other, blob)
			if i == j && err != nil {
				t.Errorf("%+v does not open: %v", b, err)
			}
			if i != j && !errors.Is(err, envelope.ErrIntegrity) {
				t.Errorf("%+v opened as %+v: %v", b, other, err)
			}
		}
	}
}

func TestAllSealsDiffer(t *testing.T) {
	ring := newRing(t)
	seen := map[string]bool{} // nonce or wrapped key → was there
	for range 20_000 {
		blob := seal(t, ring, binding, plaintext)
		for _, part := range [][]byte{blob[10:22], blob[22:70], blob[70:82], blob[82:]} {
			if seen[string(part)] {
				t.Fatal("two seals share a nonce, a wrapped key or a ciphertext")
			}
			seen[string(part)] = true
		}
	}
}

func TestUnknownFormats(t *testing.T) {
	ring := newRing(t)
	for i, want := range map[int]error{0: envelope.ErrFormat, 1: envelope.ErrFormat} {
		for _, value := range []byte{0, 2, 0xff} {
			blob := seal(t, ring, binding, plaintext)
			blob[i] = value
			if _, err := ring.Open(binding, blob); !errors.Is(err, want) {
				t.Errorf("byte %d = %d: got %v, want %v", i, value, err, want)
			}
		}
	}
	var unknown *envelope.UnknownKeyError
	if _, err := newRing(t).Open(binding, seal(t, ring, binding, plaintext)); !errors.As(err, &unknown) || unknown.KeyID != ring.Primary() {
		t.Errorf("another ring: got %v, want the unknown key %s", err, ring.Primary())
	}
}

// TestRotations seals under six keys in turn: all blobs stay readable, and re-wrapping moves them (KEY-3).
func TestRotations(t *testing.T) {
	ring := newRing(t)
	first := ring.Primary()
	var blobs [][]byte
	for i := range 6 {
		blobs = append(blobs, seal(t, ring, binding, fmt.Append(nil, i)))
		next, err := ring.WithNewPrimary()
		if err != nil {
			t.Fatal(err)
		}
		ring.Replace(next)
	}
	for i, blob := range blobs {
		moved, changed, err := ring.Rewrap(binding, blob)
		if err != nil || !changed {
			t.Fatalf("blob %d: changed %v, %v", i, changed, err)
		}
		if id, _ := envelope.KeyID(moved); id != ring.Primary() {
			t.Errorf("blob %d is sealed with %s after the move, not with the primary %s", i, id, ring.Primary())
		}
		for _, b := range [][]byte{blob, moved} {
			if got, err := ring.Open(binding, b); err != nil || string(got) != fmt.Sprint(i) {
				t.Errorf("blob %d: got %q, %v", i, got, err)
			}
		}
		if _, changed, err := ring.Rewrap(binding, moved); changed || err != nil {
			t.Errorf("blob %d moved twice: %v", i, err)
		}
		if _, _, err := ring.Rewrap(envelope.Binding{Organization: "other"}, blob); !errors.Is(err, envelope.ErrIntegrity) {
			t.Errorf("blob %d moved for another binding: %v", i, err)
		}
	}
	smaller, err := ring.Without(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := smaller.Open(binding, blobs[0]); err == nil {
		t.Error("a blob opened without its key")
	}
	if _, err := ring.Without(ring.Primary()); err == nil {
		t.Error("the primary key left")
	}
	if _, err := ring.Without("0000000000000000"); err == nil {
		t.Error("a key left that was not there")
	}
}

func TestCanary(t *testing.T) {
	ring, other := newRing(t), newRing(t)
	canary, err := ring.Canary(ring.Primary())
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.CheckCanary(ring.Primary(), canary); err != nil {
		t.Errorf("the right canary: %v", err)
	}
	canary[0]++
	if err := ring.CheckCanary(ring.Primary(), canary); !errors.Is(err, envelope.ErrIntegrity) {
		t.Errorf("a wrong canary: %v", err)
	}
	if err := other.CheckCanary(ring.Primary(), canary); err == nil {
		t.Error("a ring without the key took its canary")
	}
}

func TestRingText(t *testing.T) {
	ring := newRing(t)
	bigger, err := ring.WithNewPrimary()
	if err != nil {
		t.Fatal(err)
	}
	text := bigger.Format()
	parsed, err := envelope.ParseRing(text)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(parsed.Format(), text) || parsed.Primary() != bigger.Primary() {
		t.Error("a ring that was written and read differs")
	}
	windows := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	if parsed, err = envelope.ParseRing(append([]byte("\n  \n"), windows...)); err != nil || parsed.Primary() != bigger.Primary() {
		t.Errorf("with other line ends: %v", err)
	}
	if got, err := parsed.Open(binding, seal(t, ring, binding, plaintext)); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("a parsed ring opens: %q, %v", got, err)
	}
}

// keyLine writes a key with the check that belongs to it.
func keyLine(t *testing.T, secret []byte) string {
	t.Helper()
	sum := sha256.Sum256(append([]byte("forgecroft key v1\n"), secret...))
	return "fck1_" + base64.RawURLEncoding.EncodeToString(secret) + "_" + hex.EncodeToString(sum[:4])
}

// TestBadKeys is KEY-1: keys that must not start a server.
func TestBadKeys(t *testing.T) {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	good := keyLine(t, random)
	if _, err := envelope.ParseRing([]byte(good)); err != nil {
		t.Fatalf("a good key: %v", err)
	}
	tests := []struct{ name, text, want string }{
		{"empty file", "", "holds no key"},
		{"only comments", "# fck1_\n\n", "holds no key"},
		{"all zero", keyLine(t, make([]byte, 32)), "not random"},
		{"one byte repeated", keyLine(t, bytes.Repeat([]byte{0xaa}, 32)), "not random"},
		{"two bytes repeated", keyLine(t, bytes.Repeat([]byte{0xaa, 0x55}, 16)), "not random"},
		{"half repeated", keyLine(t, append(bytes.Clone(random[:16]), random[:16]...)), "not random"},
		{"passphrase", keyLine(t, []byte("The quick-brown FOX jumps 0x129!")), "passphrase"},
		{"passphrase as it is", "correct horse battery staple", "not a key"},
		{"cut off", good[:len(good)-1], "cut off"},
		{"cut off in the middle", good[:20], "cut off"},
		{"something added", good + "x", "cut off"},
		{"mistyped", good[:10] + string(good[10]^1) + good[11:], ""},
		{"wrong check", good[:len(good)-8] + "00000000", "check"},
		{"bad character", good[:10] + "!" + good[11:], "character"},
		{"raw bytes", string(random), "not a key"},
		{"hexadecimal", hex.EncodeToString(random), "not a key"},
		{"base64", base64.StdEncoding.EncodeToString(random), "not a key"},
		{"twice", good + "\n" + good, "twice"},
		{"two keys on a line", good + " " + good, "cut off"},
		{"quoted", `"` + good + `"`, "not a key"},
		{"too long", strings.Repeat("#", 65<<10), "at most"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := envelope.ParseRing([]byte(test.text))
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want it to say %q", err, test.want)
			}
			if secret := base64.RawURLEncoding.EncodeToString(random); strings.Contains(err.Error(), secret[:12]) || strings.Contains(err.Error(), "quick") || strings.Contains(err.Error(), "horse") {
				t.Errorf("the message repeats the key: %v", err)
			}
		})
	}
}

func TestEmptyRing(t *testing.T) {
	var ring envelope.Ring
	if _, err := ring.Seal(binding, plaintext); err == nil {
		t.Error("an empty ring sealed")
	}
	if ring.Primary() != "" || len(ring.IDs()) != 0 {
		t.Error("an empty ring has keys")
	}
}

func FuzzOpen(f *testing.F) {
	ring := newRing(f)
	blob := seal(f, ring, binding, plaintext)
	f.Add(blob)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, changed []byte) {
		got, err := ring.Open(binding, changed)
		if err == nil && !bytes.Equal(changed, blob) && !bytes.Equal(got, plaintext) {
			t.Errorf("a forged blob opened as %q", got)
		}
		if err != nil && got != nil {
			t.Error("an error with a partial value")
		}
	})
}

func FuzzParseRing(f *testing.F) {
	f.Add(newRing(f).Format())
	f.Add([]byte("fck1_"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := envelope.ParseRing(text)
		if err != nil {
			return
		}
		again, err := envelope.ParseRing(ring.Format())
		if err != nil || !bytes.Equal(again.Format(), ring.Format()) {
			t.Errorf("a ring does not survive being written: %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	ring := newRing(b)
	text := bytes.Repeat([]byte("x"), 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Seal(binding, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	ring := newRing(b)
	blob := seal(b, ring, binding, bytes.Repeat([]byte("x"), 300))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Open(binding, blob); err != nil {
			b.Fatal(err)
		}
	}
}
