package forgecroft

import "time"

// Project groups workspaces; a credential config may be scoped to one.
type Project struct {
	ID             string
	OrganizationID string
	Name           string // unique in the organization
	Description    string
	Revision       int64
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Validate checks the rules of a project.
func (p Project) Validate() error {
	return Invalid(append(checkName("name", p.Name), checkDescription("description", p.Description)...))
}

// Location is where the project lies for the check of a scope.
func (p Project) Location() Location {
	return Location{OrganizationID: p.OrganizationID, ProjectID: p.ID}
}

// ProjectFilter narrows a list of projects. Zero values do not filter.
type ProjectFilter struct {
	ID    string // exactly this one: how a key's scope narrows a list
	Name  string // exactly this name
	Query string // part of the name, any case
}

// ProjectUpdate changes the members that are not nil.
type ProjectUpdate struct {
	Name        *string
	Description *string
}

// Apply returns p with the update.
func (u ProjectUpdate) Apply(p Project) Project {
	set(&p.Name, u.Name)
	set(&p.Description, u.Description)
	return p
}

// set assigns *to where the update has a value.
func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}
