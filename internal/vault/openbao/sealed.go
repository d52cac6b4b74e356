package openbao

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

var _ forgecroft.SealedVault = (*sealedVault)(nil)

// sealedVault is a vault under an envelope, whose records can be moved without being opened.
type sealedVault struct{ *Vault }

// SealedVault returns the vault as one whose records move sealed, or nil if it has no envelope.
func (v *Vault) SealedVault() forgecroft.SealedVault {
	if v.ring == nil {
		return nil
	}
	return &sealedVault{v}
}

// Canaries implements [forgecroft.SealedVault].
func (v *sealedVault) Canaries(context.Context) (map[string][]byte, error) {
	if v.closing.Load() {
		return nil, closed()
	}
	var m marker
	err := m.note(v.ring)
	return m.Keys, err
}

// Sealed implements [forgecroft.SealedVault]. It passes by the cache, which a backup would only churn.
func (v *sealedVault) Sealed(ctx context.Context, ref forgecroft.Reference) ([]byte, error) {
	if err := v.usable(ctx, ref); err != nil {
		return nil, err
	}
	found, err := v.readStored(ctx, ref, true)
	switch {
	case errors.Is(err, errDeleted):
		return nil, forgecroft.NotFound("secret version")
	case err != nil:
		return nil, fmt.Errorf("reading a sealed secret version: %w", err)
	}
	return found.Sealed, nil
}

// PutSealed implements [forgecroft.SealedVault]. All records are looked at before the first one is stored.
func (v *sealedVault) PutSealed(ctx context.Context, records []forgecroft.SealedRecord) error {
	refs := make([]forgecroft.Reference, len(records))
	byReference := map[forgecroft.Reference]forgecroft.SealedRecord{}
	for i, r := range records {
		if err := v.usable(ctx, r.Reference); err != nil {
			return err
		}
		plaintext, err := v.ring.Open(bound(r.Binding), r.Sealed)
		if err != nil {
			return unsealable(err)
		}
		clear(plaintext)
		refs[i], byReference[r.Reference] = r.Reference, r
	}
	slices.Sort(refs)
	return inParallel(slices.Compact(refs), censusReaders, func(ref forgecroft.Reference) error { return v.putSealed(ctx, byReference[ref]) })
}

// putSealed stores one record.
func (v *sealedVault) putSealed(ctx context.Context, r forgecroft.SealedRecord) error {
	d := document{Organization: r.Binding.OrganizationID, Credential: r.Binding.CredentialConfigID, Version: r.Binding.Version, Sealed: r.Sealed}
	a, _, err := v.write(ctx, v.data(r.Reference), 0, d)
	switch {
	case err != nil:
		return fmt.Errorf("storing a sealed secret version: %w", err)
	case a.ok():
		return nil
	case a.status != http.StatusBadRequest:
		return fmt.Errorf("storing a sealed secret version: %w", v.client.refusal(ctx, request{secret: true}, a))
	}
	found, err := v.readStored(ctx, r.Reference, true)
	switch {
	case err == nil && bytes.Equal(found.Sealed, r.Sealed):
		return nil
	case err == nil, errors.Is(err, errDeleted), errors.Is(err, forgecroft.KindIntegrity):
		return exists()
	case errors.Is(err, forgecroft.KindNotFound):
		return fmt.Errorf("storing a sealed secret version: %w", v.client.refusal(ctx, request{secret: true}, a))
	default:
		return fmt.Errorf("reading back a sealed secret version: %w", err)
	}
}
