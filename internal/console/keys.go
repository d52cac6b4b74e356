package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// maxKeyDays bounds the lifetime that a form may ask for: ten years.
const maxKeyDays = 3660

// keyDays are the lifetimes that the form offers, in days; 0 is none.
var keyDays = []Option{{"30", "30 days", false}, {"90", "90 days", false}, {"365", "1 year", false}, {"0", "No end", false}}

// KeysView is the list of API keys.
type KeysView struct {
	Rows  []KeyRow
	Older string
	Newer string
}

func (KeysView) template() string { return "keys" }

// KeyRow is one API key in a list.
type KeyRow struct {
	Name, Hint, Role, Scope string
	State                   Badge
	CreatedAt, ExpiresAt    time.Time
	LastUsed                time.Time // zero: never
	Revoke                  string    // empty: not possible
	Own                     bool
}

// KeyMadeView shows a new API key, this once.
type KeyMadeView struct{ Name, Role, Key, Export string }

func (KeyMadeView) template() string { return "keymade" }

// keys lists API keys, revoked and expired ones included.
func (c *Console) keys(v *visit) (answer, error) {
	list, err := c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return answer{}, err
	}
	needed := []string{}
	for _, k := range list.Items {
		needed = append(needed, k.Scope.ProjectID, k.Scope.WorkspaceID)
	}
	names, err := c.broker.Names(v.Context(), v.call(), needed)
	if err != nil {
		return answer{}, err
	}
	view := KeysView{Older: older(v, list.Next), Newer: newer(v)}
	for _, k := range list.Items {
		view.Rows = append(view.Rows, keyRow(v, names, k))
	}
	return show(v.page("API keys", "keys", view))
}

// keyRow sums a key up.
func keyRow(v *visit, names map[string]forgecroft.Related, k forgecroft.APIKey) KeyRow {
	row := KeyRow{
		Name: k.Name, Hint: k.Hint, Role: string(k.Role), Scope: scopeName(names, k.Scope.ProjectID), CreatedAt: k.CreatedAt,
		ExpiresAt: k.ExpiresAt, LastUsed: k.LastUsedAt, Own: k.ID == v.who.KeyID,
	}
	if k.Subject != "" {
		row.Hint = "single sign-on"
	}
	if k.Scope.WorkspaceID != "" {
		row.Scope = "workspace " + nameOf(names, k.Scope.WorkspaceID)
	}
	switch {
	case !k.RevokedAt.IsZero():
		row.State = Badge{Tone: "plain", Text: "revoked"}
	case !k.Live(v.now):
		row.State = Badge{Tone: "plain", Text: "expired"}
	case expiresSoon(v.now, k):
		row.State = Badge{Tone: "warn", Text: "expires soon"}
	default:
		row.State = Badge{Tone: "good", Text: "live"}
	}
	if k.RevokedAt.IsZero() && k.Role.AtMost(v.who.Role) {
		row.Revoke = Root + "keys/" + k.ID + "/revoke"
	}
	return row
}

// expiresSoon reports whether a live key ends within two weeks.
func expiresSoon(now time.Time, k forgecroft.APIKey) bool {
	return k.Subject == "" && k.Live(now) && !k.ExpiresAt.IsZero() && k.ExpiresAt.Sub(now) < soon
}

// newKey is the form of a key that is to be made, for those who may make one.
func (c *Console) newKey(v *visit) (answer, error) {
	if _, err := c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, broker.PageRequest{Limit: 1}); err != nil {
		return answer{}, err
	}
	p, err := c.keyForm(v)
	return answer{page: p}, err
}

func (c *Console) keyForm(v *visit) (Page, error) {
	name := Field{Name: "name", Label: "Name", Kind: "text", Value: v.line("name"), Required: true, Placeholder: "ci-network", Error: v.problem.Of("name")}
	role := Field{Name: "role", Label: "Role", Kind: "select", Required: true, Error: v.problem.Of("role"), Help: "runner: only delivery, what a CI job needs. reader: looks at metadata. " +
		"member: creates, changes, verifies and attaches. admin: API keys and the audit trail as well. owner: everything."}
	chosen := v.line("role")
	if chosen == "" {
		chosen = string(forgecroft.RoleRunner)
	}
	for _, r := range forgecroft.Roles() {
		if r.AtMost(v.who.Role) {
			role.Options = append(role.Options, Option{string(r), string(r), string(r) == chosen})
		}
	}
	scope, err := c.keyScopeField(v)
	days := Field{Name: "days", Label: "Lifetime", Kind: "select", Required: true, Options: daysOptions(v.line("days")), Error: v.problem.Of("expires_at")}
	fields := []Field{name, role, scope, days}
	if forgecroft.RoleAdmin.AtMost(v.who.Role) {
		fields = append(fields, Field{
			Name: "confirm", Label: "For admin and owner: type the role once more", Kind: "text", Error: v.problem.Of("confirm"),
			Help: "Such a key can give rights away itself. Leave this empty for every other role.",
		})
	}
	if !v.who.Session.Fresh(v.now) {
		fields = append(fields, v.proof())
	}
	return v.page("New API key", "keys", FormView{
		Lead: "The key is shown once, on the next page. Give it no more than its job needs.", Submit: "Create", Fields: fields, Back: Root + "keys",
	}), err
}

// daysOptions are the lifetimes, with what was chosen before, or else 90 days.
func daysOptions(chosen string) []Option {
	if chosen == "" {
		chosen = "90"
	}
	choices := slices.Clone(keyDays)
	for i := range choices {
		choices[i].Chosen = choices[i].Value == chosen
	}
	return choices
}

// proof asks once more who it is, before rights are given away.
func (v *visit) proof() Field {
	if again := v.signOnAgain(); again != "" {
		return Field{
			Name: "api_key", Label: "Who you are", Kind: "again", Value: again, Required: true, Error: v.problem.Of("api_key"),
			Help: "You signed on more than five minutes ago. Do it once more before you give rights away; what you filled in here is asked again.",
		}
	}
	return Field{
		Name: "api_key", Label: "Your own API key", Kind: "secret", Required: true, Error: v.problem.Of("api_key"),
		Help: "You gave it more than five minutes ago. It is asked once more before rights are given away.",
	}
}

// workspaceScope begins the value of a scope that is a workspace; any other is a project's id.
const workspaceScope = "workspace:"

// wantedScope is what the form holds, or what the address that led to it asks for.
func wantedScope(v *visit) string {
	switch {
	case v.Method == http.MethodPost:
		return v.line("scope")
	case v.query("workspace") != "":
		return workspaceScope + v.query("workspace")
	}
	return v.query("project")
}

// keyScopeField offers what a key may be limited to: the newest projects and workspaces, and what is wanted however old it is.
func (c *Console) keyScopeField(v *visit) (Field, error) {
	wanted := wantedScope(v)
	workspace, isWorkspace := strings.CutPrefix(wanted, workspaceScope)
	project := wanted
	if isWorkspace {
		project = ""
	}
	f, err := c.projectField(v, project, "The whole organization")
	f.Name, f.Label, f.Help = "scope", "Reach", "A workspace's key can do nothing anywhere else. The newest are offered; the page of an older workspace or project leads here as well."
	f.Error = v.problem.Of("workspace_id") + v.problem.Of("project_id")
	if err != nil {
		return f, err
	}
	if v.who.Scope.Kind() == forgecroft.ScopeWorkspace {
		f.Options = nil // A key makes none that reaches further.
	}
	workspaces, err := c.broker.ListWorkspaces(v.Context(), v.call(), forgecroft.WorkspaceFilter{}, broker.PageRequest{Limit: broker.MaxPage})
	if err != nil {
		return f, err
	}
	for _, w := range workspaces.Items {
		f.Options = append(f.Options, Option{workspaceScope + w.ID, "Workspace " + w.Name, false})
	}
	if isWorkspace && !slices.ContainsFunc(f.Options, func(o Option) bool { return o.Value == wanted }) {
		names, err := c.broker.Names(v.Context(), v.call(), []string{workspace})
		if err != nil {
			return f, err
		}
		f.Options = append(f.Options, Option{wanted, "Workspace " + nameOf(names, workspace), true})
	}
	for i := range f.Options {
		f.Options[i].Chosen = f.Options[i].Value == wanted
	}
	return f, nil
}

// keyRequest reads the form.
func keyRequest(v *visit) broker.KeyRequest {
	r := broker.KeyRequest{Name: v.line("name"), Role: forgecroft.Role(v.field("role"))}
	id, workspace := strings.CutPrefix(v.line("scope"), workspaceScope)
	if workspace {
		r.WorkspaceID = id
	} else {
		r.ProjectID = id
	}
	if days, err := strconv.Atoi(v.line("days")); err == nil && days > 0 && days <= maxKeyDays {
		r.ExpiresAt = v.filledIn().AddDate(0, 0, days)
	}
	return r
}

// grants checks a form that gives rights away: the API key is fresh, and a role that can give rights away itself was typed.
func (c *Console) grants(v *visit, role forgecroft.Role) error {
	if forgecroft.RoleAdmin.AtMost(role) && v.line("confirm") != string(role) {
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: "confirm", Code: "not_confirmed", Message: "Type the role: a key of this role can give rights away."}})
	}
	return c.freshly(v)
}

// createKey makes a key and shows it. There is no redirect: the key is kept nowhere, so this answer is the only one that has it.
func (c *Console) createKey(v *visit) (answer, error) {
	r := keyRequest(v)
	if err := c.grants(v, r.Role); err != nil {
		return v.again(err, func() (Page, error) { return c.keyForm(v) })
	}
	created, err := c.broker.CreateAPIKey(v.Context(), v.creates(), r)
	if err != nil {
		return v.again(err, func() (Page, error) { return c.keyForm(v) })
	}
	raw := created.Raw.Reveal()
	return answer{status: http.StatusCreated, page: v.page("Key created", "keys", KeyMadeView{created.Name, string(created.Role), raw, "export FORGECROFT_API_KEY=" + raw})}, nil
}

// confirmRevokeKey asks before a key ends.
func (c *Console) confirmRevokeKey(v *visit) (answer, error) {
	k, err := c.findKey(v)
	if err != nil {
		return answer{}, err
	}
	p, err := c.revokePage(v, k)
	return answer{page: p}, err
}

// findKey reads one key from the list: the broker has no other way to see one.
func (c *Console) findKey(v *visit) (forgecroft.APIKey, error) {
	page := broker.PageRequest{Limit: broker.MaxPage}
	for {
		list, err := c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, page)
		if err != nil {
			return forgecroft.APIKey{}, err
		}
		for _, k := range list.Items {
			if k.ID == v.objectID() && k.RevokedAt.IsZero() {
				return k, nil
			}
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			return forgecroft.APIKey{}, forgecroft.NotFound("API key")
		}
	}
}

// revokePage says what a key was for, as far as we know: what calls with it stops working.
func (c *Console) revokePage(v *visit, k forgecroft.APIKey) (Page, error) {
	warning := "Whatever calls with this key fails from its next request on, and its browser sessions end. This cannot be undone."
	if k.ID == v.who.KeyID {
		warning += " It is the key that you are signed in with."
	}
	danger := Danger{Act: "Revoke API key", Name: k.Name, Cancel: Root + "keys", Warning: warning, LastUse: k.LastUsedAt, Used: !k.LastUsedAt.IsZero()}
	uses, err := c.keyUses(v, k)
	danger.Breaks = uses
	return v.ask("Revoke "+k.Name, "keys", danger), err
}

// revokeKey ends a key.
func (c *Console) revokeKey(v *visit) (answer, error) {
	k, err := c.findKey(v)
	if errors.Is(err, forgecroft.KindNotFound) {
		return to(Root+"keys", "gone-already") // The same form, sent twice.
	}
	if err != nil {
		return answer{}, err
	}
	if err = c.confirmed(v, k.Name); err == nil {
		err = c.broker.RevokeAPIKey(v.Context(), v.call(), k.ID)
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return c.revokePage(v, k) })
	}
	return to(Root+"keys", "key-revoked")
}
