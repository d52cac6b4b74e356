package envelope

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// The text form of a key ring, one key a line, the primary first:
//
//	# comment
//	fck1_<43 characters: the 32 bytes of the key, base64url without padding>_<8 hexadecimal digits: check>
//
// The check is the first 4 bytes of SHA-256 over "forgecroft key v1\n" and the key: it recognises a key that was cut off or mistyped. Blank lines
// and lines that begin with # are skipped.
const keyPrefix = "fck1_"

// maxRingText bounds the text of a ring, maxKeys its keys.
const (
	maxRingText = 64 << 10
	maxKeys     = 100
)

// GenerateRing makes a ring of one random key.
func GenerateRing() (*Ring, error) { return (&Ring{}).WithNewPrimary() }

// ParseRing reads the text form. Its failures name the line and the rule, and never repeat the text.
func ParseRing(text []byte) (*Ring, error) {
	if len(text) > maxRingText {
		return nil, fmt.Errorf("a key ring has at most %d bytes", maxRingText)
	}
	var keys []*key
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxRingText+1)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of the key ring: %w", number, err)
		}
		for _, other := range keys {
			if other.id == k.id {
				return nil, fmt.Errorf("line %d of the key ring: the key %s is there twice", number, k.id)
			}
		}
		keys = append(keys, k)
	}
	switch {
	case lines.Err() != nil:
		return nil, fmt.Errorf("reading the key ring: %w", lines.Err())
	case len(keys) == 0:
		return nil, errors.New("the key ring holds no key")
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("the key ring holds more than %d keys", maxKeys)
	}
	return ringOf(keys), nil
}

// parseKey reads one line.
func parseKey(line string) (*key, error) {
	rest, found := strings.CutPrefix(line, keyPrefix)
	if !found {
		return nil, fmt.Errorf("this is not a key: a key begins with %s; make a ring by letting the server start without a key file", keyPrefix)
	}
	const textLength, checkLength = 43, 8
	if len(rest) != textLength+1+checkLength || rest[textLength] != '_' {
		return nil, fmt.Errorf("the key is cut off or has something added: it has %d characters, not %d", len(line), len(keyPrefix)+textLength+1+checkLength)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(rest[:textLength])
	if err != nil {
		return nil, errors.New("the key has a character that does not belong there")
	}
	var secret [keyBytes]byte
	copy(secret[:], raw)
	clear(raw)
	defer clear(secret[:])
	if keyCheck(secret) != rest[textLength+1:] {
		return nil, errors.New("the check at the end of the key does not fit: the key was mistyped or changed")
	}
	if err := checkEntropy(secret[:]); err != nil {
		return nil, err
	}
	return newKey(secret)
}

// keyCheck is the check at the end of a key.
func keyCheck(secret [keyBytes]byte) string {
	sum := sha256.Sum256(append([]byte("forgecroft key v1\n"), secret[:]...))
	return hex.EncodeToString(sum[:4])
}

// checkEntropy refuses keys that nobody drew at random. Of 32 random bytes fewer than 17 differ with a probability below 10^-9, and all
// are printable with one below 10^-13.
func checkEntropy(secret []byte) error {
	seen := map[byte]bool{} // byte → occurs
	printable := true
	for _, b := range secret {
		seen[b] = true
		printable = printable && b >= ' ' && b <= '~'
	}
	switch {
	case len(seen) < 17:
		return errors.New("the key repeats a few bytes: it is not random")
	case printable:
		return errors.New("the key is a text, such as a passphrase: it is not random")
	}
	return nil
}

// Format writes the text form, which is as secret as the keys.
func (r *Ring) Format() []byte {
	var b bytes.Buffer
	b.WriteString("# The key-encryption keys of a Forgecroft vault, the primary first. Whoever has this file and the vault has all\n" +
		"# secrets; without it the vault is worthless. Keep it, and a copy, apart from the data and its backups.\n")
	for _, k := range r.snapshot() {
		fmt.Fprintf(&b, "# key %s\n%s%s_%s\n", k.id, keyPrefix, base64.RawURLEncoding.EncodeToString(k.secret[:]), keyCheck(k.secret))
	}
	return b.Bytes()
}
