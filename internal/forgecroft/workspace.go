package forgecroft

import (
	"fmt"
	"time"
)

// MaxAttached is how many credential configs one workspace may have.
const MaxAttached = 50

// Workspace is one root module with its set of attached credentials.
type Workspace struct {
	ID                  string
	OrganizationID      string
	ProjectID           string
	Name                string // unique in the organization
	Description         string
	CredentialConfigIDs []string // in the order the user gave
	Revision            int64
	LastDeliveredAt     time.Time // zero: never; exact to a minute
	CreatedAt           time.Time
	UpdatedAt           time.Time
}

// Validate checks the rules of a workspace that need no other object.
func (w Workspace) Validate() error {
	fields := append(checkName("name", w.Name), checkDescription("description", w.Description)...)
	if w.ProjectID == "" {
		fields = append(fields, FieldError{"project_id", "required", "A workspace belongs to a project."})
	}
	return Invalid(append(fields, checkAttachedIDs(w.CredentialConfigIDs)...))
}

// checkAttachedIDs validates the list of credential config ids by itself.
func checkAttachedIDs(ids []string) []FieldError {
	if len(ids) > MaxAttached {
		return []FieldError{{"credential_config_ids", "too_many", fmt.Sprintf("A workspace has at most %d credential configs.", MaxAttached)}}
	}
	var fields []FieldError
	seen := make(map[string]bool, len(ids)) // id → seen before
	for i, id := range ids {
		field := fmt.Sprintf("credential_config_ids[%d]", i)
		switch {
		case !ValidID(id):
			fields = append(fields, FieldError{field, "invalid_id", "This is not a credential config id (a lower-case UUID)."})
		case seen[id]:
			fields = append(fields, FieldError{field, "duplicate", "This credential config stands in the list twice."})
		}
		seen[id] = true
	}
	return fields
}

// Location is where the workspace lies for the check of a scope.
func (w Workspace) Location() Location {
	return Location{OrganizationID: w.OrganizationID, ProjectID: w.ProjectID, WorkspaceID: w.ID}
}

// CheckAttachable checks that config may be attached to w: of the same organization and, if scoped to a project, of w's. The
// field error names the place in the list.
func (w Workspace) CheckAttachable(index int, config CredentialConfig) []FieldError {
	field := fmt.Sprintf("credential_config_ids[%d]", index)
	if config.OrganizationID != w.OrganizationID {
		return []FieldError{UnknownCredentialConfig(index)}
	}
	if config.ProjectID != "" && config.ProjectID != w.ProjectID {
		return []FieldError{{field, "out_of_scope", fmt.Sprintf("Credential config %q (%s) is scoped to another project than the workspace's.", config.Name, config.ID)}}
	}
	return nil
}

// UnknownCredentialConfig is the field error for an attached id that does not exist, or must look as if it did not.
func UnknownCredentialConfig(index int) FieldError {
	return FieldError{fmt.Sprintf("credential_config_ids[%d]", index), "not_found", "There is no such credential config in this organization."}
}

// WorkspaceFilter narrows a list of workspaces. Zero values do not filter.
type WorkspaceFilter struct {
	ID                 string // exactly this one: how a key's scope narrows a list
	ProjectID          string
	CredentialConfigID string // those that have it attached
	Name               string // exactly this name
	Query              string // part of the name, any case
}

// WorkspaceUpdate changes the members that are not nil. CredentialConfigIDs replaces the whole list.
type WorkspaceUpdate struct {
	Name                *string
	Description         *string
	CredentialConfigIDs *[]string
}

// Apply returns w with the update.
func (u WorkspaceUpdate) Apply(w Workspace) Workspace {
	set(&w.Name, u.Name)
	set(&w.Description, u.Description)
	set(&w.CredentialConfigIDs, u.CredentialConfigIDs)
	return w
}
