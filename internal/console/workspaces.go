package console

import (
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// WorkspacesView is the list of workspaces.
type WorkspacesView struct {
	Rows       []WorkspaceRow
	Query      string
	Projects   []Option
	Credential string // the id of the one that they must have attached; empty: any
	With       *Link  // that one
	Filtered   bool
	Older      string
	Newer      string
	CanCreate  bool
}

func (WorkspacesView) template() string { return "workspaces" }

// WorkspaceRow is one workspace in a list.
type WorkspaceRow struct {
	Href, Name, Description, Project string
	Credentials                      int
	Health                           Badge // of its credentials; zero: the viewer may not read them
	LastDelivered                    time.Time
}

// workspaces lists workspaces, filtered.
func (c *Console) workspaces(v *visit) (answer, error) {
	filter := forgecroft.WorkspaceFilter{Query: v.query("q"), ProjectID: v.query("project"), CredentialConfigID: v.query("credential")}
	list, err := c.broker.ListWorkspaces(v.Context(), v.call(), filter, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return answer{}, err
	}
	needed := []string{filter.ProjectID}
	for _, w := range list.Items {
		needed = append(needed, w.ProjectID)
	}
	projects, err := c.someProjects(v, needed...)
	if err != nil {
		return answer{}, err
	}
	view := WorkspacesView{
		Query: filter.Query, Projects: []Option{{Label: "All projects"}}, Filtered: filter != forgecroft.WorkspaceFilter{},
		Older: older(v, list.Next), Newer: newer(v), CanCreate: v.mayCreate(),
	}
	if filter.CredentialConfigID != "" {
		known, err := c.broker.Names(v.Context(), v.call(), []string{filter.CredentialConfigID})
		if err != nil {
			return answer{}, err
		}
		link := linkTo(forgecroft.Related{Type: "credential_config", ID: filter.CredentialConfigID, Name: nameOf(known, filter.CredentialConfigID)})
		view.Credential, view.With = filter.CredentialConfigID, &link
	}
	names := map[string]string{} // project id → name
	for _, p := range projects {
		names[p.ID] = p.Name
		view.Projects = append(view.Projects, Option{p.ID, p.Name, p.ID == filter.ProjectID})
	}
	attached, types, err := c.attachedConfigs(v, list.Items...)
	if err != nil {
		return answer{}, err
	}
	for _, w := range list.Items {
		row := WorkspaceRow{
			Href: Root + "workspaces/" + w.ID, Name: w.Name, Description: w.Description, Project: names[w.ProjectID], Credentials: len(w.CredentialConfigIDs), LastDelivered: w.LastDeliveredAt,
		}
		if attached != nil {
			row.Health = healthOf(types, attached, w)
		}
		view.Rows = append(view.Rows, row)
	}
	return show(v.page("Workspaces", "workspaces", view))
}

// WorkspaceView is one workspace with the environment of its next run.
type WorkspaceView struct {
	ID, Name, Description    string
	Project                  *Link
	LastDelivered, CreatedAt time.Time
	Environment              EnvironmentView
	Credentials              []CredentialRow // in the order of delivery
	Deliveries               []DeliveryView
	Reads                    bool // the viewer may read credentials and deliveries
	CanChange                bool
}

func (WorkspaceView) template() string { return "workspace" }

// EnvironmentView is what a run gets: names and origins, never a value.
type EnvironmentView struct {
	Sources   []SourceView
	Unset     []string
	Conflicts []ConflictView
	Missing   []Link
	Variables int
}

// SourceView is one attached credential with what it sets.
type SourceView struct {
	Name, Href, Type string
	Variables        []VariableView
}

// VariableView is one variable of a run.
type VariableView struct {
	Name     string
	File     bool // its value is the path of a private file
	Secret   bool
	Conflict bool
}

// ConflictView is two credentials that want the same.
type ConflictView struct {
	Variable, Group string
	First, Second   Link
}

// workspace shows one workspace.
func (c *Console) workspace(v *visit) (answer, error) {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	preview, err := c.broker.PreviewEnvironment(v.Context(), v.call(), w.ID)
	if err != nil {
		return answer{}, err
	}
	view := WorkspaceView{
		ID: w.ID, Name: w.Name, Description: w.Description, LastDelivered: w.LastDeliveredAt, CreatedAt: w.CreatedAt,
		Environment: environmentView(preview), CanChange: v.mayChange(w.Location()),
	}
	if !v.may(forgecroft.PermRead) {
		view.Environment.unlink()
	} else {
		project, err := c.broker.GetProject(v.Context(), v.call(), w.ProjectID)
		if err != nil {
			return answer{}, err
		}
		link := linkTo(forgecroft.Related{Type: "project", ID: project.ID, Name: project.Name})
		view.Project = &link
		if err := c.workspaceHealth(v, w, &view); err != nil {
			return answer{}, err
		}
	}
	return show(v.page(w.Name, "workspaces", view))
}

// environmentView words a preview.
func environmentView(p broker.Preview) EnvironmentView {
	view := EnvironmentView{Unset: p.Unset, Missing: linksTo(p.Missing)}
	contested := map[string]bool{} // config id and variable → two want it
	for _, c := range p.Conflicts {
		contested[c.First.ID+c.Variable], contested[c.Second.ID+c.Variable] = true, true
		view.Conflicts = append(view.Conflicts, ConflictView{c.Variable, c.Group, linkTo(c.First), linkTo(c.Second)})
	}
	for _, effect := range p.Effects {
		source := SourceView{Name: effect.ConfigName, Href: Root + "credentials/" + effect.ConfigID, Type: effect.Type}
		for _, variable := range effect.Variables {
			source.Variables = append(source.Variables, VariableView{variable.Name, variable.File, variable.Secret, contested[effect.ConfigID+variable.Name]})
		}
		view.Variables += len(source.Variables)
		view.Sources = append(view.Sources, source)
	}
	return view
}

// unlink leaves the names of credentials and takes the way to them, for those who may not read them.
func (e *EnvironmentView) unlink() {
	for i := range e.Sources {
		e.Sources[i].Href = ""
	}
	for i := range e.Missing {
		e.Missing[i].Href = ""
	}
	for i := range e.Conflicts {
		e.Conflicts[i].First.Href, e.Conflicts[i].Second.Href = "", ""
	}
}

// newWorkspace is the form of a workspace that is to be made.
func (c *Console) newWorkspace(v *visit) (answer, error) {
	p, err := c.workspaceForm(v, forgecroft.Workspace{ProjectID: v.query("project")})
	return answer{page: p}, err
}

func (c *Console) workspaceForm(v *visit, w forgecroft.Workspace) (Page, error) {
	project, err := c.projectField(v, w.ProjectID, "")
	fields := append(nameFields(v, w.Name, w.Description, "network-production"), project)
	return v.page("New workspace", "workspaces", FormView{
		Lead: "A workspace is one root module: what one terraform run works on. It gets its credentials next.", Submit: "Create", Fields: fields, Back: Root + "workspaces",
	}), err
}

// createWorkspace makes a workspace and goes on to its credentials.
func (c *Console) createWorkspace(v *visit) (answer, error) {
	w := forgecroft.Workspace{Name: v.line("name"), Description: v.line("description"), ProjectID: v.line("project_id")}
	created, err := c.broker.CreateWorkspace(v.Context(), v.creates(), w)
	if err != nil {
		return v.again(err, func() (Page, error) { return c.workspaceForm(v, w) })
	}
	return to(Root+"workspaces/"+created.ID+"/attach", "created")
}

// editWorkspace is the form of a workspace that exists.
func (c *Console) editWorkspace(v *visit) (answer, error) {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	return show(editWorkspaceForm(v, w))
}

func editWorkspaceForm(v *visit, w forgecroft.Workspace) Page {
	back := Root + "workspaces/" + w.ID
	return v.page("Edit workspace", "workspaces", FormView{
		Submit: "Save", Fields: nameFields(v, w.Name, w.Description, ""), Back: back, Revision: w.Revision, Delete: back + "/delete", DeleteText: "Delete this workspace",
	})
}

// updateWorkspace changes name and description.
func (c *Console) updateWorkspace(v *visit) (answer, error) {
	name, description := v.line("name"), v.line("description")
	update := forgecroft.WorkspaceUpdate{Name: &name, Description: &description}
	_, err := c.broker.UpdateWorkspace(v.Context(), v.changes(), v.objectID(), update)
	if err == nil {
		return to(Root+"workspaces/"+v.objectID(), "saved")
	}
	w, readErr := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if readErr != nil {
		return answer{}, readErr
	}
	return v.editAgain(err, Root+"workspaces/"+w.ID, rivals{"name": w.Name, "description": w.Description}, func() (Page, error) {
		return editWorkspaceForm(v, update.Apply(w)), nil
	})
}

// confirmDeleteWorkspace asks before a workspace goes.
func (c *Console) confirmDeleteWorkspace(v *visit) (answer, error) {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	p, err := c.deleteWorkspacePage(v, w)
	return answer{page: p}, err
}

func (c *Console) deleteWorkspacePage(v *visit, w forgecroft.Workspace) (Page, error) {
	keys, err := c.keysOf(v, w.ID)
	if err != nil {
		return Page{}, err
	}
	broken, err := c.broker.CountWorkspaceKeys(v.Context(), v.call(), w.ID)
	return v.ask("Delete "+w.Name, "workspaces", Danger{
		Act: "Delete workspace", Name: w.Name, Breaks: keys, Cancel: Root + "workspaces/" + w.ID, Revision: w.Revision,
		Warning: "Runs of this workspace get no credentials any more. " + brokenKeys(broken) + " The credentials themselves stay: " + count(len(w.CredentialConfigIDs), "attached one") + ". Terraform's state is not touched.",
	}), err
}

// brokenKeys says how many API keys a deletion breaks, to those as well who may not know which.
func brokenKeys(n int) string {
	switch n {
	case 0:
		return "No API key is scoped to it."
	case 1:
		return "1 API key is scoped to it, and reaches nothing any more."
	}
	return fmt.Sprintf("%d API keys are scoped to it, and reach nothing any more.", n)
}

// keysOf lists the live API keys that reach this workspace alone, where the viewer may know them.
func (c *Console) keysOf(v *visit, workspaceID string) ([]Link, error) {
	if !v.may(forgecroft.PermKeys) {
		return nil, nil
	}
	keys, _, err := collect(1000, func(page broker.PageRequest) (broker.Listing[forgecroft.APIKey], error) {
		return c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, page)
	})
	var links []Link
	for _, k := range keys {
		if k.Scope.WorkspaceID == workspaceID && k.Live(v.now) {
			links = append(links, linkTo(forgecroft.Related{Type: "api_key", ID: k.ID, Name: k.Name}))
		}
	}
	return links, err
}

// deleteWorkspace deletes a workspace.
func (c *Console) deleteWorkspace(v *visit) (answer, error) {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if errors.Is(err, forgecroft.KindNotFound) {
		return to(Root+"workspaces", "gone-already") // The same form, sent twice.
	}
	if err != nil {
		return answer{}, err
	}
	if err = c.confirmed(v, w.Name); err == nil {
		err = c.broker.DeleteWorkspace(v.Context(), v.changes(), w.ID)
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return c.deleteWorkspacePage(v, w) })
	}
	return to(Root+"workspaces", "deleted")
}
