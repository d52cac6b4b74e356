package console

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

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
	Source                       *Link
	Users                        []Link
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
	projects, err := c.projectNames(v, config.ProjectID)
	if err != nil {
		return answer{}, err
	}
	view := credentialView(types, projects, config)
	view.CanChange = v.mayChange(config.Location())
	view.CanVerify = v.may(forgecroft.PermVerify) && v.who.Reaches(config.Location()) && config.SecretVersion > 0 && !view.Unverifiable
	if view.Users, view.Source, err = c.relations(v, config); err != nil {
		return answer{}, err
	}
	if view.Deliveries, err = c.history(v, config); err != nil {
		return answer{}, err
	}
	versions, err := c.broker.ListSecretVersions(v.Context(), v.call(), config.ID)
	if err != nil {
		return answer{}, err
	}
	if view.Versions, err = c.versions(v, config, versions); err != nil {
		return answer{}, err
	}
	return show(v.page(config.Name, "credentials", view))
}

// credentialView is what the metadata of a config says by itself.
func credentialView(types forgecroft.Registry, projects map[string]string, c forgecroft.CredentialConfig) CredentialView {
	t, _ := types.Lookup(c.Type)
	view := CredentialView{
		ID: c.ID, Name: c.Name, Description: c.Description, Scope: scopeName(projects, c.ProjectID), Type: c.Type, TypeTitle: typeTitle(types, c.Type), DocsURL: t.DocsURL,
		State: stateBadge(types, c), SecretVersion: c.SecretVersion, StoredAt: c.SecretsStoredAt, LastUse: c.LastDeliveredAt, CreatedAt: c.CreatedAt,
		ExternalID: c.ExternalID, TrustPolicy: indented(c.TrustPolicy), Unverifiable: !verifiable(types, c) && c.SecretVersion > 0,
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

// relations finds who uses a config, and what it builds on.
func (c *Console) relations(v *visit, config forgecroft.CredentialConfig) (users []Link, source *Link, err error) {
	attached, err := c.broker.ListWorkspaces(v.Context(), v.call(), forgecroft.WorkspaceFilter{CredentialConfigID: config.ID}, broker.PageRequest{Limit: broker.MaxPage})
	if err != nil {
		return nil, nil, err
	}
	for _, w := range attached.Items {
		users = append(users, linkTo(forgecroft.Related{Type: "workspace", ID: w.ID, Name: w.Name}))
	}
	builders, _, err := c.someCredentials(v, homeCredentials, forgecroft.CredentialConfigFilter{})
	if err != nil {
		return nil, nil, err
	}
	for _, other := range builders {
		link := linkTo(forgecroft.Related{Type: "credential_config", ID: other.ID, Name: other.Name})
		if other.SourceID == config.ID {
			users = append(users, link)
		}
	}
	if config.SourceID != "" {
		base := map[string]forgecroft.CredentialConfig{}
		if err := c.alsoKnown(v, []string{config.SourceID}, base); err != nil {
			return nil, nil, err
		}
		if other, found := base[config.SourceID]; found {
			link := linkTo(forgecroft.Related{Type: "credential_config", ID: other.ID, Name: other.Name})
			source = &link
		}
	}
	return users, source, nil
}

// versions lists the stored versions. Who stored them is an API key, by its name where the viewer may know it.
func (c *Console) versions(v *visit, config forgecroft.CredentialConfig, versions []forgecroft.SecretVersion) ([]VersionView, error) {
	names, err := c.keyNames(v)
	if err != nil {
		return nil, err
	}
	views := make([]VersionView, len(versions))
	for i, version := range versions {
		views[i] = VersionView{Number: version.Version, At: version.CreatedAt, By: keyName(names, version.CreatedBy), Current: version.Version == config.SecretVersion}
	}
	return views, nil
}

// keyNames maps the ids of API keys to their names, as far as the viewer may know them.
func (c *Console) keyNames(v *visit) (map[string]string, error) {
	names := map[string]string{v.who.KeyID: v.who.KeyName} // id → name
	if !v.may(forgecroft.PermKeys) {
		return names, nil
	}
	list, _, err := collect(1000, func(page broker.PageRequest) (broker.Listing[forgecroft.APIKey], error) {
		return c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, page)
	})
	for _, k := range list {
		names[k.ID] = k.Name
	}
	return names, err
}

// keyName is how an API key is called where its name may not be known.
func keyName(names map[string]string, id string) string {
	if name := names[id]; name != "" {
		return name
	}
	if len(id) > 8 {
		return "key …" + id[len(id)-8:]
	}
	return "system"
}

// verify asks the provider, and shows the result in its place.
func (c *Console) verify(v *visit) (answer, error) {
	if _, err := c.broker.Verify(v.Context(), v.call(), v.objectID()); err != nil {
		return answer{}, err
	}
	return to(Root+"credentials/"+v.objectID(), "")
}
