package store

import (
	"context"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// storedVerification is a result of a verification as JSON. Its names are part of the schema.
type storedVerification struct {
	Valid              bool      `json:"valid"`
	Conclusive         bool      `json:"conclusive"`
	Identity           string    `json:"identity,omitempty"`
	Error              string    `json:"error,omitempty"`
	Detail             string    `json:"detail,omitempty"`
	ExternalIDEnforced *bool     `json:"external_id_enforced,omitempty"`
	Warnings           []string  `json:"warnings,omitempty"`
	ExpiresAt          time.Time `json:"expires_at,omitzero"`
	CheckedAt          time.Time `json:"checked_at"`
	SecretVersion      int64     `json:"secret_version"`
	MayPass            bool      `json:"-"`
}

// scanVerification reads a result; NULL is nil.
func scanVerification(r *row) *forgecroft.Verification {
	var s *storedVerification
	r.json(&s)
	if s == nil {
		return nil
	}
	return (*forgecroft.Verification)(s)
}

// encodeVerification is how a result is stored.
func encodeVerification(v *forgecroft.Verification) any {
	if v == nil {
		return nil
	}
	stored := storedVerification(*v)
	stored.CheckedAt = stored.CheckedAt.UTC().Truncate(time.Microsecond)
	stored.ExpiresAt = stored.ExpiresAt.UTC().Truncate(time.Microsecond)
	return encode(stored)
}

// verificationVersion is the secret version that a result is about.
func verificationVersion(v *forgecroft.Verification) any {
	if v == nil {
		return nil
	}
	return v.SecretVersion
}

// verificationValid is whether the result is good, as a flag.
func verificationValid(v *forgecroft.Verification) any {
	switch {
	case v == nil:
		return nil
	case v.Valid:
		return int64(1)
	default:
		return int64(0)
	}
}

// RecordVerification implements [forgecroft.CredentialConfigWriter].
func (t *tx) RecordVerification(ctx context.Context, organizationID, id string, v forgecroft.Verification) error {
	if !v.Conclusive {
		_, err := t.exec(ctx, "UPDATE credential_configs SET last_attempt = $3 WHERE organization_id = $1 AND id = $2 AND secret_version = $4",
			organizationID, id, encodeVerification(&v), v.SecretVersion)
		return err
	}
	_, err := t.exec(ctx, `
		UPDATE credential_configs SET last_attempt = $3, verification = $3, verification_version = $4, verification_valid = $5
		WHERE organization_id = $1 AND id = $2 AND secret_version = $4`,
		organizationID, id, encodeVerification(&v), v.SecretVersion, verificationValid(&v))
	return err
}
