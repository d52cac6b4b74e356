package console

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TypesView is the choice of a credential type.
type TypesView struct {
	Types []TypeChoice
	Paste string // the page that recognises the type by itself
}

func (TypesView) template() string { return "credentialtypes" }

// TypeChoice is one type to choose.
type TypeChoice struct{ Name, Title, Description, Href string }

// FormView is a plain form: create or change something.
type FormView struct {
	Lead, Submit string
	Icon         string // a credential type, or empty
	Fields       []Field
	Back         string
	Revision     int64 // 0: it makes something new
	Delete       string
	DeleteText   string
}

func (FormView) template() string { return "form" }

// newCredential offers the types, then the form of one.
func (c *Console) newCredential(v *visit) (answer, error) {
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return answer{}, err
	}
	if t, known := types.Lookup(v.query("type")); known {
		p, err := c.credentialForm(v, t, forgecroft.CredentialConfig{ProjectID: v.query("project")})
		return answer{page: p}, err
	}
	view := TypesView{Paste: Root + "credentials/paste"}
	for _, t := range types {
		view.Types = append(view.Types, TypeChoice{t.Name, t.Title, t.Description, Root + "credentials/new?type=" + t.Name})
	}
	return show(v.page("New credential", "credentials", view))
}

// credentialForm is the form of a config that is to be made.
func (c *Console) credentialForm(v *visit, t forgecroft.CredentialType, config forgecroft.CredentialConfig) (Page, error) {
	fields, err := c.credentialFields(v, config)
	return v.page("New credential: "+t.Title, "credentials", FormView{
		Lead: "First its name and who may use it. The secrets come on the next page.", Submit: "Create", Icon: t.Name, Fields: fields, Back: Root + "credentials/new",
	}), err
}

// credentialFields are the fields of a config's metadata.
func (c *Console) credentialFields(v *visit, config forgecroft.CredentialConfig) ([]Field, error) {
	scope, err := c.projectField(v, config.ProjectID, "The whole organization")
	scope.Label, scope.Help = "Who may use it", "A credential of the organization may be attached to every workspace; one of a project only to that project's."
	return append(nameFields(v, config.Name, config.Description, "aws-production"), scope), err
}

// nameFields are what most objects have.
func nameFields(v *visit, name, description, example string) []Field {
	return []Field{
		{Name: "name", Label: "Name", Kind: "text", Value: name, Required: true, Placeholder: example, Error: v.problem.Of("name")},
		{Name: "description", Label: "Description", Kind: "textarea", Value: description, Error: v.problem.Of("description")},
	}
}

// projectField is the choice of a project. wide is the label of none, which the viewer's scope may not allow; empty: there must be one.
func (c *Console) projectField(v *visit, chosen, wide string) (Field, error) {
	f := Field{Name: "project_id", Label: "Project", Kind: "select", Required: true, Error: v.problem.Of("project_id")}
	projects, err := c.someProjects(v, chosen)
	if err != nil {
		return f, err
	}
	if wide != "" && v.who.Scope.Kind() == forgecroft.ScopeOrganization {
		f.Options = append(f.Options, Option{"", wide, chosen == ""})
	}
	for _, p := range projects {
		label := p.Name
		if wide != "" {
			label = "Project " + p.Name
		}
		f.Options = append(f.Options, Option{p.ID, label, chosen == p.ID})
	}
	if !slices.ContainsFunc(f.Options, func(o Option) bool { return o.Chosen }) && chosen != "" {
		f.Options = append(f.Options, Option{chosen, "The project that it has", true}) // Or else a browser would choose the first one, which may be wider.
	}
	return f, nil
}

// createCredential makes a config and goes on to its secrets, or to the trust policy where that comes first.
func (c *Console) createCredential(v *visit) (answer, error) {
	config := forgecroft.CredentialConfig{Name: v.line("name"), Description: v.line("description"), ProjectID: v.line("project_id"), Type: v.query("type")}
	created, err := c.broker.CreateCredentialConfig(v.Context(), v.creates(), config)
	if err != nil {
		types, typesErr := c.broker.ListCredentialTypes(v.Context(), v.call())
		if typesErr != nil {
			return answer{}, err
		}
		t, known := types.Lookup(config.Type)
		if !known {
			return answer{}, err
		}
		return v.again(err, func() (Page, error) { return c.credentialForm(v, t, config) })
	}
	notice := "credential-made"
	if created.TrustPolicy != nil {
		notice = "role-made"
	}
	return to(Root+"credentials/"+created.ID+"/secrets", notice)
}

// editCredential is the form of a config that exists.
func (c *Console) editCredential(v *visit) (answer, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	p, err := c.editCredentialForm(v, config)
	return answer{page: p}, err
}

func (c *Console) editCredentialForm(v *visit, config forgecroft.CredentialConfig) (Page, error) {
	fields, err := c.credentialFields(v, config)
	back := Root + "credentials/" + config.ID
	return v.page("Edit credential", "credentials", FormView{
		Submit: "Save", Icon: config.Type, Fields: fields, Back: back, Revision: config.Revision, Delete: back + "/delete", DeleteText: "Delete this credential",
	}), err
}

// updateCredential changes a config's metadata.
func (c *Console) updateCredential(v *visit) (answer, error) {
	name, description, project := v.line("name"), v.line("description"), v.line("project_id")
	update := forgecroft.CredentialConfigUpdate{Name: &name, Description: &description, ProjectID: &project}
	_, err := c.broker.UpdateCredentialConfig(v.Context(), v.changes(), v.objectID(), update)
	if err == nil {
		return to(Root+"credentials/"+v.objectID(), "saved")
	}
	config, readErr := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if readErr != nil {
		return answer{}, readErr
	}
	theirs := rivals{"name": config.Name, "description": config.Description, "project_id": config.ProjectID}
	return v.editAgain(err, Root+"credentials/"+config.ID, theirs, func() (Page, error) { return c.editCredentialForm(v, update.Apply(config)) })
}

// confirmDeleteCredential asks before a config goes.
func (c *Console) confirmDeleteCredential(v *visit) (answer, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	p, err := c.deleteCredentialPage(v, config)
	return answer{page: p}, err
}

func (c *Console) deleteCredentialPage(v *visit, config forgecroft.CredentialConfig) (Page, error) {
	users, all, err := c.users(v, config.ID)
	if err != nil {
		return Page{}, err
	}
	elsewhere, err := c.elsewhere(v, config)
	danger := Danger{Act: "Delete credential", Name: config.Name, Cancel: Root + "credentials/" + config.ID, Breaks: users, Revision: config.Revision}
	workspaces := users[:slices.IndexFunc(append(slices.Clone(users), Link{}), func(l Link) bool { return l.Kind != "workspace" })]
	switch {
	case len(users) == 0 && elsewhere == 0:
		danger.Warning = goneForGood
	case len(workspaces) == len(users) && all == "" && elsewhere == 0:
		danger.Act, danger.Detach = "Detach everywhere and delete", idsOf(workspaces)
		danger.Warning = "It is detached from these workspaces first: their next runs do not get it any more. " + goneForGood
	default:
		danger.Blocked = true
		danger.Warning = "It is still used. Detach it in these places first: a run must not lose its credential by surprise."
	}
	return v.ask("Delete "+config.Name, "credentials", danger), err
}

// goneForGood says what a deletion means.
const goneForGood = "Its secrets are destroyed in the vault and cannot be brought back. At the provider they stay valid: revoke them there as well."

// idsOf are the ids of linked objects, joined with commas.
func idsOf(links []Link) string {
	ids := make([]string, len(links))
	for i, l := range links {
		ids[i] = path.Base(l.Href)
	}
	return strings.Join(ids, ",")
}

// deleteCredential deletes a config that nothing uses, or that only the workspaces use which the form names.
func (c *Console) deleteCredential(v *visit) (answer, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if errors.Is(err, forgecroft.KindNotFound) {
		return to(Root+"credentials", "gone-already") // The same form, sent twice.
	}
	if err != nil {
		return answer{}, err
	}
	if err = c.confirmed(v, config.Name); err == nil {
		err = c.detachEverywhere(v, config.ID)
	}
	if err == nil {
		err = c.broker.DeleteCredentialConfig(v.Context(), v.changes(), config.ID)
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return c.deleteCredentialPage(v, config) })
	}
	return to(Root+"credentials", "deleted")
}
