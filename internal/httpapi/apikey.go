package httpapi

import (
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) createAPIKey(r *request, in sdk.CreateAPIKey) (sdk.CreatedAPIKey, error) {
	var expires time.Time
	if in.ExpiresAt != nil {
		expires = *in.ExpiresAt
	}
	k, err := a.broker.CreateAPIKey(r.Context(), r.call, broker.KeyRequest{
		Name: in.Name, Role: forgecroft.Role(in.Role), ProjectID: in.ProjectID, WorkspaceID: in.WorkspaceID, ExpiresAt: expires,
	})
	return sdk.CreatedAPIKey{APIKey: wireAPIKey(k.APIKey), Key: k.Raw.Reveal()}, err
}

func (a *api) listAPIKeys(r *request) (sdk.List[sdk.APIKey], error) {
	f := forgecroft.APIKeyFilter{Role: forgecroft.Role(r.values["role"]), Name: r.text("name")}
	l, err := a.broker.ListAPIKeys(r.Context(), r.call, f, r.page())
	return pageOf(l, wireAPIKey), err
}

func (a *api) revokeAPIKey(r *request) error {
	return a.broker.RevokeAPIKey(r.Context(), r.call, r.id())
}

func (a *api) whoami(r *request) (sdk.Whoami, error) {
	who, err := a.broker.Whoami(r.Context(), r.call)
	return sdk.Whoami{
		Organization: sdk.Reference{Type: "organization", ID: who.Organization.ID, Name: who.Organization.Name},
		APIKey:       sdk.Reference{Type: "api_key", ID: who.Key.ID, Name: who.Key.Name},
		Role:         string(who.Key.Role), Scope: wireScope(who.Key.Scope), ExpiresAt: when(who.Key.ExpiresAt), Version: a.version,
	}, err
}

// wireAPIKey converts an API key, which holds no key.
func wireAPIKey(k forgecroft.APIKey) sdk.APIKey {
	return sdk.APIKey{
		ID: k.ID, OrganizationID: k.OrganizationID, Name: k.Name, Role: string(k.Role), Scope: wireScope(k.Scope), Hint: k.Hint, SingleSignOn: k.Subject != "",
		CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt.UTC(), ExpiresAt: when(k.ExpiresAt), RevokedAt: when(k.RevokedAt), LastUsedAt: when(k.LastUsedAt),
	}
}

// wireScope converts the scope of a key.
func wireScope(s forgecroft.KeyScope) sdk.KeyScope {
	return sdk.KeyScope{Kind: s.Kind(), ProjectID: s.ProjectID, WorkspaceID: s.WorkspaceID}
}
