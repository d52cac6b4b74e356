package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// Binding is what a blob belongs to. It is authenticated, not stored: whoever opens a blob says what it must belong to.
type Binding struct {
	Organization string
	Credential   string
	Version      uint64
}

// The failures of opening a blob. None of them holds bytes of it.
var (
	// ErrIntegrity says that the blob, or what it is bound to, is not what was sealed.
	ErrIntegrity = errors.New("the sealed secret fails authentication: it was changed, moved, or belongs to something else")
	// ErrFormat says that the bytes are no blob of a format that this version knows.
	ErrFormat = errors.New("the sealed secret has an unknown format")
)

// UnknownKeyError says that a blob is sealed with a key that is not in the ring.
type UnknownKeyError struct{ KeyID string }

// Error implements error.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("the key %s is not in the key ring", e.KeyID)
}

// A blob, version 1, algorithm 1 (AES-256-GCM for both layers, NIST SP 800-38D, random 96-bit nonces):
//
//	offset  length  content
//	     0       1  format version, 1
//	     1       1  algorithm, 1
//	     2       8  key id: the first 8 bytes of the key's fingerprint
//	    10      12  nonce of the wrapped data key
//	    22      48  data key, wrapped: 32 bytes and a tag of 16
//	    70      12  nonce of the content
//	    82  n + 16  content, and its tag
//
// Associated data of the content:      lp(context) lp(organization) lp(credential) version
// Associated data of the wrapped key:  lp(context) lp(organization) lp(credential) version key-id
//
// with lp(x) the length of x in 8 bytes, big-endian, and x itself; version has 8 bytes. The contexts name the format, the
// algorithm and the layer. The key id is bound to the wrapped key alone, so that re-wrapping leaves the content as it is.
const (
	formatVersion = 1
	algorithmGCM  = 1

	keyIDBytes = 8
	nonceBytes = 12
	tagBytes   = 16
	keyBytes   = 32

	headerBytes  = 2 + keyIDBytes
	wrapOffset   = headerBytes
	wrapBytes    = nonceBytes + keyBytes + tagBytes
	bodyOffset   = wrapOffset + wrapBytes
	minBlobBytes = bodyOffset + nonceBytes + tagBytes
)

// The context strings of the two layers.
const (
	contentContext = "forgecroft vault content v1 AES-256-GCM"
	wrapContext    = "forgecroft vault data key v1 AES-256-GCM"
)

// associated builds the associated data of a layer into buffer.
func associated(buffer []byte, context string, b Binding) []byte {
	for _, part := range [...]string{context, b.Organization, b.Credential} {
		buffer = binary.BigEndian.AppendUint64(buffer, uint64(len(part)))
		buffer = append(buffer, part...)
	}
	return binary.BigEndian.AppendUint64(buffer, b.Version)
}

// Seal encrypts plaintext under a new data key, wrapped by the ring's primary key.
func (r *Ring) Seal(b Binding, plaintext []byte) ([]byte, error) {
	primary := r.primaryKey()
	if primary == nil {
		return nil, errors.New("the key ring is empty")
	}
	var dataKey [keyBytes]byte
	defer clear(dataKey[:])
	rand.Read(dataKey[:])

	blob := make([]byte, 0, minBlobBytes+len(plaintext))
	blob = append(blob, formatVersion, algorithmGCM)
	blob = append(blob, primary.rawID[:]...)
	blob = primary.wrapKey(blob, b, dataKey[:])

	content, err := newGCM(dataKey[:])
	if err != nil {
		return nil, err
	}
	return sealRandom(content, blob, plaintext, associated(make([]byte, 0, 192), contentContext, b)), nil
}

// Open decrypts a blob that was sealed for the binding. Its failures are [ErrFormat], [*UnknownKeyError] and [ErrIntegrity].
func (r *Ring) Open(b Binding, blob []byte) ([]byte, error) {
	key, err := r.keyOf(blob)
	if err != nil {
		return nil, err
	}
	var buffer [keyBytes]byte
	defer clear(buffer[:])
	dataKey, err := key.unwrapKey(buffer[:0], b, blob)
	if err != nil {
		return nil, err
	}
	content, err := newGCM(dataKey)
	if err != nil {
		return nil, err
	}
	nonce, body := blob[bodyOffset:bodyOffset+nonceBytes], blob[bodyOffset+nonceBytes:]
	var space [192]byte
	plaintext, err := content.Open(nil, nonce, body, associated(space[:0], contentContext, b))
	if err != nil {
		return nil, ErrIntegrity
	}
	return plaintext, nil
}

// Rewrap wraps a blob's data key by the primary key. It returns the blob itself, and false, if that is so already. The
// content is not opened, but the data key is, so a blob that does not belong to the binding is refused.
func (r *Ring) Rewrap(b Binding, blob []byte) ([]byte, bool, error) {
	key, err := r.keyOf(blob)
	if err != nil {
		return nil, false, err
	}
	primary := r.primaryKey()
	if key == primary {
		return blob, false, nil
	}
	var buffer [keyBytes]byte
	defer clear(buffer[:])
	dataKey, err := key.unwrapKey(buffer[:0], b, blob)
	if err != nil {
		return nil, false, err
	}
	moved := make([]byte, 0, len(blob))
	moved = append(moved, formatVersion, algorithmGCM)
	moved = append(moved, primary.rawID[:]...)
	moved = primary.wrapKey(moved, b, dataKey)
	return append(moved, blob[bodyOffset:]...), true, nil
}

// KeyID tells which key a blob is sealed with, without opening it.
func KeyID(blob []byte) (string, error) {
	if err := checkHeader(blob); err != nil {
		return "", err
	}
	return formatID(blob[2:headerBytes]), nil
}

// checkHeader refuses what this version cannot read: it never tries another format.
func checkHeader(blob []byte) error {
	if len(blob) < minBlobBytes || blob[0] != formatVersion || blob[1] != algorithmGCM {
		return ErrFormat
	}
	return nil
}

// keyOf finds the key that a blob is sealed with.
func (r *Ring) keyOf(blob []byte) (*key, error) {
	if err := checkHeader(blob); err != nil {
		return nil, err
	}
	for _, k := range r.snapshot() {
		if string(k.rawID[:]) == string(blob[2:headerBytes]) {
			return k, nil
		}
	}
	return nil, &UnknownKeyError{formatID(blob[2:headerBytes])}
}

// wrapKey appends nonce and wrapped data key.
func (k *key) wrapKey(blob []byte, b Binding, dataKey []byte) []byte {
	aad := append(associated(make([]byte, 0, 192), wrapContext, b), k.rawID[:]...)
	return sealRandom(k.wrap, blob, dataKey, aad)
}

// unwrapKey opens the data key of a blob into buffer.
func (k *key) unwrapKey(buffer []byte, b Binding, blob []byte) ([]byte, error) {
	var space [192]byte
	aad := append(associated(space[:0], wrapContext, b), k.rawID[:]...)
	nonce, wrapped := blob[wrapOffset:wrapOffset+nonceBytes], blob[wrapOffset+nonceBytes:bodyOffset]
	dataKey, err := k.wrap.Open(buffer, nonce, wrapped, aad)
	if err != nil {
		return nil, ErrIntegrity
	}
	return dataKey, nil
}

// sealRandom appends a random nonce and the sealed plaintext.
func sealRandom(aead cipher.AEAD, to, plaintext, aad []byte) []byte {
	var nonce [nonceBytes]byte
	rand.Read(nonce[:])
	return aead.Seal(append(to, nonce[:]...), nonce[:], plaintext, aad)
}

// newGCM makes AES-256-GCM of a 32-byte key.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
