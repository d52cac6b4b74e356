package store

import (
	"context"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// instanceKeys stands for the credential config in the binding of the instance keys (see [forgecroft.Binding]).
const instanceKeys = "instance-keys"

func scanSecretVersion(r *row) forgecroft.SecretVersion {
	v := forgecroft.SecretVersion{
		OrganizationID: r.text(), CredentialConfigID: r.text(), Version: r.int(), Reference: forgecroft.Reference(r.text()), Fields: []string{},
	}
	r.json(&v.Fields)
	v.CreatedBy, v.CreatedAt, v.CreatedByName = r.text(), r.time(), r.text()
	return v
}

// SecretVersions implements [forgecroft.CredentialConfigReader]. A config that is absent has none.
func (r reader) SecretVersions(ctx context.Context, organizationID, id string, limit int) ([]forgecroft.SecretVersion, error) {
	return all(ctx, r, scanSecretVersion, `
		SELECT v.organization_id, v.credential_config_id, v.version, v.reference, v.fields, v.created_by, v.created_at,
			(SELECT k.name FROM api_keys k WHERE k.organization_id = v.organization_id AND k.id = v.created_by)
		FROM secret_versions v WHERE v.organization_id = $1 AND v.credential_config_id = $2 ORDER BY v.version DESC LIMIT $3`, organizationID, id, int64(limit))
}

// AddSecretVersion implements [forgecroft.CredentialConfigWriter].
func (t *tx) AddSecretVersion(ctx context.Context, v forgecroft.SecretVersion) error {
	_, err := t.exec(ctx, `
		INSERT INTO secret_versions (organization_id, credential_config_id, version, reference, fields, created_by, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		v.OrganizationID, v.CredentialConfigID, v.Version, string(v.Reference), encodeFields(v.Fields), v.CreatedBy, micros(v.CreatedAt))
	return missing(err, "credential config")
}

// SecretBindings implements [forgecroft.CredentialConfigReader]: it is the one list across organizations.
func (r reader) SecretBindings(ctx context.Context, after forgecroft.Reference, limit int) ([]forgecroft.BoundReference, error) {
	return all(ctx, r, func(r *row) forgecroft.BoundReference {
		return forgecroft.BoundReference{
			Reference: forgecroft.Reference(r.text()),
			Binding:   forgecroft.Binding{OrganizationID: r.text(), CredentialConfigID: r.text(), Version: r.int()},
		}
	}, acrossTenants+`
		SELECT reference, organization_id, id, secret_version FROM credential_configs WHERE reference > $1
		UNION ALL
		SELECT keys_reference, id, '`+instanceKeys+`', 1 FROM instance WHERE keys_reference > $1
		ORDER BY 1 LIMIT $2`, string(after), int64(limit))
}

// ReferenceLive implements [forgecroft.IntentReader].
func (r reader) ReferenceLive(ctx context.Context, ref forgecroft.Reference) (bool, error) {
	return one(ctx, r, nil, func(r *row) bool { return r.int() == 1 }, acrossTenants+`
		SELECT CASE WHEN EXISTS (SELECT 1 FROM credential_configs WHERE reference = $1)
			OR EXISTS (SELECT 1 FROM instance WHERE keys_reference = $1) THEN 1 ELSE 0 END`, string(ref))
}
