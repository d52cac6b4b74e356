package store

import (
	"context"
	"errors"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const apiKeyColumns = `organization_id, id, name, role, project_id, workspace_id, subject, hash, hint, created_by, created_at, expires_at,
	revoked_at, last_used_at, checksum`

func scanAPIKey(r *row) forgecroft.APIKey {
	k := forgecroft.APIKey{
		OrganizationID: r.text(), ID: r.text(), Name: r.text(), Role: forgecroft.Role(r.text()),
		Scope: forgecroft.KeyScope{ProjectID: r.text(), WorkspaceID: r.text()}, Subject: r.text(), Hash: r.bytes(), Hint: r.text(),
		CreatedBy: r.text(), CreatedAt: r.time(), ExpiresAt: r.time(), RevokedAt: r.time(), LastUsedAt: r.time(),
	}
	r.compare(keyChecksum(&k), "API key", k.ID)
	return k
}

// APIKey implements [forgecroft.APIKeyReader].
func (r reader) APIKey(ctx context.Context, organizationID, id string) (forgecroft.APIKey, error) {
	return one(ctx, r, forgecroft.NotFound("API key"), scanAPIKey,
		"SELECT "+apiKeyColumns+" FROM api_keys WHERE organization_id = $1 AND id = $2", organizationID, id)
}

// APIKeys implements [forgecroft.APIKeyReader].
func (r reader) APIKeys(ctx context.Context, organizationID string, f forgecroft.APIKeyFilter, p forgecroft.Page) ([]forgecroft.APIKey, error) {
	c := narrow(organizationID)
	c.equal("project_id", f.ProjectID)
	c.equal("workspace_id", f.WorkspaceID)
	c.equal("role", string(f.Role))
	c.equal("name", f.Name)
	c.after(p.After)
	return all(ctx, r, scanAPIKey, "SELECT "+apiKeyColumns+" FROM api_keys WHERE organization_id = $1"+c.text.String()+
		" ORDER BY id DESC LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// SubjectKey implements [forgecroft.APIKeyReader].
func (r reader) SubjectKey(ctx context.Context, organizationID, subject string) (forgecroft.APIKey, error) {
	return one(ctx, r, forgecroft.NotFound("API key"), scanAPIKey,
		"SELECT "+apiKeyColumns+" FROM api_keys WHERE organization_id = $1 AND subject = $2 AND revoked_at IS NULL", organizationID, subject)
}

// LiveOwners implements [forgecroft.APIKeyReader].
func (r reader) LiveOwners(ctx context.Context, organizationID string, now time.Time) (int, error) {
	return one(ctx, r, nil, func(r *row) int { return int(r.int()) }, `
		SELECT count(*) FROM api_keys
		WHERE organization_id = $1 AND role = 'owner' AND revoked_at IS NULL AND subject IS NULL AND (expires_at IS NULL OR expires_at > $2)`,
		organizationID, now.UnixMicro())
}

// Authenticate implements [forgecroft.Store]. The time of the last use may be older than what is stored.
func (s *Store) Authenticate(ctx context.Context, keyID string) (*forgecroft.APIKey, error) {
	return s.caches.keys.get(keyID, func() (*forgecroft.APIKey, error) {
		k, err := one(ctx, s, forgecroft.NotFound("API key"), scanAPIKey, acrossTenants+"SELECT "+apiKeyColumns+" FROM api_keys WHERE id = $1", keyID)
		return &k, err
	})
}

// CreateAPIKey implements [forgecroft.APIKeyWriter].
func (t *tx) CreateAPIKey(ctx context.Context, k forgecroft.APIKey) error {
	sum := keyChecksum(&k)
	_, err := t.exec(ctx, `
		INSERT INTO api_keys (organization_id, id, name, role, project_id, workspace_id, subject, hash, hint, created_by, created_at, expires_at,
			revoked_at, last_used_at, checksum)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		k.OrganizationID, k.ID, k.Name, string(k.Role), optional(k.Scope.ProjectID), optional(k.Scope.WorkspaceID), optional(k.Subject), k.Hash,
		k.Hint, k.CreatedBy, micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt), micros(k.LastUsedAt), sum.stored())
	if errors.Is(err, errUnique) {
		return forgecroft.Errorf(forgecroft.KindConflict, "api_key_exists", "There is an API key with this id already.")
	}
	return missing(err, "organization")
}

// RevokeAPIKey implements [forgecroft.APIKeyWriter].
func (t *tx) RevokeAPIKey(ctx context.Context, organizationID, id string, at time.Time) error {
	t.changed |= changedKeys
	k, err := t.APIKey(ctx, organizationID, id)
	if err != nil {
		return err
	}
	if !k.RevokedAt.IsZero() {
		return forgecroft.NotFound("API key")
	}
	k.RevokedAt = at
	sum := keyChecksum(&k)
	_, err = t.exec(ctx, "UPDATE api_keys SET revoked_at = $3, checksum = $4 WHERE organization_id = $1 AND id = $2",
		organizationID, id, at.UnixMicro(), sum.stored())
	return err
}

// ExtendAPIKey implements [forgecroft.APIKeyWriter].
func (t *tx) ExtendAPIKey(ctx context.Context, organizationID, id, name string, expires time.Time) error {
	t.changed |= changedKeys
	k, err := t.APIKey(ctx, organizationID, id)
	if err != nil {
		return err
	}
	k.Name, k.ExpiresAt = name, expires
	sum := keyChecksum(&k)
	_, err = t.exec(ctx, "UPDATE api_keys SET name = $3, expires_at = $4, checksum = $5 WHERE organization_id = $1 AND id = $2",
		organizationID, id, name, micros(expires), sum.stored())
	return err
}
