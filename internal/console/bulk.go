package console

import (
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Limits of what one form does to many objects.
const (
	bulkMost     = broker.MaxPage
	bulkAtOnce   = 8 // verifications that run at the same time
	attachRounds = 5 // attempts to change a workspace that others change at the same time
)

// BulkView reports what a form did to each of many objects.
type BulkView struct {
	Title, Lead string
	Rows        []BulkRow
	Back        Link
}

func (BulkView) template() string { return "bulk" }

// BulkRow is the outcome for one object.
type BulkRow struct {
	Object  Link
	Outcome Badge
	Detail  string // why it failed; empty: it did not
}

// chosen are the ids that a form with check boxes sends, each once.
func (v *visit) chosen() ([]string, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(v.PostForm["id"])))
	switch {
	case len(ids) == 0:
		return nil, forgecroft.Invalid([]forgecroft.FieldError{{Field: "id", Code: "required", Message: "Select at least one."}})
	case len(ids) > bulkMost:
		return nil, forgecroft.Invalid([]forgecroft.FieldError{{Field: "id", Code: "too_many", Message: "Select at most " + strconv.Itoa(bulkMost) + "."}})
	}
	return ids, nil
}

// bulkRow words the outcome for one object. An object without a name is gone, or was never in reach.
func bulkRow(names map[string]forgecroft.Related, kind, id string, done Badge, err error) BulkRow {
	row := BulkRow{Object: linkTo(forgecroft.Related{Type: kind, ID: id, Name: nameOf(names, id)}), Outcome: done}
	if _, found := names[id]; !found {
		row.Object.Href = ""
	}
	if err != nil {
		p := problemOf(err)
		row.Outcome, row.Detail = Badge{Tone: "bad", Text: "failed"}, p.Detail
		if len(p.Fields) > 0 {
			row.Detail = p.Fields[0].Message
		}
	}
	return row
}

// backToCredentials leads an address that a verification has left back to the list.
func backToCredentials(*visit) (answer, error) { return to(Root+"credentials", "") }

// verifyMany verifies each of the chosen credentials, and reports on each.
func (c *Console) verifyMany(v *visit) (answer, error) {
	ids, err := v.chosen()
	if err != nil {
		return answer{}, err
	}
	names, err := c.broker.Names(v.Context(), v.call(), ids)
	if err != nil {
		return answer{}, err
	}
	rows := make([]BulkRow, len(ids))
	places := make(chan struct{}, bulkAtOnce)
	var group sync.WaitGroup
	for i, id := range ids {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			result, err := c.broker.Verify(v.Context(), v.call(), id)
			rows[i] = bulkRow(names, "credential_config", id, resultView(&result, result.SecretVersion).Badge, err)
			if err == nil && !result.Valid {
				rows[i].Detail = result.Detail
			}
		})
	}
	group.Wait()
	return show(v.page("Verified credentials", "credentials", BulkView{
		Title: "Verified credentials", Lead: "The provider was asked about each of them.", Rows: rows, Back: Link{Name: "Credentials", Href: Root + "credentials"},
	}))
}

// ConfigWorkspacesView is a list of workspaces to attach a credential to, or to detach it from.
type ConfigWorkspacesView struct {
	Credential   Link
	ID           string
	Rows         []ConfigWorkspaceRow
	Query        string
	Older, Newer string
}

func (ConfigWorkspacesView) template() string { return "configworkspaces" }

// ConfigWorkspaceRow is one workspace that a credential may be attached to.
type ConfigWorkspaceRow struct {
	ID, Name, Href, Project string
	Attached                bool
}

// configWorkspaces lists the workspaces that a credential may be attached to.
func (c *Console) configWorkspaces(v *visit) (answer, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	p, err := c.configWorkspacesPage(v, config)
	return answer{page: p}, err
}

func (c *Console) configWorkspacesPage(v *visit, config forgecroft.CredentialConfig) (Page, error) {
	filter := forgecroft.WorkspaceFilter{Query: v.query("q"), ProjectID: config.ProjectID}
	list, err := c.broker.ListWorkspaces(v.Context(), v.call(), filter, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return Page{}, err
	}
	var projects []string
	for _, w := range list.Items {
		projects = append(projects, w.ProjectID)
	}
	names, err := c.broker.Names(v.Context(), v.call(), projects)
	view := ConfigWorkspacesView{
		Credential: linkTo(forgecroft.Related{Type: "credential_config", ID: config.ID, Name: config.Name}), ID: config.ID, Query: filter.Query, Older: older(v, list.Next), Newer: newer(v),
	}
	for _, w := range list.Items {
		view.Rows = append(view.Rows, ConfigWorkspaceRow{
			ID: w.ID, Name: w.Name, Href: Root + "workspaces/" + w.ID, Project: scopeName(names, w.ProjectID), Attached: slices.Contains(w.CredentialConfigIDs, config.ID),
		})
	}
	return v.page("Workspaces of "+config.Name, "credentials", view), err
}

// attachMany attaches a credential to each of the chosen workspaces, or detaches it from each, and reports on each. Sent twice, it changes nothing more.
func (c *Console) attachMany(v *visit) (answer, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	ids, err := v.chosen()
	if err != nil {
		return v.again(err, func() (Page, error) { return c.configWorkspacesPage(v, config) })
	}
	names, err := c.broker.Names(v.Context(), v.call(), ids)
	if err != nil {
		return answer{}, err
	}
	view := BulkView{Title: "Attached " + config.Name, Lead: "Each workspace was changed by itself.", Back: Link{Name: config.Name, Href: Root + "credentials/" + config.ID}}
	change, done, already := attached, "attached", "attached already"
	if v.field("do") == "detach" {
		view.Title, change, done, already = "Detached "+config.Name, detached, "detached", "not attached"
	}
	for _, id := range ids {
		changed, err := c.changeAttached(v, id, func(now []string) []string { return change(now, config.ID) })
		badge := Badge{Tone: "good", Text: done}
		if !changed {
			badge = Badge{Tone: "plain", Text: already}
		}
		view.Rows = append(view.Rows, bulkRow(names, "workspace", id, badge, err))
	}
	return show(v.page(view.Title, "credentials", view))
}

// attached is a list of credentials with one more at its end.
func attached(ids []string, id string) []string {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(slices.Clone(ids), id)
}

// detached is a list of credentials without one.
func detached(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
}

// changeAttached changes the credentials of a workspace as they are now, and reports whether there was anything to change. If others change it at the same time, it begins
// again from what they saved.
func (c *Console) changeAttached(v *visit, workspaceID string, change func([]string) []string) (bool, error) {
	var err error
	for range attachRounds {
		var w forgecroft.Workspace
		if w, err = c.broker.GetWorkspace(v.Context(), v.call(), workspaceID); err != nil {
			return false, err
		}
		ids := change(w.CredentialConfigIDs)
		if slices.Equal(ids, w.CredentialConfigIDs) {
			return false, nil
		}
		call := v.call()
		call.IfMatch = w.Revision
		if _, err = c.broker.UpdateWorkspace(v.Context(), call, w.ID, forgecroft.WorkspaceUpdate{CredentialConfigIDs: &ids}); !errors.Is(err, forgecroft.KindStale) {
			return err == nil, err
		}
	}
	return false, err
}

// detachEverywhere detaches a credential from the workspaces that the question before its deletion named. Those that are gone need nothing.
func (c *Console) detachEverywhere(v *visit, configID string) error {
	for _, id := range draftIDs(v.field("detach")) {
		_, err := c.changeAttached(v, id, func(now []string) []string { return detached(now, configID) })
		if err != nil && !errors.Is(err, forgecroft.KindNotFound) {
			return err
		}
	}
	return nil
}
