package broker

import (
	"context"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// CreateProject makes a project. Only keys of the whole organization may.
func (b *Broker) CreateProject(ctx context.Context, call Call, p forgecroft.Project) (forgecroft.Project, error) {
	p.Name = normal(p.Name)
	a := act{"project.create", forgecroft.PermWrite, "project", ""}
	return create(ctx, b, call, a, p, func(tx forgecroft.Tx, e *entry) (forgecroft.Project, error) {
		if call.Scope.Kind() != forgecroft.ScopeOrganization {
			return p, forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope", "Only an API key of the whole organization creates projects.")
		}
		if err := p.Validate(); err != nil {
			return p, err
		}
		p.ID, p.OrganizationID, p.Revision = b.newID(), call.OrganizationID, 1
		p.CreatedAt = b.instant()
		p.UpdatedAt = p.CreatedAt
		e.objectID = p.ID
		e.note("name", p.Name)
		return p, tx.CreateProject(ctx, p)
	})
}

// GetProject reads one project.
func (b *Broker) GetProject(ctx context.Context, call Call, id string) (forgecroft.Project, error) {
	a := act{"project.read", forgecroft.PermRead, "project", id}
	return read(ctx, b, call, a, func() (forgecroft.Project, error) { return b.project(ctx, b.store, call, id) })
}

// project loads a project that the caller may see.
func (b *Broker) project(ctx context.Context, r forgecroft.Reader, call Call, id string) (forgecroft.Project, error) {
	p, err := r.Project(ctx, call.OrganizationID, id)
	if err != nil {
		return p, err
	}
	return p, call.visible("project", p.Location())
}

// ListProjects lists the projects in the caller's scope.
func (b *Broker) ListProjects(ctx context.Context, call Call, f forgecroft.ProjectFilter, page PageRequest) (Listing[forgecroft.Project], error) {
	a := act{"project.list", forgecroft.PermRead, "project", ""}
	return read(ctx, b, call, a, func() (Listing[forgecroft.Project], error) {
		f.ID = call.Scope.ProjectID
		return list(b, call, "projects", f, page, func(p forgecroft.Project) string { return p.ID }, func(p forgecroft.Page) ([]forgecroft.Project, error) {
			return b.store.Projects(ctx, call.OrganizationID, f, p)
		})
	})
}

// UpdateProject renames or describes a project.
func (b *Broker) UpdateProject(ctx context.Context, call Call, id string, u forgecroft.ProjectUpdate) (forgecroft.Project, error) {
	u.Name = normalPointer(u.Name)
	a := act{"project.update", forgecroft.PermWrite, "project", id}
	return mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (forgecroft.Project, error) {
		p, err := b.ownProject(ctx, tx, call, id)
		if err != nil {
			return p, err
		}
		p = u.Apply(p)
		if err := p.Validate(); err != nil {
			return p, err
		}
		p.Revision++
		p.UpdatedAt = b.instant()
		e.note("name", p.Name)
		return p, tx.UpdateProject(ctx, p)
	})
}

// ownProject loads a project that the caller may change and whose revision it knows.
func (b *Broker) ownProject(ctx context.Context, tx forgecroft.Tx, call Call, id string) (forgecroft.Project, error) {
	p, err := b.project(ctx, tx, call, id)
	if err != nil {
		return p, err
	}
	if err := call.changeable("project", p.Location()); err != nil {
		return p, err
	}
	return p, call.fresh(p.Revision)
}

// DeleteProject removes a project that holds nothing any more.
func (b *Broker) DeleteProject(ctx context.Context, call Call, id string) error {
	a := act{"project.delete", forgecroft.PermWrite, "project", id}
	_, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (struct{}, error) {
		p, err := b.ownProject(ctx, tx, call, id)
		if err != nil {
			return struct{}{}, err
		}
		contents, err := tx.ProjectContents(ctx, call.OrganizationID, id, MaxPage)
		if err != nil {
			return struct{}{}, err
		}
		if len(contents) > 0 {
			return struct{}{}, &forgecroft.Error{
				Kind: forgecroft.KindConflict, Code: "project_not_empty", Related: contents,
				Message: fmt.Sprintf("Project %q still holds workspaces, credential configs or API keys. Remove them first.", p.Name),
			}
		}
		e.note("name", p.Name)
		return struct{}{}, tx.DeleteProject(ctx, call.OrganizationID, id)
	})
	return err
}
