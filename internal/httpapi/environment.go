package httpapi

import (
	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) deliver(r *request, in sdk.DeliverRequest) (sdk.Environment, error) {
	d, err := a.broker.Deliver(r.Context(), r.call, r.id(), in.RunID)
	a.metrics.delivered(err)
	return wireEnvironment(d.Environment), err
}

func (a *api) previewEnvironment(r *request) (sdk.EnvironmentPreview, error) {
	p, err := a.broker.PreviewEnvironment(r.Context(), r.call, r.id())
	return wirePreview(p), err
}

// wireEnvironment takes the values of an environment out of their wrappers: this is where a delivery leaves the server.
func wireEnvironment(e forgecroft.Environment) sdk.Environment {
	env := sdk.Environment{
		Env: make(map[string]string, len(e.Variables)), Sources: make(map[string]string, len(e.Variables)+len(e.Files)),
		Files: make([]sdk.File, len(e.Files)), Unset: e.Unset, ExpiresAt: when(e.ExpiresAt), DeliveryID: e.DeliveryID,
		SecretVariables: []string{}, // Never absent: that would mean that all are secret.
	}
	for _, v := range e.Variables {
		env.Env[v.Name] = v.Value.Reveal()
		env.Sources[v.Name] = v.SourceID
		if v.Secret {
			env.SecretVariables = append(env.SecretVariables, v.Name)
		}
	}
	for i, f := range e.Files {
		env.Files[i] = sdk.File{Name: f.Name, Content: f.Content.Reveal(), Env: f.Env}
		env.Sources[f.Env] = f.SourceID
	}
	return env
}

// wirePreview converts a preview.
func wirePreview(p broker.Preview) sdk.EnvironmentPreview {
	preview := sdk.EnvironmentPreview{Unset: p.Unset, Missing: wireReferences(p.Missing)}
	for _, effect := range p.Effects {
		for _, v := range effect.Variables {
			preview.Variables = append(preview.Variables, sdk.PreviewVariable{
				Name: v.Name, CredentialConfigID: effect.ConfigID, CredentialConfigName: effect.ConfigName, File: v.File, Secret: v.Secret,
			})
		}
	}
	for _, c := range p.Conflicts {
		between := []sdk.Reference{wireReference(c.First), wireReference(c.Second)}
		preview.Conflicts = append(preview.Conflicts, sdk.Conflict{Variable: c.Variable, Group: c.Group, Between: between})
	}
	return preview
}

func (a *api) listDeliveries(r *request) (sdk.List[sdk.PastDelivery], error) {
	l, err := a.broker.ListDeliveries(r.Context(), r.call, forgecroft.DeliveryFilter{
		ProjectID: r.values["project_id"], WorkspaceID: r.values["workspace_id"], CredentialConfigID: r.values["credential_config_id"],
		ActorKeyID: r.values["api_key_id"], Outcome: r.values["outcome"], Since: r.time("since"), Until: r.time("until"),
	}, r.page())
	return pageOf(l, wirePastDelivery), err
}

// wirePastDelivery converts a delivery that the trail tells of.
func wirePastDelivery(d broker.PastDelivery) sdk.PastDelivery {
	return sdk.PastDelivery{
		Sequence: d.Sequence, Time: d.Time.UTC(), WorkspaceID: d.Workspace.ID, WorkspaceName: d.Workspace.Name, APIKeyID: d.ActorKeyID, APIKeyName: d.Actor,
		Outcome: d.Outcome, Code: d.Code, RunID: d.RunID, Credentials: d.Credentials,
	}
}
