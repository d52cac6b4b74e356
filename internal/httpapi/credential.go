package httpapi

import (
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) createCredentialConfig(r *request, in sdk.CreateCredentialConfig) (sdk.CredentialConfig, error) {
	c, err := a.broker.CreateCredentialConfig(r.Context(), r.call, forgecroft.CredentialConfig{
		Name: in.Name, Type: in.CredentialType, ProjectID: in.ProjectID.Value, Description: in.Description,
	})
	return wireCredentialConfig(c), err
}

func (a *api) listCredentialConfigs(r *request) (sdk.List[sdk.CredentialConfig], error) {
	f := forgecroft.CredentialConfigFilter{
		ProjectID: r.values["project_id"], Type: r.values["credential_type"], Scope: r.values["scope"],
		Verification: r.values["verification"], Name: r.text("name"), Query: r.text("q"),
	}
	l, err := a.broker.ListCredentialConfigs(r.Context(), r.call, f, r.page())
	if err == nil {
		err = a.narrow(r, l.Items)
	}
	return pageOf(l, wireCredentialConfig), err
}

func (a *api) getCredentialConfig(r *request) (sdk.CredentialConfig, error) {
	c, err := a.broker.GetCredentialConfig(r.Context(), r.call, r.id())
	return a.narrowed(r, c, err)
}

func (a *api) updateCredentialConfig(r *request, in sdk.UpdateCredentialConfig) (sdk.CredentialConfig, error) {
	u := forgecroft.CredentialConfigUpdate{Name: in.Name, Description: in.Description}
	if in.ProjectID.Set {
		u.ProjectID = &in.ProjectID.Value
	}
	c, err := a.broker.UpdateCredentialConfig(r.Context(), r.call, r.id(), u)
	return a.narrowed(r, c, err)
}

func (a *api) deleteCredentialConfig(r *request) error {
	return a.broker.DeleteCredentialConfig(r.Context(), r.call, r.id())
}

func (a *api) storeSecrets(r *request, in sdk.StoreSecrets) (sdk.StoredSecrets, error) {
	v, err := a.broker.StoreSecrets(r.Context(), r.call, r.id(), in.Data)
	return sdk.StoredSecrets{CredentialConfigID: v.CredentialConfigID, SecretVersion: v.Version, Fields: v.Fields, CreatedAt: v.CreatedAt.UTC(), Warnings: v.Warnings}, err
}

func (a *api) listSecretVersions(r *request) (sdk.List[sdk.SecretVersion], error) {
	versions, err := a.broker.ListSecretVersions(r.Context(), r.call, r.id())
	return allOf(versions, wireSecretVersion), err
}

func (a *api) verify(r *request) (sdk.Verification, error) {
	v, err := a.broker.Verify(r.Context(), r.call, r.id())
	a.metrics.verified(v, err)
	return *wireVerification(&v), err
}

// narrow takes the workspaces out that a key of narrower scope than the organization cannot see: a credential config of the organization
// may be attached to any.
func (a *api) narrow(r *request, configs []forgecroft.CredentialConfig) error {
	if r.call.Scope.Kind() == forgecroft.ScopeOrganization {
		return nil
	}
	var ids []string
	for _, c := range configs {
		ids = append(ids, c.WorkspaceIDs...)
	}
	if len(ids) == 0 {
		return nil
	}
	seen, err := a.broker.Names(r.Context(), r.call, ids)
	if err != nil {
		return err
	}
	for i, c := range configs {
		configs[i].WorkspaceIDs = slices.DeleteFunc(slices.Clone(c.WorkspaceIDs), func(id string) bool {
			_, visible := seen[id]
			return !visible
		})
	}
	return nil
}

// narrowed is one credential config as the caller may see it.
func (a *api) narrowed(r *request, c forgecroft.CredentialConfig, err error) (sdk.CredentialConfig, error) {
	if err != nil {
		return sdk.CredentialConfig{}, err
	}
	one := []forgecroft.CredentialConfig{c}
	err = a.narrow(r, one)
	return wireCredentialConfig(one[0]), err
}

// wireCredentialConfig converts a credential config.
func wireCredentialConfig(c forgecroft.CredentialConfig) sdk.CredentialConfig {
	return sdk.CredentialConfig{
		ID: c.ID, OrganizationID: c.OrganizationID, ProjectID: orNull(c.ProjectID), Scope: c.Scope(),
		Name: c.Name, Description: c.Description, CredentialType: c.Type,
		SecretVersion: c.SecretVersion, Fields: c.Fields, Values: c.Public, SecretsStoredAt: when(c.SecretsStoredAt),
		ExternalID: c.ExternalID, TrustPolicy: c.TrustPolicy, SourceCredentialConfigID: orNull(c.SourceID),
		VerificationState: c.VerificationState(), Verification: wireVerification(c.Verification), LastAttempt: wireVerification(c.LastAttempt),
		WorkspaceIDs: c.WorkspaceIDs, LastDeliveredAt: when(c.LastDeliveredAt),
		Revision: c.Revision, CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC(),
	}
}

// wireVerification converts a verification, if there is one.
func wireVerification(v *forgecroft.Verification) *sdk.Verification {
	if v == nil {
		return nil
	}
	return &sdk.Verification{
		Valid: v.Valid, Identity: v.Identity, Error: v.Error, Detail: v.Detail, Conclusive: v.Conclusive,
		ExternalIDEnforced: v.ExternalIDEnforced, Warnings: v.Warnings, ExpiresAt: when(v.ExpiresAt), CheckedAt: v.CheckedAt.UTC(), SecretVersion: v.SecretVersion,
	}
}

// wireSecretVersion converts the record of a secret version.
func wireSecretVersion(v forgecroft.SecretVersion) sdk.SecretVersion {
	return sdk.SecretVersion{SecretVersion: v.Version, Fields: v.Fields, CreatedBy: v.CreatedBy, CreatedByName: v.CreatedByName, CreatedAt: v.CreatedAt.UTC()}
}
