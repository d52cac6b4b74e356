package store

import (
	"context"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// workspaceColumns end with the attached credential configs in order, joined with commas, and the checksum of it all.
const workspaceColumns = `w.organization_id, w.id, w.project_id, w.name, w.description, w.revision, w.last_delivered_at, w.created_at, w.updated_at,
	(SELECT string_agg(a.credential_config_id, ',' ORDER BY a.position) FROM attachments a
	 WHERE a.organization_id = w.organization_id AND a.workspace_id = w.id), w.checksum`

func scanWorkspace(r *row) forgecroft.Workspace {
	w := forgecroft.Workspace{
		OrganizationID: r.text(), ID: r.text(), ProjectID: r.text(), Name: r.text(), Description: r.text(), Revision: r.int(),
		LastDeliveredAt: r.time(), CreatedAt: r.time(), UpdatedAt: r.time(), CredentialConfigIDs: r.list(),
	}
	r.compare(workspaceChecksum(&w), "workspace", w.ID)
	return w
}

// Workspace implements [forgecroft.WorkspaceReader].
func (r reader) Workspace(ctx context.Context, organizationID, id string) (forgecroft.Workspace, error) {
	return one(ctx, r, forgecroft.NotFound("workspace"), scanWorkspace,
		"SELECT "+workspaceColumns+" FROM workspaces w WHERE w.organization_id = $1 AND w.id = $2", organizationID, id)
}

// Workspaces implements [forgecroft.WorkspaceReader].
func (r reader) Workspaces(ctx context.Context, organizationID string, f forgecroft.WorkspaceFilter, p forgecroft.Page) ([]forgecroft.Workspace, error) {
	c := narrow(organizationID)
	c.equal("id", f.ID)
	c.equal("project_id", f.ProjectID)
	c.equal("name", f.Name)
	c.contains(f.Query)
	c.after(p.After)
	if f.CredentialConfigID != "" {
		c.and("id IN (SELECT workspace_id FROM attachments WHERE organization_id = $1 AND credential_config_id =", f.CredentialConfigID)
		c.text.WriteString(")")
	}
	return all(ctx, r, scanWorkspace, "SELECT "+workspaceColumns+" FROM workspaces w WHERE w.organization_id = $1"+c.text.String()+
		" ORDER BY id DESC LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// CreateWorkspace implements [forgecroft.WorkspaceWriter].
func (t *tx) CreateWorkspace(ctx context.Context, w forgecroft.Workspace) error {
	sum := workspaceChecksum(&w)
	_, err := t.exec(ctx, `
		INSERT INTO workspaces (organization_id, id, project_id, name, search_name, description, revision, last_delivered_at, created_at, updated_at,
			checksum)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		w.OrganizationID, w.ID, w.ProjectID, w.Name, searchable(w.Name), w.Description, w.Revision,
		micros(w.LastDeliveredAt), micros(w.CreatedAt), micros(w.UpdatedAt), sum.stored())
	if err != nil {
		return missing(nameTaken(err, "workspace", w.Name), "project")
	}
	return t.attach(ctx, w)
}

// attach stores the list of a workspace that has none.
func (t *tx) attach(ctx context.Context, w forgecroft.Workspace) error {
	for i, id := range w.CredentialConfigIDs {
		_, err := t.exec(ctx, "INSERT INTO attachments (organization_id, workspace_id, position, credential_config_id) VALUES ($1, $2, $3, $4)",
			w.OrganizationID, w.ID, int64(i), id)
		if err != nil {
			return missing(err, "credential config")
		}
	}
	return nil
}

// UpdateWorkspace implements [forgecroft.WorkspaceWriter]. It leaves the time of the last delivery alone.
func (t *tx) UpdateWorkspace(ctx context.Context, w forgecroft.Workspace) error {
	t.changed |= changedPlans
	before, err := t.Workspace(ctx, w.OrganizationID, w.ID)
	if err != nil {
		return err
	}
	sum := workspaceChecksum(&w)
	n, err := t.exec(ctx, `
		UPDATE workspaces SET project_id = $3, name = $4, search_name = $5, description = $6, revision = $7, updated_at = $8, checksum = $9
		WHERE organization_id = $1 AND id = $2 AND revision = $7 - 1`,
		w.OrganizationID, w.ID, w.ProjectID, w.Name, searchable(w.Name), w.Description, w.Revision, micros(w.UpdatedAt), sum.stored())
	if err != nil {
		return missing(nameTaken(err, "workspace", w.Name), "project")
	}
	if err := t.updated(n, func() error { return nil }); err != nil {
		return err
	}
	if slices.Equal(before.CredentialConfigIDs, w.CredentialConfigIDs) {
		return nil
	}
	if _, err := t.exec(ctx, "DELETE FROM attachments WHERE organization_id = $1 AND workspace_id = $2", w.OrganizationID, w.ID); err != nil {
		return err
	}
	return t.attach(ctx, w)
}

// DeleteWorkspace implements [forgecroft.WorkspaceWriter].
func (t *tx) DeleteWorkspace(ctx context.Context, organizationID, id string) error {
	t.changed |= changedPlans
	n, err := t.exec(ctx, "DELETE FROM workspaces WHERE organization_id = $1 AND id = $2", organizationID, id)
	return deleted(n, err, "workspace", "workspace_in_use", "The workspace is still in use.")
}
