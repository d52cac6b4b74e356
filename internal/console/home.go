package console

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Limits of what the home page looks at, so that it is quick however much there is.
const (
	homeCredentials = 1000
	homeWorkspaces  = 200
	homeShown       = 6 // of one concern; the rest is a number
)

// The ages after which a credential that nobody uses is mentioned.
const (
	soon  = 14 * 24 * time.Hour // before an end that should be met
	quiet = 30 * 24 * time.Hour
	stale = 90 * 24 * time.Hour
)

// HomeView is what needs attention.
type HomeView struct {
	Credentials, Workspaces int
	More                    bool // there are more credentials than were looked at
	Concerns                []Concern
	Chart                   *Chart // nil: the viewer may not read what was delivered
	Health                  HealthView
	CanCreate               bool // credentials and workspaces
	CanCreateProjects       bool
}

func (HomeView) template() string { return "home" }

// Concern is one kind of thing to look at.
type Concern struct {
	Tone, Title, Advice string
	Links               []Link
	Rest                int    // how many more than the links
	All                 string // the list of all of them; empty: there is none
}

// HealthView is the state of the stores.
type HealthView struct{ Database, Vault, Keys Badge }

// home shows what needs attention.
func (c *Console) home(v *visit) (answer, error) {
	view := HomeView{CanCreate: v.mayCreate(), CanCreateProjects: v.mayCreateProjects()}
	var configs []forgecroft.CredentialConfig
	var types forgecroft.Registry
	var err error
	if v.may(forgecroft.PermRead) {
		if configs, view.More, err = c.someCredentials(v, homeCredentials, forgecroft.CredentialConfigFilter{}); err != nil {
			return answer{}, err
		}
		if types, err = c.broker.ListCredentialTypes(v.Context(), v.call()); err != nil {
			return answer{}, err
		}
	}
	workspaces, err := c.broker.ListWorkspaces(v.Context(), v.call(), forgecroft.WorkspaceFilter{}, broker.PageRequest{Limit: homeWorkspaces})
	if err != nil {
		return answer{}, err
	}
	view.Credentials, view.Workspaces = len(configs), len(workspaces.Items)
	view.Concerns = credentialConcerns(v.now, types, configs)
	inWorkspaces, err := c.workspaceConcerns(v, workspaces.Items)
	if err != nil {
		return answer{}, err
	}
	view.Concerns = append(inWorkspaces, view.Concerns...)
	expiring, err := c.expiringKeys(v)
	if err != nil {
		return answer{}, err
	}
	view.Concerns = append(view.Concerns, expiring...)
	if view.Health, err = c.health(v); err != nil {
		return answer{}, err
	}
	if view.Chart, err = c.chart(v); err != nil {
		return answer{}, err
	}
	return show(v.page("Home", "home", view))
}

// someCredentials lists up to most of the newest credential configs, and whether there are more.
func (c *Console) someCredentials(v *visit, most int, filter forgecroft.CredentialConfigFilter) ([]forgecroft.CredentialConfig, bool, error) {
	return collect(most, func(page broker.PageRequest) (broker.Listing[forgecroft.CredentialConfig], error) {
		return c.broker.ListCredentialConfigs(v.Context(), v.call(), filter, page)
	})
}

// collect reads pages until there are no more or there is enough.
func collect[T any](most int, list func(broker.PageRequest) (broker.Listing[T], error)) (items []T, more bool, err error) {
	page := broker.PageRequest{Limit: min(most, broker.MaxPage)}
	for {
		part, err := list(page)
		if err != nil {
			return nil, false, err
		}
		items = append(items, part.Items...)
		if page.Cursor = part.Next; page.Cursor == "" || len(items) >= most {
			return items, page.Cursor != "", nil
		}
	}
}

// credentialConcerns sorts credentials into what they need, the gravest first.
func credentialConcerns(now time.Time, types forgecroft.Registry, configs []forgecroft.CredentialConfig) []Concern {
	concerns := []struct {
		Concern
		is func(c forgecroft.CredentialConfig) bool
	}{
		{
			Concern{Tone: "bad", Title: "Refused by the provider", Advice: "Runs that get these fail. Open one to see the provider's reason and the remedy.", All: Root + "credentials?state=" + forgecroft.VerifiedInvalid},
			func(c forgecroft.CredentialConfig) bool { return c.VerificationState() == forgecroft.VerifiedInvalid },
		},
		{
			Concern{Tone: "bad", Title: "Expired", Advice: "The provider said that they would end, and that time has passed. Runs that get these fail: make successors there, and store them here."},
			func(c forgecroft.CredentialConfig) bool { return endsWithin(now, c, 0) },
		},
		{
			Concern{Tone: "warn", Title: "Expire soon", Advice: "The provider ends them within two weeks. Make successors there, and store them here before."},
			func(c forgecroft.CredentialConfig) bool { return endsWithin(now, c, soon) && !endsWithin(now, c, 0) },
		},
		{
			Concern{Tone: "warn", Title: "No secrets stored", Advice: "They deliver nothing until their secrets are stored."},
			func(c forgecroft.CredentialConfig) bool { return c.SecretVersion == 0 },
		},
		{
			Concern{Tone: "warn", Title: "Never verified", Advice: "One click asks the provider whether they work.", All: Root + "credentials?state=" + forgecroft.Unverified},
			func(c forgecroft.CredentialConfig) bool {
				return c.SecretVersion > 0 && c.VerificationState() == forgecroft.Unverified && verifiable(types, c)
			},
		},
		{
			Concern{Tone: "plain", Title: "Unused for 90 days", Advice: "What nobody uses is best deleted here and revoked at the provider."},
			func(c forgecroft.CredentialConfig) bool { return idle(now, c) >= stale },
		},
		{
			Concern{Tone: "plain", Title: "Unused for 30 days", Advice: "Is the workspace still alive?"},
			func(c forgecroft.CredentialConfig) bool { d := idle(now, c); return d >= quiet && d < stale },
		},
	}
	found := []Concern{}
	for _, concern := range concerns {
		for _, config := range configs {
			if concern.is(config) {
				concern.add(Link{Name: config.Name, Href: Root + "credentials/" + config.ID})
			}
		}
		if len(concern.Links) > 0 {
			found = append(found, concern.Concern)
		}
	}
	return found
}

// add mentions one more object.
func (c *Concern) add(l Link) {
	if len(c.Links) < homeShown {
		c.Links = append(c.Links, l)
		return
	}
	c.Rest++
}

// endsWithin reports whether the provider has said that what is stored ends within a time, or has ended.
func endsWithin(now time.Time, c forgecroft.CredentialConfig, d time.Duration) bool {
	v := c.Verification
	return c.VerificationState() == forgecroft.VerifiedValid && !v.ExpiresAt.IsZero() && v.ExpiresAt.Sub(now) <= d
}

// idle is how long a credential that could be used was not.
func idle(now time.Time, c forgecroft.CredentialConfig) time.Duration {
	if c.SecretVersion == 0 {
		return 0
	}
	last := c.LastDeliveredAt
	if last.IsZero() {
		last = c.SecretsStoredAt
	}
	return now.Sub(last)
}

// workspaceConcerns looks for workspaces whose next run would fail.
func (c *Console) workspaceConcerns(v *visit, workspaces []forgecroft.Workspace) ([]Concern, error) {
	conflicts := Concern{Tone: "bad", Title: "Conflicting credentials", Advice: "Two credentials want the same variable or identity, so nothing is delivered. Detach one."}
	missing := Concern{Tone: "bad", Title: "Workspaces that cannot run", Advice: "A credential is attached that has no secrets. Store them, or detach it."}
	for _, w := range workspaces {
		if len(w.CredentialConfigIDs) == 0 {
			continue
		}
		preview, err := c.broker.PreviewEnvironment(v.Context(), v.call(), w.ID)
		if err != nil {
			return nil, err
		}
		link := Link{Name: w.Name, Href: Root + "workspaces/" + w.ID}
		if len(preview.Conflicts) > 0 {
			conflicts.add(link)
		}
		if len(preview.Missing) > 0 {
			missing.add(link)
		}
	}
	return slices.DeleteFunc([]Concern{conflicts, missing}, func(c Concern) bool { return len(c.Links) == 0 }), nil
}

// expiringKeys mentions API keys that end soon: whoever calls with one fails then.
func (c *Console) expiringKeys(v *visit) ([]Concern, error) {
	if !v.may(forgecroft.PermKeys) {
		return nil, nil
	}
	keys, _, err := collect(homeCredentials, func(page broker.PageRequest) (broker.Listing[forgecroft.APIKey], error) {
		return c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, page)
	})
	concern := Concern{Tone: "warn", Title: "API keys that expire soon", Advice: "Make another one and put it where this one is, then let it end."}
	for _, k := range keys {
		if expiresSoon(v.now, k) {
			concern.add(Link{Name: k.Name, Href: Root + "keys"})
		}
	}
	if len(concern.Links) == 0 {
		return nil, err
	}
	return []Concern{concern}, err
}

// health asks both stores, and the key ring if the viewer may know.
func (c *Console) health(v *visit) (HealthView, error) {
	ctx, cancel := context.WithTimeout(v.Context(), 2*time.Second)
	defer cancel()
	health, err := c.broker.CheckHealth(ctx, v.call())
	if err != nil {
		return HealthView{}, err
	}
	view := HealthView{Database: serves(health.Database), Vault: serves(health.Vault)}
	if health.Vault && v.may(forgecroft.PermInstance) {
		view.Keys = c.ringBadge(ctx, v)
	}
	return view, nil
}

// serves words the health of a store.
func serves(ok bool) Badge {
	if ok {
		return Badge{Tone: "good", Text: "serving"}
	}
	return Badge{Tone: "bad", Text: "not reachable", Hint: "The server's log says why."}
}

// ringBadge sums the key ring up; a vault with keys of its own has none.
func (c *Console) ringBadge(ctx context.Context, v *visit) Badge {
	ring, err := c.broker.ListVaultKeys(ctx, v.call())
	if err != nil {
		return Badge{}
	}
	left := int64(0)
	for _, key := range ring.Keys {
		if !key.Primary {
			left += key.Secrets
		}
	}
	if ring.Rotating || left > 0 {
		return Badge{Tone: "warn", Text: fmt.Sprintf("rotating, %d to go", left)}
	}
	return Badge{Tone: "good", Text: count(len(ring.Keys), "key")}
}
