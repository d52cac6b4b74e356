package httpapi

import (
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) createProject(r *request, in sdk.CreateProject) (sdk.Project, error) {
	p, err := a.broker.CreateProject(r.Context(), r.call, forgecroft.Project{Name: in.Name, Description: in.Description})
	return wireProject(p), err
}

func (a *api) listProjects(r *request) (sdk.List[sdk.Project], error) {
	f := forgecroft.ProjectFilter{Name: r.text("name"), Query: r.text("q")}
	l, err := a.broker.ListProjects(r.Context(), r.call, f, r.page())
	return pageOf(l, wireProject), err
}

func (a *api) getProject(r *request) (sdk.Project, error) {
	p, err := a.broker.GetProject(r.Context(), r.call, r.id())
	return wireProject(p), err
}

func (a *api) updateProject(r *request, in sdk.UpdateProject) (sdk.Project, error) {
	u := forgecroft.ProjectUpdate{Name: in.Name, Description: in.Description}
	p, err := a.broker.UpdateProject(r.Context(), r.call, r.id(), u)
	return wireProject(p), err
}

func (a *api) deleteProject(r *request) error {
	return a.broker.DeleteProject(r.Context(), r.call, r.id())
}

// wireProject converts a project.
func wireProject(p forgecroft.Project) sdk.Project {
	return sdk.Project{
		ID: p.ID, OrganizationID: p.OrganizationID, Name: p.Name, Description: p.Description,
		Revision: p.Revision, CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}
