package console

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// DraftView is the list of a workspace's credentials while it is being changed. The draft is the address itself, so that every step is a link, the back button
// undoes it, and nothing is kept anywhere before it is saved.
type DraftView struct {
	Workspace, Href string
	Revision        int64
	Rows            []DraftRow
	Choices         []Option // what may be attached beside
	Find            string   // narrows the choices to names that have this in them
	Narrow          bool     // there are many, or they were narrowed: names can be looked for
	IDs             string   // the draft, as the form sends it
	Changed         bool
	Environment     EnvironmentView
	Blocked         bool       // it cannot be saved: conflicts
	Rival           *RivalView // somebody else saved meanwhile
	Broken          *Problem   // an id in the address may not be attached
}

func (DraftView) template() string { return "attach" }

// DraftRow is one credential of the draft, with the addresses that move or remove it.
type DraftRow struct {
	ID, Name, Href, Type, TypeTitle, Scope string
	State                                  Badge
	Up, Down, Remove                       string // empty: not possible
}

// RivalView is what somebody else saved, beside the draft.
type RivalView struct {
	Names []string // what is attached now
	Mine  string   // the address that goes on with the draft over it
	Now   string   // the address that begins again from it
}

// draft shows the workspace's credentials as the address has them.
func (c *Console) draft(v *visit) (answer, error) {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	ids, revision := w.CredentialConfigIDs, w.Revision
	if v.URL.Query().Has("ids") {
		ids = draftIDs(v.query("ids"))
		revision = revisionOf(v.query("revision"), revision)
	}
	if add := v.query("add"); add != "" && !slices.Contains(ids, add) {
		ids = append(slices.Clone(ids), add)
	}
	view, err := c.draftView(v, w, ids, revision)
	if err != nil {
		return answer{}, err
	}
	return show(v.page("Credentials of "+w.Name, "workspaces", view))
}

// draftIDs reads the list from an address or a form.
func draftIDs(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

// revisionOf reads the revision that a draft began at.
func revisionOf(text string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// draftView works out what the draft would do.
func (c *Console) draftView(v *visit, w forgecroft.Workspace, ids []string, revision int64) (DraftView, error) {
	view := DraftView{Workspace: w.Name, Href: Root + "workspaces/" + w.ID, Revision: revision, IDs: strings.Join(ids, ","), Changed: !slices.Equal(ids, w.CredentialConfigIDs)}
	if revision != w.Revision {
		rival, err := c.rival(v, w, ids)
		if err != nil {
			return view, err
		}
		view.Rival = rival
	}
	preview, err := c.broker.PreviewDraft(v.Context(), v.call(), w.ID, ids)
	var invalid *forgecroft.Error
	switch {
	case errors.As(err, &invalid) && (invalid.Kind == forgecroft.KindInvalid || invalid.Kind == forgecroft.KindNotFound):
		view.Broken = problemOf(err)
	case err != nil:
		return view, err
	}
	view.Environment = environmentView(preview)
	view.Blocked = len(preview.Conflicts) > 0 || view.Broken != nil
	return view, c.draftRows(v, w, ids, &view)
}

// choicesEasy is how many credentials are found without a search.
const choicesEasy = 5

// choicesOffered is how many credentials the picker offers: the newest, or the newest of those that are looked for.
const choicesOffered = 200

// draftRows fills in the rows of the draft and what may be attached beside them.
func (c *Console) draftRows(v *visit, w forgecroft.Workspace, ids []string, view *DraftView) error {
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return err
	}
	names, err := c.broker.Names(v.Context(), v.call(), []string{w.ProjectID})
	if err != nil {
		return err
	}
	view.Find = v.query("find")
	configs, more, err := c.someCredentials(v, choicesOffered, forgecroft.CredentialConfigFilter{Query: view.Find})
	if err != nil {
		return err
	}
	view.Narrow = more || view.Find != "" || len(configs) > choicesEasy
	known := map[string]forgecroft.CredentialConfig{} // id → config
	for _, config := range configs {
		known[config.ID] = config
		if !slices.Contains(ids, config.ID) && len(w.CheckAttachable(0, config)) == 0 {
			label := config.Name + " (" + typeTitle(types, config.Type) + ", " + scopeName(names, config.ProjectID) + ")"
			view.Choices = append(view.Choices, Option{Value: config.ID, Label: label})
		}
	}
	slices.SortFunc(view.Choices, func(a, b Option) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)), strings.Compare(a.Value, b.Value))
	})
	if err := c.alsoKnown(v, ids, known); err != nil {
		return err
	}
	for i, id := range ids {
		row := DraftRow{ID: id, Name: id, Remove: draftAddress(view, slices.Delete(slices.Clone(ids), i, i+1))}
		if config, found := known[id]; found {
			summary := credentialRow(types, names, config)
			row.Name, row.Href, row.Type, row.TypeTitle, row.Scope, row.State = summary.Name, summary.Href, summary.Type, summary.TypeTitle, summary.Scope, summary.State
		}
		if i > 0 {
			row.Up = draftAddress(view, swapped(ids, i-1))
		}
		if i+1 < len(ids) {
			row.Down = draftAddress(view, swapped(ids, i))
		}
		view.Rows = append(view.Rows, row)
	}
	return nil
}

// alsoKnown reads the configs among ids that are not known yet, if they are there.
func (c *Console) alsoKnown(v *visit, ids []string, known map[string]forgecroft.CredentialConfig) error {
	for _, id := range ids {
		if _, found := known[id]; found {
			continue
		}
		switch config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), id); {
		case err == nil:
			known[id] = config
		case !errors.Is(err, forgecroft.KindNotFound):
			return err
		}
	}
	return nil
}

// swapped is the list with the items at i and i+1 in each other's place.
func swapped(ids []string, i int) []string {
	moved := slices.Clone(ids)
	moved[i], moved[i+1] = moved[i+1], moved[i]
	return moved
}

// draftAddress is where another draft is shown.
func draftAddress(view *DraftView, ids []string) string {
	query := url.Values{"ids": {strings.Join(ids, ",")}, "revision": {strconv.FormatInt(view.Revision, 10)}}
	return view.Href + "/attach?" + query.Encode()
}

// rival names what is attached now, for a draft that began at an older revision.
func (c *Console) rival(v *visit, w forgecroft.Workspace, ids []string) (*RivalView, error) {
	now := &DraftView{Href: Root + "workspaces/" + w.ID, Revision: w.Revision}
	r := &RivalView{Mine: draftAddress(now, ids), Now: now.Href + "/attach"}
	preview, err := c.broker.PreviewEnvironment(v.Context(), v.call(), w.ID)
	if err != nil {
		return nil, err
	}
	for _, effect := range preview.Effects {
		r.Names = append(r.Names, effect.ConfigName)
	}
	return r, nil
}

// attach saves the draft: the whole list, if nobody has changed the workspace since the draft began.
func (c *Console) attach(v *visit) (answer, error) {
	ids := draftIDs(v.field("ids"))
	call := v.changes()
	_, err := c.broker.UpdateWorkspace(v.Context(), call, v.objectID(), forgecroft.WorkspaceUpdate{CredentialConfigIDs: &ids})
	if errors.Is(err, forgecroft.KindStale) {
		if w, readErr := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID()); readErr == nil && slices.Equal(w.CredentialConfigIDs, ids) {
			err = nil // It is as it should be: the same form, sent twice.
		}
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return c.draftAgain(v, ids, call) })
	}
	return to(Root+"workspaces/"+v.objectID(), c.attachedNotice(v))
}

// draftAgain shows a draft that could not be saved.
func (c *Console) draftAgain(v *visit, ids []string, call broker.Call) (Page, error) {
	w, err := c.broker.GetWorkspace(v.Context(), v.call(), v.objectID())
	if err != nil {
		return Page{}, err
	}
	view, err := c.draftView(v, w, ids, call.IfMatch)
	return v.page("Credentials of "+w.Name, "workspaces", view), err
}
