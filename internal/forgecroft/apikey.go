package forgecroft

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// APIKey says who is calling: a role within a scope. Only a hash of the key itself is kept.
type APIKey struct {
	ID             string // also the id inside the key
	OrganizationID string
	Name           string
	Role           Role
	Scope          KeyScope
	Subject        string // the person that single sign-on has proven, see [SubjectOf]; empty: a key that is used by itself
	Hash           []byte // SHA-256 of the whole key
	Hint           string // the first characters, to recognise it by
	CreatedBy      string // API key id; empty for the first owner
	CreatedAt      time.Time
	ExpiresAt      time.Time // zero: never
	RevokedAt      time.Time // zero: not revoked
	LastUsedAt     time.Time // zero: never; exact to a minute
}

// Validate checks the rules of an API key as of now.
func (k APIKey) Validate(now time.Time) error {
	fields := checkName("name", k.Name)
	if !k.Role.Valid() {
		fields = append(fields, FieldError{"role", "unknown_role", fmt.Sprintf("The role must be one of %v, exactly.", Roles())})
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		fields = append(fields, FieldError{"expires_at", "in_the_past", "The expiry must lie in the future."})
	}
	if !writable(k.ExpiresAt) {
		fields = append(fields, FieldError{"expires_at", "out_of_range", "The expiry must lie before the year 10000, in UTC."})
	}
	if k.Role == RoleOwner && k.Scope.Kind() != ScopeOrganization {
		fields = append(fields, FieldError{"role", "scope_too_narrow", "An owner's scope is the whole organization."})
	}
	return Invalid(fields)
}

// Live reports whether the key may be used at now.
func (k APIKey) Live(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Principal is who calls with this key.
func (k APIKey) Principal() Principal {
	p := Principal{KeyID: k.ID, KeyName: k.Name, OrganizationID: k.OrganizationID, Role: k.Role, Scope: k.Scope}
	if k.Subject == "" { // A sign-on is short, and its provider is asked again: what a person makes may live longer.
		p.EndsAt = k.ExpiresAt
	}
	return p
}

// Location is where the key lies for the check of a scope: inside what it may reach.
func (k APIKey) Location() Location {
	return Location{OrganizationID: k.OrganizationID, ProjectID: k.Scope.ProjectID, WorkspaceID: k.Scope.WorkspaceID}
}

// APIKeyFilter narrows a list of API keys. Zero values do not filter.
type APIKeyFilter struct {
	ProjectID   string // scoped to this project or to a workspace of it
	WorkspaceID string
	Role        Role
	Name        string
}

// SubjectOf names a person for ever: issuer and subject together are one that no provider hands out twice (OpenID Connect Core 1.0, section 5.7). They are
// hashed, so that neither's length nor letters matter.
func SubjectOf(issuer, subject string) string {
	text := binary.AppendUvarint(nil, uint64(len(issuer)))
	sum := sha256.Sum256(append(append(text, issuer...), subject...))
	return hex.EncodeToString(sum[:])
}
