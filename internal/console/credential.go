package console

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// usersShown is how many workspaces, and how many credentials that build on it, the page of a credential names.
const usersShown = 100

// CredentialView is one credential config.
type CredentialView struct {
	ID, Name, Description, Scope string
	Type, TypeTitle, DocsURL     string
	State                        Badge
	SecretVersion                int64
	StoredAt, LastUse, CreatedAt time.Time
	Public                       []Value
	Hidden                       []string // names of the stored fields whose values nobody sees
	Sets                         []string // variables of a run
	Result                       *ResultView
	Attempt                      *ResultView // a later one that could not tell
	ExternalID, TrustPolicy      string
	Trusts                       bool // the policy names whom it trusts: it can be pasted
	Source                       *Link
	Users                        []Link
	AllUsers                     string // the list of the workspaces, where not all are here
	Elsewhere                    int    // workspaces that have it, outside of what the viewer may see
	Versions                     []VersionView
	Deliveries                   []DeliveryView
	CanChange, CanVerify         bool
	Unverifiable                 bool // nobody can be asked
}

func (CredentialView) template() string { return "credential" }

// Value is a named value that is no secret.
type Value struct{ Name, Value string }

// ResultView is a verification in words.
type ResultView struct {
	Badge     Badge
	Identity  string
	Code      string // the provider's, or ours
	Detail    string // cause and remedy
	Warnings  []string
	ExpiresAt time.Time // zero: never, or nobody knows
	CheckedAt time.Time
	Version   int64
}

// VersionView is one stored version: who and when.
type VersionView struct {
	Number  int64
	At      time.Time
	By      string
	Current bool
}

// credential shows one credential config.
func (c *Console) credential(v *visit) (answer, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return answer{}, err
	}
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return answer{}, err
	}
	names, err := c.broker.Names(v.Context(), v.call(), []string{config.ProjectID, config.SourceID})
	if err != nil {
		return answer{}, err
	}
	view := credentialView(types, names, config)
	view.CanChange = v.mayChange(config.Location())
	view.CanVerify = v.mayVerify(types, config)
	if source, found := names[config.SourceID]; found {
		link := linkTo(source)
		view.Source = &link
	}
	if view.Users, view.AllUsers, err = c.users(v, config.ID); err != nil {
		return answer{}, err
	}
	if view.Elsewhere, err = c.elsewhere(v, config); err != nil {
		return answer{}, err
	}
	if view.Deliveries, err = c.history(v, config); err != nil {
		return answer{}, err
	}
	stored, err := c.broker.ListSecretVersions(v.Context(), v.call(), config.ID)
	if err != nil {
		return answer{}, err
	}
	view.Versions = versions(config, stored)
	return show(v.page(config.Name, "credentials", view))
}

// credentialView is what the metadata of a config says by itself.
func credentialView(types forgecroft.Registry, names map[string]forgecroft.Related, c forgecroft.CredentialConfig) CredentialView {
	t, _ := types.Lookup(c.Type)
	view := CredentialView{
		ID: c.ID, Name: c.Name, Description: c.Description, Scope: scopeName(names, c.ProjectID), Type: c.Type, TypeTitle: typeTitle(types, c.Type), DocsURL: t.DocsURL,
		State: stateBadge(types, c), SecretVersion: c.SecretVersion, StoredAt: c.SecretsStoredAt, LastUse: c.LastDeliveredAt, CreatedAt: c.CreatedAt,
		ExternalID: c.ExternalID, TrustPolicy: indented(c.TrustPolicy), Trusts: c.TrustPrincipal != "", Unverifiable: !verifiable(types, c) && c.SecretVersion > 0,
	}
	for _, name := range c.Fields {
		title := name
		field, known := t.Field(name)
		if known {
			title = field.Title
		}
		value, public := c.Public[name]
		switch {
		case field.Kind == forgecroft.FieldConfig: // It has a line of its own.
		case public:
			view.Public = append(view.Public, Value{title, value})
		default:
			view.Hidden = append(view.Hidden, title)
		}
	}
	for _, variable := range types.Effect(c).Variables {
		view.Sets = append(view.Sets, variable.Name)
	}
	view.Result = resultView(c.Verification, c.SecretVersion)
	if c.LastAttempt != nil && !c.LastAttempt.Conclusive {
		view.Attempt = resultView(c.LastAttempt, c.SecretVersion)
	}
	return view
}

// resultView words a verification.
func resultView(r *forgecroft.Verification, current int64) *ResultView {
	if r == nil {
		return nil
	}
	view := &ResultView{
		Identity: r.Identity, Code: r.Error, Detail: r.Detail, Warnings: r.Warnings, ExpiresAt: r.ExpiresAt, CheckedAt: r.CheckedAt, Version: r.SecretVersion,
		Badge: Badge{Tone: "warn", Text: "could not tell"},
	}
	switch {
	case r.Valid:
		view.Badge = Badge{Tone: "good", Text: "valid"}
	case r.Conclusive:
		view.Badge = Badge{Tone: "bad", Text: "invalid"}
	}
	if r.SecretVersion != current {
		view.Badge.Tone, view.Badge.Hint = "plain", "This was about an older version of the secrets."
		view.Badge.Text += ", older version"
	}
	return view
}

// indented lays a JSON document out for people.
func indented(text json.RawMessage) string {
	var laid bytes.Buffer
	if len(text) == 0 || json.Indent(&laid, text, "", "  ") != nil {
		return ""
	}
	return laid.String()
}

// users finds who uses a config. all is the list of its workspaces, where there are more than are returned.
func (c *Console) users(v *visit, id string) (users []Link, all string, err error) {
	page := broker.PageRequest{Limit: usersShown}
	attached, err := c.broker.ListWorkspaces(v.Context(), v.call(), forgecroft.WorkspaceFilter{CredentialConfigID: id}, page)
	if err != nil {
		return nil, "", err
	}
	for _, w := range attached.Items {
		users = append(users, linkTo(forgecroft.Related{Type: "workspace", ID: w.ID, Name: w.Name}))
	}
	if attached.Next != "" {
		all = attachedAddress(id)
	}
	builders, err := c.broker.ListCredentialConfigs(v.Context(), v.call(), forgecroft.CredentialConfigFilter{SourceID: id}, page)
	for _, other := range builders.Items {
		users = append(users, linkTo(forgecroft.Related{Type: "credential_config", ID: other.ID, Name: other.Name}))
	}
	return users, all, err
}

// elsewhere counts the workspaces of a config that the visitor may not see: it is used, by whom is not theirs to know.
func (c *Console) elsewhere(v *visit, config forgecroft.CredentialConfig) (int, error) {
	if v.who.Scope.Kind() == forgecroft.ScopeOrganization {
		return 0, nil
	}
	seen, err := c.broker.Names(v.Context(), v.call(), config.WorkspaceIDs)
	return len(config.WorkspaceIDs) - len(seen), err
}

// attachedAddress lists the workspaces that have a credential attached.
func attachedAddress(configID string) string { return Root + "workspaces?credential=" + configID }

// versions lists the stored versions. Who stored them is an API key.
func versions(config forgecroft.CredentialConfig, versions []forgecroft.SecretVersion) []VersionView {
	views := make([]VersionView, len(versions))
	for i, version := range versions {
		views[i] = VersionView{Number: version.Version, At: version.CreatedAt, By: version.CreatedByName, Current: version.Version == config.SecretVersion}
		if version.CreatedByName == "" {
			views[i].By = "an API key that is gone"
		}
	}
	return views
}

// verify asks the provider, and shows the result in its place.
func (c *Console) verify(v *visit) (answer, error) {
	if _, err := c.broker.Verify(v.Context(), v.call(), v.objectID()); err != nil {
		return answer{}, err
	}
	return to(Root+"credentials/"+v.objectID(), "")
}
