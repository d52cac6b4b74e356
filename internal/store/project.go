package store

import (
	"context"
	"errors"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const projectColumns = "organization_id, id, name, description, revision, created_at, updated_at"

func scanProject(r *row) forgecroft.Project {
	return forgecroft.Project{
		OrganizationID: r.text(), ID: r.text(), Name: r.text(), Description: r.text(), Revision: r.int(), CreatedAt: r.time(), UpdatedAt: r.time(),
	}
}

// Project implements [forgecroft.ProjectReader].
func (r reader) Project(ctx context.Context, organizationID, id string) (forgecroft.Project, error) {
	return one(ctx, r, forgecroft.NotFound("project"), scanProject,
		"SELECT "+projectColumns+" FROM projects WHERE organization_id = $1 AND id = $2", organizationID, id)
}

// Projects implements [forgecroft.ProjectReader].
func (r reader) Projects(ctx context.Context, organizationID string, f forgecroft.ProjectFilter, p forgecroft.Page) ([]forgecroft.Project, error) {
	c := narrow(organizationID)
	c.equal("id", f.ID)
	c.equal("name", f.Name)
	c.contains(f.Query)
	c.after(p.After)
	return all(ctx, r, scanProject, "SELECT "+projectColumns+" FROM projects WHERE organization_id = $1"+c.text.String()+
		" ORDER BY id DESC LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// ProjectContents implements [forgecroft.ProjectReader]. API keys are live by the store's clock.
func (r reader) ProjectContents(ctx context.Context, organizationID, id string, limit int) ([]forgecroft.Related, error) {
	return all(ctx, r, scanRelated, `
		SELECT 1 AS rank, 'workspace', id, name FROM workspaces WHERE organization_id = $1 AND project_id = $2
		UNION ALL
		SELECT 2, 'credential_config', id, name FROM credential_configs WHERE organization_id = $1 AND project_id = $2
		UNION ALL
		SELECT 3, 'api_key', id, name FROM api_keys
		WHERE organization_id = $1 AND project_id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)
		ORDER BY 1, 3 LIMIT $4`, organizationID, id, r.now().UnixMicro(), int64(limit))
}

// scanRelated scans a rank to sort by, then the object.
func scanRelated(r *row) forgecroft.Related {
	r.take()
	return forgecroft.Related{Type: r.text(), ID: r.text(), Name: r.text()}
}

// CreateProject implements [forgecroft.ProjectWriter].
func (t *tx) CreateProject(ctx context.Context, p forgecroft.Project) error {
	_, err := t.exec(ctx, `
		INSERT INTO projects (organization_id, id, name, search_name, description, revision, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		p.OrganizationID, p.ID, p.Name, searchable(p.Name), p.Description, p.Revision, micros(p.CreatedAt), micros(p.UpdatedAt))
	return missing(nameTaken(err, "project", p.Name), "organization")
}

// UpdateProject implements [forgecroft.ProjectWriter].
func (t *tx) UpdateProject(ctx context.Context, p forgecroft.Project) error {
	n, err := t.exec(ctx, `
		UPDATE projects SET name = $3, search_name = $4, description = $5, revision = $6, updated_at = $7
		WHERE organization_id = $1 AND id = $2 AND revision = $6 - 1`,
		p.OrganizationID, p.ID, p.Name, searchable(p.Name), p.Description, p.Revision, micros(p.UpdatedAt))
	if err != nil {
		return nameTaken(err, "project", p.Name)
	}
	return t.updated(n, func() error {
		_, err := t.Project(ctx, p.OrganizationID, p.ID)
		return err
	})
}

// updated says why an update that compares the revision found no row: it is absent, or another was faster.
func (t *tx) updated(n int64, find func() error) error {
	if n > 0 {
		return nil
	}
	if err := find(); err != nil {
		return err
	}
	return forgecroft.Errorf(forgecroft.KindStale, "stale", "Another request changed it meanwhile. Read it again, then repeat the change.")
}

// DeleteProject implements [forgecroft.ProjectWriter]. A project that holds workspaces or credential configs is [forgecroft.KindConflict].
func (t *tx) DeleteProject(ctx context.Context, organizationID, id string) error {
	n, err := t.exec(ctx, "DELETE FROM projects WHERE organization_id = $1 AND id = $2", organizationID, id)
	return deleted(n, err, "project", "project_not_empty", "The project still holds workspaces or credential configs. Remove them first.")
}

// deleted is the result of a deletion that other rows may forbid.
func deleted(n int64, err error, noun, code, held string) error {
	switch {
	case errors.Is(err, errForeignKey):
		return forgecroft.Errorf(forgecroft.KindConflict, code, "%s", held)
	case err == nil && n == 0:
		return forgecroft.NotFound(noun)
	default:
		return err
	}
}
