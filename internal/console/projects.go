package console

import (
	"errors"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// ProjectsView is the list of projects.
type ProjectsView struct {
	Rows      []ProjectRow
	Query     string
	Filtered  bool
	Older     string
	Newer     string
	CanCreate bool
}

func (ProjectsView) template() string { return "projects" }

// ProjectRow is one project in a list.
type ProjectRow struct {
	Href, Name, Description string
	CreatedAt               time.Time
}

// ProjectView is one project with what lies in it.
type ProjectView struct {
	ID, Name, Description   string
	CreatedAt               time.Time
	Workspaces, Credentials []Link
	// The lists of all of them, where not all are here.
	AllWorkspaces, AllCredentials string
	CanChange, CanWrite           bool
	MakesKeys                     bool // whether API keys may be made for it
}

func (ProjectView) template() string { return "project" }

// projects lists projects.
func (c *Console) projects(v *visit) (answer, error) {
	filter := forgecroft.ProjectFilter{Query: v.query("q")}
	list, err := c.broker.ListProjects(v.Context(), v.call(), filter, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return answer{}, err
	}
	view := ProjectsView{
		Query: filter.Query, Filtered: filter.Query != "", Older: older(v, list.Next), Newer: newer(v),
		CanCreate: v.mayCreateProjects(),
	}
	for _, p := range list.Items {
		view.Rows = append(view.Rows, ProjectRow{Root + "projects/" + p.ID, p.Name, p.Description, p.CreatedAt})
	}
	return show(v.page("Projects", "projects", view))
}

// project shows one project.
func (c *Console) project(v *visit) (answer, error) {
	p, err := c.broker.GetProject(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	view := ProjectView{
		ID: p.ID, Name: p.Name, Description: p.Description, CreatedAt: p.CreatedAt,
		CanChange: v.mayChange(p.Location()), CanWrite: v.may(forgecroft.PermWrite) && v.who.Reaches(p.Location()),
		MakesKeys: v.may(forgecroft.PermKeys) && v.who.Reaches(p.Location()),
	}
	if err := c.fillContents(v, &view); err != nil {
		return answer{}, err
	}
	return show(v.page(p.Name, "projects", view))
}

// contentsShown is how many workspaces, and how many credentials, the page of a project names.
const contentsShown = 100

// fillContents lists what lies in a project.
func (c *Console) fillContents(v *visit, view *ProjectView) error {
	page := broker.PageRequest{Limit: contentsShown}
	workspaces, err := c.broker.ListWorkspaces(v.Context(), v.call(), forgecroft.WorkspaceFilter{ProjectID: view.ID}, page)
	if err != nil {
		return err
	}
	for _, w := range workspaces.Items {
		view.Workspaces = append(view.Workspaces, linkTo(forgecroft.Related{Type: "workspace", ID: w.ID, Name: w.Name}))
	}
	if workspaces.Next != "" {
		view.AllWorkspaces = Root + "workspaces?project=" + view.ID
	}
	configs, err := c.broker.ListCredentialConfigs(v.Context(), v.call(), forgecroft.CredentialConfigFilter{ProjectID: view.ID}, page)
	for _, config := range configs.Items {
		view.Credentials = append(view.Credentials, linkTo(forgecroft.Related{Type: "credential_config", ID: config.ID, Name: config.Name}))
	}
	if configs.Next != "" {
		view.AllCredentials = Root + "credentials?project=" + view.ID
	}
	return err
}

// newProject is the form of a project that is to be made.
func (c *Console) newProject(v *visit) (answer, error) {
	return show(projectForm(v, forgecroft.Project{}))
}

func projectForm(v *visit, p forgecroft.Project) Page {
	view := FormView{
		Lead: "A project groups the workspaces of a team or a product. Credentials and API keys can be limited to it.", Submit: "Create",
		Fields: nameFields(v, p.Name, p.Description, "platform"), Back: Root + "projects",
	}
	title := "New project"
	if p.ID != "" {
		title, view.Lead, view.Submit, view.Back = "Edit project", "", "Save", Root+"projects/"+p.ID
		view.Revision, view.Delete, view.DeleteText = p.Revision, view.Back+"/delete", "Delete this project"
	}
	return v.page(title, "projects", view)
}

// createProject makes a project.
func (c *Console) createProject(v *visit) (answer, error) {
	p := forgecroft.Project{Name: v.line("name"), Description: v.line("description")}
	created, err := c.broker.CreateProject(v.Context(), v.creates(), p)
	if err != nil {
		return v.again(err, func() (Page, error) { return projectForm(v, p), nil })
	}
	return to(Root+"projects/"+created.ID, "created")
}

// editProject is the form of a project that exists.
func (c *Console) editProject(v *visit) (answer, error) {
	p, err := c.broker.GetProject(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	return show(projectForm(v, p))
}

// updateProject changes name and description.
func (c *Console) updateProject(v *visit) (answer, error) {
	name, description := v.line("name"), v.line("description")
	update := forgecroft.ProjectUpdate{Name: &name, Description: &description}
	_, err := c.broker.UpdateProject(v.Context(), v.changes(), v.objectID(), update)
	if err == nil {
		return to(Root+"projects/"+v.objectID(), "saved")
	}
	p, readErr := c.broker.GetProject(v.Context(), v.call(), v.objectID())
	if readErr != nil {
		return answer{}, readErr
	}
	return v.editAgain(err, Root+"projects/"+p.ID, rivals{"name": p.Name, "description": p.Description}, func() (Page, error) { return projectForm(v, update.Apply(p)), nil })
}

// confirmDeleteProject asks before a project goes.
func (c *Console) confirmDeleteProject(v *visit) (answer, error) {
	p, err := c.broker.GetProject(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	page, err := c.deleteProjectPage(v, p)
	return answer{page: page}, err
}

func (c *Console) deleteProjectPage(v *visit, p forgecroft.Project) (Page, error) {
	inside := ProjectView{ID: p.ID}
	err := c.fillContents(v, &inside)
	view := Danger{
		Act: "Delete project", Name: p.Name, Cancel: Root + "projects/" + p.ID, Breaks: append(inside.Workspaces, inside.Credentials...),
		Warning: "An empty project goes without a trace but its audit entries.", Revision: p.Revision,
	}
	if view.Blocked = len(view.Breaks) > 0; view.Blocked {
		view.Warning = "A project goes only when nothing lies in it any more."
	}
	return v.ask("Delete "+p.Name, "projects", view), err
}

// deleteProject deletes a project that holds nothing.
func (c *Console) deleteProject(v *visit) (answer, error) {
	p, err := c.broker.GetProject(v.Context(), v.call(), v.objectID())
	if errors.Is(err, forgecroft.KindNotFound) {
		return to(Root+"projects", "gone-already") // The same form, sent twice.
	}
	if err != nil {
		return answer{}, err
	}
	if err = c.confirmed(v, p.Name); err == nil {
		err = c.broker.DeleteProject(v.Context(), v.changes(), p.ID)
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return c.deleteProjectPage(v, p) })
	}
	return to(Root+"projects", "deleted")
}
