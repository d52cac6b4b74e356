// Package apikey is the format of API keys: minting, parsing, hashing and comparing them. It does no I/O.
//
// A key looks like this, without the spaces:
//
//	fc_live_ 0192f3a000007000800000000000000a _ <43 characters> <6 characters>
//	prefix   id: a UUID without its dashes      secret          checksum
//
// The secret is 32 random bytes, the checksum a CRC-32 (IEEE) of everything before it, both in base62 of fixed length. The prefix lets scanners of
// leaked secrets recognise a key, the checksum lets everybody refuse a mistyped one without asking a database.
package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strings"
)

// Prefix begins every key.
const Prefix = "fc_live_"

// The lengths of the parts, in characters.
const (
	idLength       = 32
	secretLength   = 43 // 62^43 > 2^256
	checksumLength = 6  // 62^6 > 2^32
	keyLength      = len(Prefix) + idLength + 1 + secretLength + checksumLength
)

// alphabet is base62.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// ErrFormat says that a text is not an API key. It does not say why: the text may be a key with a typing error.
var ErrFormat = errors.New("this is not a Forgecroft API key")

// Key is a parsed key, as far as it may be looked at.
type Key struct {
	ID string // the key's UUID in canonical form
}

// Mint makes a key for an id, a UUID in canonical form, with 32 bytes of random.
func Mint(random io.Reader, id string) (string, error) {
	compact := strings.ReplaceAll(id, "-", "")
	if len(compact) != idLength || canonical(compact) != id {
		return "", fmt.Errorf("minting an API key: %q is not a UUID in canonical form", id)
	}
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", fmt.Errorf("minting an API key: %w", err)
	}
	body := Prefix + compact + "_" + base62(secret[:], secretLength)
	clear(secret[:])
	return body + checksum(body), nil
}

// Parse reads a key and checks its checksum. Any failure is [ErrFormat].
func Parse(raw string) (Key, error) {
	if len(raw) != keyLength || !strings.HasPrefix(raw, Prefix) || raw[len(Prefix)+idLength] != '_' {
		return Key{}, ErrFormat
	}
	body, sum := raw[:keyLength-checksumLength], raw[keyLength-checksumLength:]
	if checksum(body) != sum {
		return Key{}, ErrFormat
	}
	id := raw[len(Prefix) : len(Prefix)+idLength]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Key{}, ErrFormat
		}
	}
	for i := len(Prefix) + idLength + 1; i < len(body); i++ {
		if strings.IndexByte(alphabet, body[i]) < 0 {
			return Key{}, ErrFormat
		}
	}
	return Key{ID: canonical(id)}, nil
}

// Hash is what is stored of a key: SHA-256 of all of it. The key has 256 random bits, so a slow hash would add nothing.
func Hash(raw string) []byte {
	sum := sha256.Sum256([]byte(raw))
	return sum[:]
}

// DummyHash is compared with when a key is not known, so that this takes as long as with one that is. No key has it.
func DummyHash() []byte { return make([]byte, sha256.Size) }

// Matches reports whether a key has the hash, in constant time.
func Matches(hash []byte, raw string) bool {
	return subtle.ConstantTimeCompare(hash, Hash(raw)) == 1
}

// Hint is the part of a key that may be shown, to recognise it by: the prefix and the end of the id, which is random.
func Hint(raw string) string {
	end := len(Prefix) + idLength
	if len(raw) < end {
		return ""
	}
	return Prefix + "…" + raw[end-8:end]
}

// canonical puts the dashes of a UUID into 32 hexadecimal digits.
func canonical(compact string) string {
	return compact[:8] + "-" + compact[8:12] + "-" + compact[12:16] + "-" + compact[16:20] + "-" + compact[20:]
}

// checksum is the CRC-32 of a text in base62.
func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	text := make([]byte, checksumLength)
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = alphabet[sum%62]
		sum /= 62
	}
	return string(text)
}

// base62 writes bytes as a number of fixed length.
func base62(b []byte, length int) string {
	number, base, digit := new(big.Int).SetBytes(b), big.NewInt(62), new(big.Int)
	text := make([]byte, length)
	for i := len(text) - 1; i >= 0; i-- {
		number.DivMod(number, base, digit)
		text[i] = alphabet[digit.Int64()]
	}
	return string(text)
}
