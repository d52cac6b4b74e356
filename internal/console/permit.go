package console

import "github.com/forgecroft/forgecroft/internal/forgecroft"

// permit says whether the visitor may do what a form is for, so that nobody fills one in to be refused. It is asked before the form is shown; what the form sends is for the broker to judge.
type permit func(v *visit) error

// mayCreate reports whether there is a place where the visitor may create credentials and workspaces: a key of a single workspace has none.
func (v *visit) mayCreate() bool {
	return v.may(forgecroft.PermWrite) && v.who.Scope.Kind() != forgecroft.ScopeWorkspace
}

// mayCreateProjects reports whether the visitor may create projects, which lie in the organization itself.
func (v *visit) mayCreateProjects() bool {
	return v.may(forgecroft.PermWrite) && v.who.Scope.Kind() == forgecroft.ScopeOrganization
}

// writes refuses roles that change nothing.
func (v *visit) writes() error {
	if !v.may(forgecroft.PermWrite) {
		return forgecroft.Errorf(forgecroft.KindForbidden, "forbidden", "The role %s of this API key does not allow this.", v.who.Role)
	}
	return nil
}

// reaches refuses who may not change what lies at a location.
func (v *visit) reaches(noun string, l forgecroft.Location) error {
	if err := v.writes(); err != nil {
		return err
	}
	if !v.mayChange(l) {
		return forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope", "This %s lies above the scope of this API key: it may be used, not changed.", noun)
	}
	return nil
}

// creating permits to create credentials and workspaces.
func creating(v *visit) error {
	if err := v.writes(); err != nil {
		return err
	}
	if !v.mayCreate() {
		return forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope", "An API key of a single workspace creates nothing beside it.")
	}
	return nil
}

// creatingProjects permits to create projects.
func creatingProjects(v *visit) error {
	if err := v.writes(); err != nil {
		return err
	}
	if !v.mayCreateProjects() {
		return forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope", "Only an API key of the whole organization creates projects.")
	}
	return nil
}

// changingCredential permits to change the credential in the path.
func (c *Console) changingCredential(v *visit) error {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return err
	}
	return v.reaches("credential config", config.Location())
}

// attachingCredential permits to attach the credential in the path to workspaces, some of which the visitor may change.
func (c *Console) attachingCredential(v *visit) error {
	if _, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID()); err != nil {
		return err
	}
	return v.writes()
}

// changingWorkspace permits to change the workspace in the path.
func (c *Console) changingWorkspace(v *visit) error {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if err != nil {
		return err
	}
	return v.reaches("workspace", w.Location())
}

// changingProject permits to change the project in the path.
func (c *Console) changingProject(v *visit) error {
	p, err := c.broker.GetProject(v.Context(), v.call(), v.objectID())
	if err != nil {
		return err
	}
	return v.reaches("project", p.Location())
}

// revokingKey permits to revoke the API key in the path.
func (c *Console) revokingKey(v *visit) error {
	k, err := c.findKey(v)
	if err == nil && !k.Role.AtMost(v.who.Role) {
		err = forgecroft.Errorf(forgecroft.KindForbidden, "role_above_own", "A key of role %s cannot revoke one of role %s.", v.who.Role, k.Role)
	}
	return err
}
