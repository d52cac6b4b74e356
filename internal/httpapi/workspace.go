package httpapi

import (
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) createWorkspace(r *request, in sdk.CreateWorkspace) (sdk.Workspace, error) {
	w, err := a.broker.CreateWorkspace(r.Context(), r.call, forgecroft.Workspace{
		Name: in.Name, Description: in.Description, ProjectID: in.ProjectID, CredentialConfigIDs: in.CredentialConfigIDs,
	})
	return wireWorkspace(w), err
}

func (a *api) listWorkspaces(r *request) (sdk.List[sdk.Workspace], error) {
	f := forgecroft.WorkspaceFilter{
		ProjectID: r.values["project_id"], CredentialConfigID: r.values["credential_config_id"], Name: r.text("name"), Query: r.text("q"),
	}
	l, err := a.broker.ListWorkspaces(r.Context(), r.call, f, r.page())
	return pageOf(l, wireWorkspace), err
}

func (a *api) getWorkspace(r *request) (sdk.Workspace, error) {
	w, err := a.broker.GetWorkspace(r.Context(), r.call, r.id())
	return wireWorkspace(w), err
}

func (a *api) updateWorkspace(r *request, in sdk.UpdateWorkspace) (sdk.Workspace, error) {
	u := forgecroft.WorkspaceUpdate{Name: in.Name, Description: in.Description, CredentialConfigIDs: in.CredentialConfigIDs}
	w, err := a.broker.UpdateWorkspace(r.Context(), r.call, r.id(), u)
	return wireWorkspace(w), err
}

func (a *api) deleteWorkspace(r *request) error {
	return a.broker.DeleteWorkspace(r.Context(), r.call, r.id())
}

// wireWorkspace converts a workspace.
func wireWorkspace(w forgecroft.Workspace) sdk.Workspace {
	return sdk.Workspace{
		ID: w.ID, OrganizationID: w.OrganizationID, ProjectID: w.ProjectID, Name: w.Name, Description: w.Description,
		CredentialConfigIDs: w.CredentialConfigIDs, LastDeliveredAt: when(w.LastDeliveredAt),
		Revision: w.Revision, CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
	}
}
