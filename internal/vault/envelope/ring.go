package envelope

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// The purposes for which keys are derived from a key-encryption key (HKDF-SHA-256, RFC 5869). The key itself encrypts nothing.
const (
	purposeWrap        = "forgecroft key ring v1 wrap data keys"
	purposeCanary      = "forgecroft key ring v1 canary"
	purposeFingerprint = "forgecroft key ring v1 fingerprint"
)

// key is one key-encryption key with what is derived from it.
type key struct {
	secret [keyBytes]byte
	rawID  [keyIDBytes]byte
	id     string
	wrap   cipher.AEAD
	canary []byte
}

// newKey derives what a key is used for.
func newKey(secret [keyBytes]byte) (*key, error) {
	fingerprint, err := hkdf.Key(sha256.New, secret[:], nil, purposeFingerprint, keyIDBytes)
	if err != nil {
		return nil, err
	}
	wrapKey, err := hkdf.Key(sha256.New, secret[:], nil, purposeWrap, keyBytes)
	if err != nil {
		return nil, err
	}
	canary, err := hkdf.Key(sha256.New, secret[:], nil, purposeCanary, keyBytes)
	if err != nil {
		return nil, err
	}
	k := &key{secret: secret, id: formatID(fingerprint), canary: canary}
	copy(k.rawID[:], fingerprint)
	k.wrap, err = newGCM(wrapKey)
	clear(wrapKey)
	return k, err
}

// formatID writes a key id.
func formatID(raw []byte) string { return hex.EncodeToString(raw) }

// Ring is a set of key-encryption keys, the first of which is primary: it seals, all of them open. A key's id is its fingerprint, safe to publish, so
// keys that were mixed up are noticed. A Ring is safe for concurrent use. The zero value is empty and seals nothing.
type Ring struct {
	keys atomic.Pointer[[]*key] // replaced as a whole, never changed; the primary first
}

// snapshot returns the keys as they are now.
func (r *Ring) snapshot() []*key {
	if keys := r.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// primaryKey returns the key that seals, or nil.
func (r *Ring) primaryKey() *key {
	if keys := r.snapshot(); len(keys) > 0 {
		return keys[0]
	}
	return nil
}

// Primary is the id of the primary key, or "".
func (r *Ring) Primary() string {
	if k := r.primaryKey(); k != nil {
		return k.id
	}
	return ""
}

// IDs lists the ids of all keys, the primary's first.
func (r *Ring) IDs() []string {
	keys := r.snapshot()
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.id
	}
	return ids
}

// Has reports whether a key is in the ring.
func (r *Ring) Has(id string) bool { return slices.Contains(r.IDs(), id) }

// WithNewPrimary returns a ring with a new random primary key before the keys of r.
func (r *Ring) WithNewPrimary() (*Ring, error) {
	var secret [keyBytes]byte
	rand.Read(secret[:])
	defer clear(secret[:])
	k, err := newKey(secret)
	if err != nil {
		return nil, err
	}
	return ringOf(append([]*key{k}, r.snapshot()...)), nil
}

// Without returns a ring without a key. The primary cannot go.
func (r *Ring) Without(id string) (*Ring, error) {
	switch {
	case id == r.Primary():
		return nil, errors.New("the primary key cannot leave the key ring")
	case !r.Has(id):
		return nil, &UnknownKeyError{id}
	}
	keys := slices.DeleteFunc(slices.Clone(r.snapshot()), func(k *key) bool { return k.id == id })
	return ringOf(keys), nil
}

// Replace gives r the keys of another ring, for everybody who uses it.
func (r *Ring) Replace(with *Ring) { r.keys.Store(with.keys.Load()) }

// ringOf makes a ring of keys.
func ringOf(keys []*key) *Ring {
	r := &Ring{}
	r.keys.Store(&keys)
	return r
}

// Canary is a value that only the holder of a key can compute. Stored beside what the key seals, it tells a wrong key before anything is opened
// or written.
func (r *Ring) Canary(id string) ([]byte, error) {
	for _, k := range r.snapshot() {
		if k.id == id {
			mac := hmac.New(sha256.New, k.canary)
			mac.Write([]byte("forgecroft canary v1\n" + id))
			return mac.Sum(nil), nil
		}
	}
	return nil, &UnknownKeyError{id}
}

// CheckCanary checks a stored canary of a key, in constant time.
func (r *Ring) CheckCanary(id string, stored []byte) error {
	want, err := r.Canary(id)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, stored) {
		return fmt.Errorf("the canary of key %s does not fit: %w", id, ErrIntegrity)
	}
	return nil
}
