package embedded

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

var _ forgecroft.SealedVault = (*Vault)(nil)

// Canaries implements [forgecroft.SealedVault].
func (v *Vault) Canaries(context.Context) (map[string][]byte, error) {
	if v.closing.Load() {
		return nil, closed()
	}
	canaries := map[string][]byte{} // key id → canary
	for _, id := range v.ring.IDs() {
		canary, err := v.ring.Canary(id)
		if err != nil {
			return nil, err
		}
		canaries[id] = canary
	}
	return canaries, nil
}

// Sealed implements [forgecroft.SealedVault]. It passes by the cache, which a backup would only churn.
func (v *Vault) Sealed(ctx context.Context, ref forgecroft.Reference) ([]byte, error) {
	if err := v.usable(ref); err != nil {
		return nil, err
	}
	var blob []byte
	err := v.selectSealed.QueryRowContext(ctx, string(ref)).Scan(&blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, forgecroft.NotFound("secret version")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a sealed secret version: %w", v.fault(err))
	}
	return blob, nil
}

// PutSealed implements [forgecroft.SealedVault], in one transaction.
func (v *Vault) PutSealed(ctx context.Context, records []forgecroft.SealedRecord) error {
	keyIDs := make([]string, len(records))
	for i, r := range records {
		if err := v.usable(r.Reference); err != nil {
			return err
		}
		plaintext, err := v.ring.Open(bound(r.Binding), r.Sealed)
		if err != nil {
			return unsealable(err)
		}
		clear(plaintext)
		if keyIDs[i], err = envelope.KeyID(r.Sealed); err != nil {
			return unsealable(err)
		}
	}
	return v.writer.do(ctx, &change{apply: func(s *statements) (refusal, failure error) {
		for i, r := range records {
			if failure := putSealed(s, r, keyIDs[i]); failure != nil {
				return nil, failure
			}
		}
		return nil, nil
	}})
}

// putSealed stores one record. A conflict is a failure, because the others of the transaction must not stay without it.
func putSealed(s *statements, r forgecroft.SealedRecord, keyID string) error {
	n, err := s.exec(s.insert, string(r.Reference), r.Binding.OrganizationID, r.Binding.CredentialConfigID, r.Binding.Version, keyID, r.Sealed)
	if err != nil || n == 1 {
		return err
	}
	var found []byte
	if err := s.conn.QueryRowContext(context.Background(), sqlSelectSealed, string(r.Reference)).Scan(&found); err != nil {
		return err
	}
	if !bytes.Equal(found, r.Sealed) {
		return forgecroft.Errorf(forgecroft.KindConflict, "reference_exists", "The vault has something else under this reference already.")
	}
	return nil
}
