package apikey_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/apikey"
)

const id = "0192f3a0-1234-7000-8000-00000000000a"

func mint(t testing.TB) string {
	t.Helper()
	raw, err := apikey.Mint(rand.Reader, id)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestFormat(t *testing.T) {
	raw := mint(t)
	if want := regexp.MustCompile(`^fc_live_[0-9a-f]{32}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$`); !want.MatchString(raw) {
		t.Errorf("the key %q does not match %v", raw, want)
	}
	key, err := apikey.Parse(raw)
	if err != nil || key.ID != id {
		t.Errorf("Parse: got %v, %v, want id %s", key, err, id)
	}
	if hint := apikey.Hint(raw); hint != "fc_live_…0000000a" || strings.Contains(hint, raw[41:]) {
		t.Errorf("Hint: got %q", hint)
	}
	if other := mint(t); other == raw {
		t.Error("two keys are the same")
	}
}

// TestKnownKey pins the format down: keys that are out in the world must stay valid.
func TestKnownKey(t *testing.T) {
	raw, err := apikey.Mint(bytes.NewReader(bytes.Repeat([]byte{0xff}, 32)), id)
	if err != nil {
		t.Fatal(err)
	}
	const want = "fc_live_0192f3a012347000800000000000000a_" // 2^256-1 in base62, then the checksum
	if !strings.HasPrefix(raw, want) {
		t.Errorf("got %q, want it to begin with %q", raw, want)
	}
	if zero, _ := apikey.Mint(bytes.NewReader(make([]byte, 32)), id); !strings.HasPrefix(zero, want+strings.Repeat("0", 43)) {
		t.Errorf("32 zero bytes: got %q", zero)
	}
}

func TestRefusals(t *testing.T) {
	raw := mint(t)
	tests := map[string]string{
		"empty": "", "prefix alone": "fc_live_", "other prefix": "fc_test_" + raw[8:], "cut off": raw[:len(raw)-1], "longer": raw + "A",
		"upper-case id": strings.ToUpper(raw[:40]) + raw[40:], "space": " " + raw[1:], "NUL": raw[:50] + "\x00" + raw[51:], "quoted": `"` + raw[1:],
		"unicode": raw[:50] + "é" + raw[52:], "not a key": strings.Repeat("x", len(raw)),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := apikey.Parse(text); err != apikey.ErrFormat {
				t.Errorf("got %v, want ErrFormat", err)
			}
		})
	}
	for _, id := range []string{"", "x", strings.ToUpper(id) + "0", strings.ReplaceAll(id, "-", "")} {
		if _, err := apikey.Mint(rand.Reader, id); err == nil {
			t.Errorf("minted a key for the id %q", id)
		}
	}
	if _, err := apikey.Mint(bytes.NewReader(nil), id); err == nil {
		t.Error("minted a key without randomness")
	}
}

// TestEveryTypingErrorIsSeen changes one character at each place.
func TestEveryTypingErrorIsSeen(t *testing.T) {
	raw := mint(t)
	for i := range raw {
		for _, c := range []byte("0aZ_") {
			if raw[i] == c {
				continue
			}
			if _, err := apikey.Parse(raw[:i] + string(c) + raw[i+1:]); err == nil {
				t.Errorf("character %d changed to %q was accepted", i, c)
			}
		}
	}
}

func TestMatches(t *testing.T) {
	raw, other := mint(t), mint(t)
	if !apikey.Matches(apikey.Hash(raw), raw) {
		t.Error("a key does not match its own hash")
	}
	if apikey.Matches(apikey.Hash(other), raw) || apikey.Matches(apikey.DummyHash(), raw) || apikey.Matches(nil, raw) {
		t.Error("a key matches another hash")
	}
}

// TestNoiseIsNoKey scans base64 noise the way a scanner of leaked secrets would.
func TestNoiseIsNoKey(t *testing.T) {
	noise := make([]byte, 4<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(noise)
	length := len(mint(t))
	for i := 0; i+length <= len(text); i++ {
		if _, err := apikey.Parse(text[i : i+length]); err == nil {
			t.Fatalf("noise was taken for a key: %q", text[i:i+length])
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		raw, err := apikey.Mint(bytes.NewReader(secret), id)
		if err != nil {
			t.Fatal(err)
		}
		if key, err := apikey.Parse(raw); err != nil || key.ID != id {
			t.Fatalf("Parse(%q): got %v, %v", raw, key, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(mint(f))
	f.Add("fc_live_")
	f.Fuzz(func(t *testing.T, raw string) {
		key, err := apikey.Parse(raw)
		if err == nil && (len(key.ID) != 36 || strings.ReplaceAll(key.ID, "-", "") != raw[8:40]) {
			t.Errorf("Parse(%q) gave the id %q", raw, key.ID)
		}
	})
}
