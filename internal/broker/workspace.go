package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// CreateWorkspace makes a workspace in a project, with its credentials if any are given.
func (b *Broker) CreateWorkspace(ctx context.Context, call Call, w forgecroft.Workspace) (forgecroft.Workspace, error) {
	w.Name = normal(w.Name)
	a := act{"workspace.create", forgecroft.PermWrite, "workspace", ""}
	return create(ctx, b, call, a, w, func(tx forgecroft.Tx, e *entry) (forgecroft.Workspace, error) {
		w := w
		w.OrganizationID = call.OrganizationID
		if err := w.Validate(); err != nil {
			return w, err
		}
		if err := b.checkProjectMember(ctx, tx, call, w.ProjectID); err != nil {
			return w, err
		}
		if err := call.changeable("project", forgecroft.Location{OrganizationID: w.OrganizationID, ProjectID: w.ProjectID}); err != nil {
			return w, err
		}
		if err := b.checkAttached(ctx, tx, call, w); err != nil {
			return w, err
		}
		w.ID, w.Revision, w.CreatedAt = b.newID(), 1, b.instant()
		w.UpdatedAt = w.CreatedAt
		e.objectID = w.ID
		e.note("name", w.Name)
		e.note("project_id", w.ProjectID)
		e.note("credential_config_ids", w.CredentialConfigIDs)
		return w, tx.CreateWorkspace(ctx, w)
	})
}

// checkProjectMember checks the project_id of a body: a project that is absent, foreign or out of scope is the same field error.
func (b *Broker) checkProjectMember(ctx context.Context, r forgecroft.Reader, call Call, projectID string) error {
	missing := forgecroft.Invalid([]forgecroft.FieldError{{Field: "project_id", Code: "not_found", Message: "There is no such project in this organization."}})
	if !forgecroft.ValidID(projectID) {
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: "project_id", Code: "invalid_id", Message: "This is not a project id (a lower-case UUID)."}})
	}
	_, err := b.project(ctx, r, call, projectID)
	if errors.Is(err, forgecroft.KindNotFound) {
		return missing
	}
	return err
}

// checkAttached checks every credential config of a workspace: that it exists and may be attached, and that no two of
// them conflict.
func (b *Broker) checkAttached(ctx context.Context, r forgecroft.Reader, call Call, w forgecroft.Workspace) error {
	var fields []forgecroft.FieldError
	var effects []forgecroft.Effect
	size := 0
	for i, id := range w.CredentialConfigIDs {
		config, err := r.CredentialConfig(ctx, call.OrganizationID, id)
		if errors.Is(err, forgecroft.KindNotFound) || (err == nil && !call.Sees(config.Location())) {
			fields = append(fields, forgecroft.UnknownCredentialConfig(i))
			continue
		}
		if err != nil {
			return err
		}
		fields = append(fields, w.CheckAttachable(i, config)...)
		effects = append(effects, b.types.Effect(config))
		size += config.SecretSize
	}
	if err := forgecroft.Invalid(fields); err != nil {
		return err
	}
	if size > forgecroft.MaxEnvironment {
		return tooLarge("credential_config_ids", size)
	}
	return conflictError(forgecroft.Conflicts(effects))
}

// tooLarge is the refusal of an environment that no process could be started with.
func tooLarge(field string, size int) error {
	return forgecroft.Invalid([]forgecroft.FieldError{{Field: field, Code: "environment_too_large", Message: fmt.Sprintf(
		"Together the credentials hold %d bytes; a workspace delivers at most %d.", size, forgecroft.MaxEnvironment)}})
}

// conflictError refuses conflicts, naming both credentials and the variable.
func conflictError(conflicts []forgecroft.Conflict) error {
	if len(conflicts) == 0 {
		return nil
	}
	c := conflicts[0]
	message := fmt.Sprintf("Credential configs %q and %q would both set %s.", c.First.Name, c.Second.Name, c.Variable)
	if c.Group != "" {
		message = fmt.Sprintf("Credential configs %q and %q would both give the run a %s identity (%s). A run can have one.", c.First.Name, c.Second.Name, c.Group, c.Variable)
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindConflict, Code: "credential_conflict", Message: message,
		Fields:  []forgecroft.FieldError{{Field: c.Variable, Code: "conflict", Message: message}},
		Related: []forgecroft.Related{c.First, c.Second},
	}
}

// GetWorkspace reads one workspace.
func (b *Broker) GetWorkspace(ctx context.Context, call Call, id string) (forgecroft.Workspace, error) {
	a := act{"workspace.read", forgecroft.PermReadWorkspace, "workspace", id}
	return read(ctx, b, call, a, func() (forgecroft.Workspace, error) { return b.workspace(ctx, b.store, call, id) })
}

// workspace loads a workspace that the caller may see.
func (b *Broker) workspace(ctx context.Context, r forgecroft.Reader, call Call, id string) (forgecroft.Workspace, error) {
	w, err := r.Workspace(ctx, call.OrganizationID, id)
	if err != nil {
		return w, err
	}
	return w, call.visible("workspace", w.Location())
}

// ListWorkspaces lists the workspaces in the caller's scope.
func (b *Broker) ListWorkspaces(ctx context.Context, call Call, f forgecroft.WorkspaceFilter, page PageRequest) (Listing[forgecroft.Workspace], error) {
	a := act{"workspace.list", forgecroft.PermReadWorkspace, "workspace", ""}
	return read(ctx, b, call, a, func() (Listing[forgecroft.Workspace], error) {
		if f.ProjectID != "" && call.Scope.ProjectID != "" && f.ProjectID != call.Scope.ProjectID {
			return Listing[forgecroft.Workspace]{}, nil // Nothing in another project lies in scope.
		}
		f.ID = call.Scope.WorkspaceID
		if call.Scope.ProjectID != "" {
			f.ProjectID = call.Scope.ProjectID
		}
		return list(b, call, "workspaces", f, page, func(w forgecroft.Workspace) string { return w.ID }, func(p forgecroft.Page) ([]forgecroft.Workspace, error) {
			return b.store.Workspaces(ctx, call.OrganizationID, f, p)
		})
	})
}

// UpdateWorkspace changes a workspace. A list of credential configs replaces the whole list.
func (b *Broker) UpdateWorkspace(ctx context.Context, call Call, id string, u forgecroft.WorkspaceUpdate) (forgecroft.Workspace, error) {
	u.Name = normalPointer(u.Name)
	a := act{"workspace.update", forgecroft.PermWrite, "workspace", id}
	return mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (forgecroft.Workspace, error) {
		w, err := b.ownWorkspace(ctx, tx, call, id)
		if err != nil {
			return w, err
		}
		w = u.Apply(w)
		if err := w.Validate(); err != nil {
			return w, err
		}
		if u.CredentialConfigIDs != nil {
			if err := b.checkAttached(ctx, tx, call, w); err != nil {
				return w, err
			}
			e.note("credential_config_ids", w.CredentialConfigIDs)
		}
		w.Revision++
		w.UpdatedAt = b.instant()
		e.note("name", w.Name)
		return w, tx.UpdateWorkspace(ctx, w)
	})
}

// ownWorkspace loads a workspace that the caller may change and whose revision it knows.
func (b *Broker) ownWorkspace(ctx context.Context, tx forgecroft.Tx, call Call, id string) (forgecroft.Workspace, error) {
	w, err := b.workspace(ctx, tx, call, id)
	if err != nil {
		return w, err
	}
	if err := call.changeable("workspace", w.Location()); err != nil {
		return w, err
	}
	return w, call.fresh(w.Revision)
}

// CountWorkspaceKeys counts the live API keys that reach a workspace alone, for those who may delete it and then break them: how many there are is no secret, whose they are is.
func (b *Broker) CountWorkspaceKeys(ctx context.Context, call Call, id string) (int, error) {
	a := act{"workspace.read", forgecroft.PermWrite, "workspace", id}
	return read(ctx, b, call, a, func() (int, error) {
		w, err := b.workspace(ctx, b.store, call, id)
		if err != nil {
			return 0, err
		}
		if err := call.changeable("workspace", w.Location()); err != nil {
			return 0, err
		}
		return b.countLiveKeys(ctx, call.OrganizationID, forgecroft.APIKeyFilter{WorkspaceID: id})
	})
}

// countLiveKeys reads page after page: the end of a key is not the store's to judge.
func (b *Broker) countLiveKeys(ctx context.Context, organizationID string, f forgecroft.APIKeyFilter) (int, error) {
	live, now, page := 0, b.instant(), forgecroft.Page{Limit: MaxPage}
	for {
		keys, err := b.store.APIKeys(ctx, organizationID, f, page)
		if err != nil {
			return 0, err
		}
		for _, k := range keys {
			if k.Live(now) {
				live++
			}
		}
		if len(keys) < page.Limit {
			return live, nil
		}
		page.After = keys[len(keys)-1].ID
	}
}

// DeleteWorkspace removes a workspace and its attachments. The credential configs stay.
func (b *Broker) DeleteWorkspace(ctx context.Context, call Call, id string) error {
	a := act{"workspace.delete", forgecroft.PermWrite, "workspace", id}
	_, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (struct{}, error) {
		w, err := b.ownWorkspace(ctx, tx, call, id)
		if err != nil {
			return struct{}{}, err
		}
		e.note("name", w.Name)
		return struct{}{}, tx.DeleteWorkspace(ctx, call.OrganizationID, id)
	})
	return err
}
