package store

import (
	"context"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// configColumns are what a delivery needs to know. Reads for other ends add [configUsers].
const configColumns = `c.organization_id, c.id, c.project_id, c.name, c.description, c.type, c.secret_version, c.reference, c.fields,
	c.public_values, c.secret_size, c.secrets_stored_at, c.external_id, c.source_id, c.verification, c.last_attempt,
	c.last_delivered_at, c.revision, c.created_by, c.created_at, c.updated_at, c.checksum`

// configUsers are the workspaces that have a config attached, joined with commas: at most 200, as the contract says. They are sorted when they
// are scanned, which is cheaper.
const configUsers = `, (SELECT string_agg(u.workspace_id, ',') FROM (
	SELECT a.workspace_id FROM attachments a WHERE a.organization_id = c.organization_id AND a.credential_config_id = c.id
	ORDER BY a.workspace_id LIMIT 200) u)`

// scanConfig scans configColumns.
func scanConfig(r *row) forgecroft.CredentialConfig {
	c := forgecroft.CredentialConfig{
		OrganizationID: r.text(), ID: r.text(), ProjectID: r.text(), Name: r.text(), Description: r.text(), Type: r.text(),
		SecretVersion: r.int(), Reference: forgecroft.Reference(r.text()), Fields: []string{}, Public: map[string]string{},
	}
	fields, public := r.json(&c.Fields), r.json(&c.Public)
	c.SecretSize, c.SecretsStoredAt = int(r.int()), r.time()
	c.ExternalID, c.SourceID = r.text(), r.text()
	c.Verification, c.LastAttempt = scanVerification(r), scanVerification(r)
	c.LastDeliveredAt, c.Revision, c.CreatedBy, c.CreatedAt, c.UpdatedAt = r.time(), r.int(), r.text(), r.time(), r.time()
	r.compare(configChecksum(&c, fields, public), "credential config", c.ID)
	return c
}

// scanConfigWithUsers scans configColumns and configUsers.
func scanConfigWithUsers(r *row) forgecroft.CredentialConfig {
	c := scanConfig(r)
	c.WorkspaceIDs = r.list()
	slices.Sort(c.WorkspaceIDs)
	return c
}

// CredentialConfig implements [forgecroft.CredentialConfigReader].
func (r reader) CredentialConfig(ctx context.Context, organizationID, id string) (forgecroft.CredentialConfig, error) {
	return one(ctx, r, forgecroft.NotFound("credential config"), scanConfigWithUsers,
		"SELECT "+configColumns+configUsers+" FROM credential_configs c WHERE c.organization_id = $1 AND c.id = $2", organizationID, id)
}

// CredentialConfigs implements [forgecroft.CredentialConfigReader].
func (r reader) CredentialConfigs(ctx context.Context, organizationID string, f forgecroft.CredentialConfigFilter, p forgecroft.Page) ([]forgecroft.CredentialConfig, error) {
	c := narrow(organizationID)
	c.equal("project_id", f.ProjectID)
	c.equal("type", f.Type)
	c.equal("source_id", f.SourceID)
	c.equal("name", f.Name)
	c.contains(f.Query)
	c.after(p.After)
	c.text.WriteString(scopeCondition(f.Scope) + verificationCondition(f.Verification))
	const list = "SELECT " + configColumns + configUsers + ", c.id AS sort_id FROM credential_configs c WHERE c.organization_id = $1"
	text := list + c.text.String()
	if f.VisibleTo != "" {
		// Two ranges of one index, merged in order: a condition with OR would read past everything that is not visible.
		text = list + " AND project_id = " + c.bind(f.VisibleTo) + c.text.String() +
			" UNION ALL " + list + " AND project_id IS NULL" + c.text.String()
	}
	return all(ctx, r, scanConfigWithUsers, text+" ORDER BY sort_id DESC LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// CredentialConfigsAmong implements [forgecroft.CredentialConfigReader].
func (r reader) CredentialConfigsAmong(ctx context.Context, organizationID string, ids []string) ([]forgecroft.CredentialConfig, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	c := narrow(organizationID)
	text := "SELECT " + configColumns + configUsers + " FROM credential_configs c WHERE c.organization_id = $1 AND c.id IN " + c.among(ids) + " ORDER BY c.id DESC"
	return all(ctx, r, scanConfigWithUsers, text, c.args...)
}

// scopeCondition narrows a list to one level.
func scopeCondition(scope string) string {
	switch scope {
	case forgecroft.ScopeOrganization:
		return " AND project_id IS NULL"
	case forgecroft.ScopeProject:
		return " AND project_id IS NOT NULL"
	default:
		return ""
	}
}

// verificationCondition is [forgecroft.CredentialConfig.VerificationState] in SQL.
func verificationCondition(state string) string {
	switch state {
	case forgecroft.VerifiedValid:
		return " AND verification_version = secret_version AND verification_valid = 1"
	case forgecroft.VerifiedInvalid:
		return " AND verification_version = secret_version AND verification_valid = 0"
	case forgecroft.Unverified:
		return " AND (verification_version IS NULL OR verification_version <> secret_version)"
	default:
		return ""
	}
}

// CredentialConfigUsers implements [forgecroft.CredentialConfigReader].
func (r reader) CredentialConfigUsers(ctx context.Context, organizationID, id string, limit int) ([]forgecroft.Related, error) {
	return all(ctx, r, scanRelated, `
		SELECT 1 AS rank, 'workspace', w.id, w.name FROM attachments a
		JOIN workspaces w ON w.organization_id = a.organization_id AND w.id = a.workspace_id
		WHERE a.organization_id = $1 AND a.credential_config_id = $2
		UNION ALL
		SELECT 2, 'credential_config', id, name FROM credential_configs WHERE organization_id = $1 AND source_id = $2
		ORDER BY 1, 3 LIMIT $3`, organizationID, id, int64(limit))
}

// CreateCredentialConfig implements [forgecroft.CredentialConfigWriter].
func (t *tx) CreateCredentialConfig(ctx context.Context, c forgecroft.CredentialConfig) error {
	fields, public := encodeFields(c.Fields), encodePublic(c.Public)
	sum := configChecksum(&c, fields, public)
	_, err := t.exec(ctx, `
		INSERT INTO credential_configs (organization_id, id, project_id, name, search_name, description, type, secret_version, reference, fields,
			public_values, secret_size, secrets_stored_at, external_id, source_id, verification, verification_version, verification_valid,
			last_attempt, last_delivered_at, revision, created_by, created_at, updated_at, checksum)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`,
		c.OrganizationID, c.ID, optional(c.ProjectID), c.Name, searchable(c.Name), c.Description, c.Type, c.SecretVersion,
		optional(string(c.Reference)), fields, public, int64(c.SecretSize), micros(c.SecretsStoredAt), c.ExternalID,
		optional(c.SourceID), encodeVerification(c.Verification), verificationVersion(c.Verification), verificationValid(c.Verification),
		encodeVerification(c.LastAttempt), micros(c.LastDeliveredAt), c.Revision, c.CreatedBy, micros(c.CreatedAt), micros(c.UpdatedAt), sum.stored())
	return missing(nameTaken(err, "credential config", c.Name), "project, or credential config to build on")
}

// UpdateCredentialConfig implements [forgecroft.CredentialConfigWriter]. It leaves alone what others write: the results of verifications and
// the time of the last delivery.
func (t *tx) UpdateCredentialConfig(ctx context.Context, c forgecroft.CredentialConfig) error {
	t.changed |= changedPlans
	fields, public := encodeFields(c.Fields), encodePublic(c.Public)
	sum := configChecksum(&c, fields, public)
	n, err := t.exec(ctx, `
		UPDATE credential_configs SET description = $3, secret_version = $4, reference = $5, fields = $6, public_values = $7, secret_size = $8,
			secrets_stored_at = $9, external_id = $10, revision = $11, updated_at = $12, checksum = $13
		WHERE organization_id = $1 AND id = $2 AND revision = $11 - 1`,
		c.OrganizationID, c.ID, c.Description, c.SecretVersion, optional(string(c.Reference)), fields, public,
		int64(c.SecretSize), micros(c.SecretsStoredAt), c.ExternalID, c.Revision, micros(c.UpdatedAt), sum.stored())
	if err != nil {
		return err
	}
	err = t.updated(n, func() error {
		_, err := t.CredentialConfig(ctx, c.OrganizationID, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	// Names, places and sources change rarely, and writing them means writing five indexes: so only if they differ.
	_, err = t.exec(ctx, `
		UPDATE credential_configs SET project_id = $3, name = $4, search_name = $5, source_id = $6
		WHERE organization_id = $1 AND id = $2
			AND (name <> $4 OR project_id IS DISTINCT FROM $3 OR source_id IS DISTINCT FROM $6)`,
		c.OrganizationID, c.ID, optional(c.ProjectID), c.Name, searchable(c.Name), optional(c.SourceID))
	return missing(nameTaken(err, "credential config", c.Name), "project, or credential config to build on")
}

// DeleteCredentialConfig implements [forgecroft.CredentialConfigWriter]. One that is attached, or that others build on, is
// [forgecroft.KindConflict] with code credential_in_use.
func (t *tx) DeleteCredentialConfig(ctx context.Context, organizationID, id string) error {
	t.changed |= changedPlans
	n, err := t.exec(ctx, "DELETE FROM credential_configs WHERE organization_id = $1 AND id = $2", organizationID, id)
	return deleted(n, err, "credential config", "credential_in_use", "The credential config is still used. Detach it first.")
}

// encodeFields is how names of fields are stored.
func encodeFields(fields []string) string {
	if len(fields) == 0 {
		return "[]"
	}
	return encode(fields)
}

// encodePublic is how public values are stored.
func encodePublic(values map[string]string) string {
	if len(values) == 0 {
		return "{}"
	}
	return encode(values)
}
