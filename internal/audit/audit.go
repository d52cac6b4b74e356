// Package audit signs and verifies the audit trail. The chain itself (how events link) is in the vocabulary, because both
// databases build it; this package holds what needs a key: signed checkpoints, and the verification of a whole trail.
//
// A trail proves itself in two steps. The hash chain shows that no event was edited, dropped, inserted or moved. A checkpoint that
// was kept off the machine shows that the chain was not cut off at its end, or built anew.
package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Signer signs checkpoints with Ed25519 (RFC 8032).
type Signer struct {
	private ed25519.PrivateKey
}

// NewSigner makes a signer from a seed of 32 bytes.
func NewSigner(seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("a checkpoint seed has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	return &Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public is the key that verifies the signer's checkpoints.
func (s *Signer) Public() ed25519.PublicKey { return s.private.Public().(ed25519.PublicKey) }

// Sign makes a checkpoint of a head at one time, which is cut to whole seconds.
func (s *Signer) Sign(head forgecroft.AuditHead, at time.Time) forgecroft.AuditCheckpoint {
	c := forgecroft.AuditCheckpoint{
		OrganizationID: head.OrganizationID,
		Sequence:       head.Sequence,
		Hash:           head.Hash,
		Time:           at.UTC().Truncate(time.Second),
		KeyID:          KeyID(s.Public()),
	}
	c.Signature = ed25519.Sign(s.private, Statement(c))
	return c
}

// KeyID names a public key: the first 8 bytes of its SHA-256, in hex.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// Statement is the text that a checkpoint signs, one item a line:
//
//	forgecroft audit checkpoint v1
//	organization id
//	sequence, decimal
//	hash, base64
//	time, RFC 3339 in UTC, whole seconds
func Statement(c forgecroft.AuditCheckpoint) []byte {
	return []byte(strings.Join([]string{
		"forgecroft audit checkpoint v1", c.OrganizationID, fmt.Sprint(c.Sequence),
		base64.StdEncoding.EncodeToString(c.Hash[:]), c.Time.UTC().Format(time.RFC3339), "",
	}, "\n"))
}

// VerifyCheckpoint checks the signature of a checkpoint.
func VerifyCheckpoint(public ed25519.PublicKey, c forgecroft.AuditCheckpoint) error {
	if c.KeyID != KeyID(public) {
		return fmt.Errorf("the checkpoint at event %d was signed by key %s, not by %s", c.Sequence, c.KeyID, KeyID(public))
	}
	if !ed25519.Verify(public, Statement(c), c.Signature) {
		return fmt.Errorf("the signature of the checkpoint at event %d is wrong", c.Sequence)
	}
	return nil
}
