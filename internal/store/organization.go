package store

import (
	"context"
	"errors"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Instance implements [forgecroft.OrganizationReader].
func (r reader) Instance(ctx context.Context) (forgecroft.Instance, error) {
	return one(ctx, r, forgecroft.NotFound("instance"), func(r *row) forgecroft.Instance {
		return forgecroft.Instance{ID: r.text(), KeysReference: forgecroft.Reference(r.text()), CreatedAt: r.time()}
	}, "SELECT id, keys_reference, created_at FROM instance")
}

// CreateInstance implements [forgecroft.OrganizationWriter].
func (t *tx) CreateInstance(ctx context.Context, i forgecroft.Instance) error {
	_, err := t.exec(ctx, "INSERT INTO instance (singleton, id, keys_reference, created_at) VALUES (1, $1, $2, $3)",
		i.ID, string(i.KeysReference), micros(i.CreatedAt))
	if errors.Is(err, errUnique) {
		return forgecroft.Errorf(forgecroft.KindConflict, "instance_exists", "The installation is set up already.")
	}
	return err
}

const organizationColumns = "id, name, created_at"

func scanOrganization(r *row) forgecroft.Organization {
	return forgecroft.Organization{ID: r.text(), Name: r.text(), CreatedAt: r.time()}
}

// Organization implements [forgecroft.OrganizationReader].
func (r reader) Organization(ctx context.Context, id string) (forgecroft.Organization, error) {
	return one(ctx, r, forgecroft.NotFound("organization"), scanOrganization, "SELECT "+organizationColumns+" FROM organizations WHERE id = $1", id)
}

// Organizations implements [forgecroft.OrganizationReader].
func (r reader) Organizations(ctx context.Context) ([]forgecroft.Organization, error) {
	return all(ctx, r, scanOrganization, "SELECT "+organizationColumns+" FROM organizations ORDER BY id")
}

// CreateOrganization implements [forgecroft.OrganizationWriter].
func (t *tx) CreateOrganization(ctx context.Context, o forgecroft.Organization) error {
	_, err := t.exec(ctx, "INSERT INTO organizations ("+organizationColumns+") VALUES ($1, $2, $3)", o.ID, o.Name, micros(o.CreatedAt))
	if errors.Is(err, errUnique) {
		return forgecroft.Errorf(forgecroft.KindConflict, "organization_exists", "There is an organization with this id already.")
	}
	return err
}

// Names implements [forgecroft.OrganizationReader].
func (r reader) Names(ctx context.Context, organizationID string, ids []string) ([]forgecroft.Named, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	c := narrow(organizationID)
	among := c.among(ids)
	return all(ctx, r, func(r *row) forgecroft.Named {
		return forgecroft.Named{
			Related:  forgecroft.Related{Type: r.text(), ID: r.text(), Name: r.text()},
			Location: forgecroft.Location{OrganizationID: organizationID, ProjectID: r.text(), WorkspaceID: r.text()},
		}
	}, "SELECT 'project', id, name, id, NULL FROM projects WHERE organization_id = $1 AND id IN "+among+
		" UNION ALL SELECT 'workspace', id, name, project_id, id FROM workspaces WHERE organization_id = $1 AND id IN "+among+
		" UNION ALL SELECT 'credential_config', id, name, project_id, NULL FROM credential_configs WHERE organization_id = $1 AND id IN "+among+
		" UNION ALL SELECT 'api_key', id, name, project_id, workspace_id FROM api_keys WHERE organization_id = $1 AND id IN "+among, c.args...)
}
