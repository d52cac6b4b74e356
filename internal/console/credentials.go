package console

import (
	"errors"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// listLimit is how many rows one page of a list has.
const listLimit = 50

// CredentialsView is the list of credential configs.
type CredentialsView struct {
	Rows      []CredentialRow
	Query     string
	Types     []Option
	Scopes    []Option
	States    []Option
	ProjectID string // of the project that they lie in; empty: any
	Project   *Link  // that project
	Filtered  bool
	Older     string // the next page; empty: this is the last one
	Newer     string // the page before; empty: this is the first one
	CanCreate bool
	CanVerify bool // some of the rows
}

func (CredentialsView) template() string { return "credentials" }

// CredentialRow is one credential config in a list.
type CredentialRow struct {
	ID                                 string
	Href, Name, Type, TypeTitle, Scope string
	Pick                               bool // the viewer may have it verified
	State                              Badge
	CheckedAt, LastUse                 time.Time
	Workspaces                         []Link
	Rest                               int    // how many more workspaces have it that the viewer may see
	All                                string // the list of all that have it
	Elsewhere                          int    // how many have it outside of what the viewer may see
}

// credentials lists credential configs, filtered.
func (c *Console) credentials(v *visit) (answer, error) {
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return answer{}, err
	}
	filter := forgecroft.CredentialConfigFilter{Query: v.query("q"), Type: v.query("type"), Scope: v.query("scope"), Verification: v.query("state"), ProjectID: v.query("project")}
	list, err := c.broker.ListCredentialConfigs(v.Context(), v.call(), filter, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return answer{}, err
	}
	needed := []string{filter.ProjectID}
	for _, config := range list.Items {
		needed = append(append(needed, config.ProjectID), workspacesToName(v, config)...)
	}
	names, err := c.broker.Names(v.Context(), v.call(), needed)
	if err != nil {
		return answer{}, err
	}
	view := CredentialsView{
		Query: filter.Query, Types: typeOptions(types, filter.Type), States: stateOptions(filter.Verification), Scopes: scopeOptions(filter.Scope),
		Filtered: filter != forgecroft.CredentialConfigFilter{}, Older: older(v, list.Next), Newer: newer(v), CanCreate: v.mayCreate(),
	}
	if filter.ProjectID != "" {
		link := linkTo(forgecroft.Related{Type: "project", ID: filter.ProjectID, Name: nameOf(names, filter.ProjectID)})
		view.ProjectID, view.Project = filter.ProjectID, &link
	}
	for _, config := range list.Items {
		row := credentialRow(types, names, config)
		row.hide(v, names, config)
		row.Pick = v.mayVerify(types, config)
		view.CanVerify = view.CanVerify || row.Pick
		view.Rows = append(view.Rows, row)
	}
	return show(v.page("Credentials", "credentials", view))
}

// credentialRow sums a config up.
func credentialRow(types forgecroft.Registry, names map[string]forgecroft.Related, c forgecroft.CredentialConfig) CredentialRow {
	row := CredentialRow{
		ID: c.ID, Href: Root + "credentials/" + c.ID, Name: c.Name, Type: c.Type, TypeTitle: typeTitle(types, c.Type), Scope: scopeName(names, c.ProjectID),
		State: stateBadge(types, c), LastUse: c.LastDeliveredAt, All: attachedAddress(c.ID), Rest: len(c.WorkspaceIDs),
	}
	for _, id := range firstWorkspaces(c) {
		if workspace, found := names[id]; found { // Others lie outside of what the viewer may see.
			row.Workspaces = append(row.Workspaces, linkTo(workspace))
			row.Rest--
		}
	}
	if c.Verification != nil && c.Verification.SecretVersion == c.SecretVersion {
		row.CheckedAt = c.Verification.CheckedAt
	}
	return row
}

// workspacesNamed is how many of its workspaces the row of a credential names.
const workspacesNamed = 2

// firstWorkspaces are the ids of those that a row names.
func firstWorkspaces(c forgecroft.CredentialConfig) []string {
	return c.WorkspaceIDs[:min(workspacesNamed, len(c.WorkspaceIDs))]
}

// workspacesToName are the ids of the workspaces whose names a row needs. For a narrow key it is all of them: those that it cannot name are not its own.
func workspacesToName(v *visit, c forgecroft.CredentialConfig) []string {
	if v.who.Scope.Kind() == forgecroft.ScopeOrganization {
		return firstWorkspaces(c)
	}
	return c.WorkspaceIDs
}

// hide takes the workspaces that the visitor may not see out of the rest, which is a list to follow.
func (r *CredentialRow) hide(v *visit, names map[string]forgecroft.Related, c forgecroft.CredentialConfig) {
	if v.who.Scope.Kind() == forgecroft.ScopeOrganization {
		return
	}
	for _, id := range c.WorkspaceIDs {
		if _, seen := names[id]; !seen {
			r.Elsewhere++
		}
	}
	r.Rest -= r.Elsewhere
}

// stateBadge words the state of a credential.
func stateBadge(types forgecroft.Registry, c forgecroft.CredentialConfig) Badge {
	switch {
	case c.SecretVersion == 0:
		return Badge{Tone: "warn", Text: "no secrets", Hint: "It delivers nothing until its secrets are stored."}
	case c.VerificationState() == forgecroft.VerifiedValid:
		return Badge{Tone: "good", Text: "valid"}
	case c.VerificationState() == forgecroft.VerifiedInvalid:
		return Badge{Tone: "bad", Text: "invalid", Hint: "The provider refused it."}
	case !verifiable(types, c):
		return Badge{Tone: "plain", Text: "stored", Hint: "Nobody can be asked about plain variables."}
	}
	return Badge{Tone: "plain", Text: "not verified", Hint: "Nobody has asked the provider about this version."}
}

// verifiable reports whether there is a provider to ask: there is none for variables of any names.
func verifiable(types forgecroft.Registry, c forgecroft.CredentialConfig) bool {
	t, known := types.Lookup(c.Type)
	return known && !t.AnyNames
}

// mayVerify reports whether the visitor may have a credential verified, and there is something to verify.
func (v *visit) mayVerify(types forgecroft.Registry, c forgecroft.CredentialConfig) bool {
	return v.may(forgecroft.PermVerify) && v.who.Reaches(c.Location()) && c.SecretVersion > 0 && verifiable(types, c)
}

// typeTitle is how people read a credential type.
func typeTitle(types forgecroft.Registry, name string) string {
	if t, known := types.Lookup(name); known {
		return t.Title
	}
	return name
}

// scopeName says where a credential may be used.
func scopeName(names map[string]forgecroft.Related, projectID string) string {
	if projectID == "" {
		return "organization"
	}
	if project, found := names[projectID]; found {
		return project.Name
	}
	return "another project"
}

// someProjects lists the newest projects that the viewer may see, and those that are needed however old they are; a runner sees none. Needed ids may be empty.
func (c *Console) someProjects(v *visit, needed ...string) ([]forgecroft.Project, error) {
	if !v.may(forgecroft.PermRead) {
		return nil, nil
	}
	list, err := c.broker.ListProjects(v.Context(), v.call(), forgecroft.ProjectFilter{}, broker.PageRequest{Limit: broker.MaxPage})
	if err != nil {
		return nil, err
	}
	found := map[string]bool{"": true} // id → it is listed, or looked for already
	for _, p := range list.Items {
		found[p.ID] = true
	}
	for _, id := range needed {
		if found[id] {
			continue
		}
		found[id] = true
		switch p, err := c.broker.GetProject(v.Context(), v.call(), id); {
		case err == nil:
			list.Items = append(list.Items, p)
		case !errors.Is(err, forgecroft.KindNotFound):
			return nil, err
		}
	}
	return list.Items, nil
}

func typeOptions(types forgecroft.Registry, chosen string) []Option {
	choices := []Option{{Label: "All types"}}
	for _, t := range types {
		choices = append(choices, Option{t.Name, t.Title, t.Name == chosen})
	}
	return choices
}

func stateOptions(chosen string) []Option {
	return []Option{
		{Label: "Any state"},
		{forgecroft.VerifiedValid, "Valid", chosen == forgecroft.VerifiedValid},
		{forgecroft.VerifiedInvalid, "Invalid", chosen == forgecroft.VerifiedInvalid},
		{forgecroft.Unverified, "Not verified", chosen == forgecroft.Unverified},
	}
}

func scopeOptions(chosen string) []Option {
	return []Option{
		{Label: "Any scope"},
		{forgecroft.ScopeOrganization, "Organization", chosen == forgecroft.ScopeOrganization},
		{forgecroft.ScopeProject, "Project", chosen == forgecroft.ScopeProject},
	}
}
