package console

import (
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// historyShown is how many deliveries the page of an object shows.
const historyShown = 8

// DeliveryView is one delivery.
type DeliveryView struct {
	At          time.Time
	Workspace   Link
	Actor, By   string // the name of an API key, and its deliveries; By is empty if there is no key
	Outcome     Badge
	Code        string // why it failed; empty: it did not
	RunID       string
	Version     int64 // of the credential that was asked about; 0: none was
	Credentials int
}

// history finds the last deliveries of a credential.
func (c *Console) history(v *visit, config forgecroft.CredentialConfig) ([]DeliveryView, error) {
	past, err := c.broker.ListConfigDeliveries(v.Context(), v.call(), config.ID, historyShown)
	return deliveryViews(past), err
}

// deliveryViews words deliveries.
func deliveryViews(past []broker.PastDelivery) []DeliveryView {
	views := make([]DeliveryView, len(past))
	for i, p := range past {
		views[i] = DeliveryView{
			At: p.Time, Workspace: linkTo(p.Workspace), Actor: p.Actor, Outcome: outcomeBadge(p.Outcome), Code: p.Code, RunID: p.RunID, Version: p.Version, Credentials: p.Credentials,
		}
		if p.Workspace.Name == "" {
			views[i].Workspace.Name = shortID(p.Workspace.ID)
		}
		if p.ActorKeyID != "" {
			views[i].By = deliveriesAddress("key", p.ActorKeyID)
		}
	}
	return views
}

// usesSearched is how many deliveries to an API key are looked through for workspaces.
const usesSearched = 1000

// keyUses are the workspaces that were delivered to a key lately.
func (c *Console) keyUses(v *visit, k forgecroft.APIKey) ([]Link, error) {
	past, err := c.broker.ListKeyDeliveries(v.Context(), v.call(), k.ID, usesSearched)
	if err != nil {
		return nil, err
	}
	var uses []Link
	seen := map[string]bool{} // workspace id → it is listed
	for _, p := range past {
		if p.Outcome != forgecroft.OutcomeAllowed || seen[p.Workspace.ID] {
			continue
		}
		seen[p.Workspace.ID] = true
		link := linkTo(p.Workspace)
		link.Kind = "deliveries of workspace"
		uses = append(uses, link)
	}
	return uses, nil
}

// nameOf is how an object is called: by its name where the viewer may know it, or else by the end of its id.
func nameOf(names map[string]forgecroft.Related, id string) string {
	if named, found := names[id]; found {
		return named.Name
	}
	return shortID(id)
}

// shortID is enough of an id to recognise it by. The beginning of ours is a time.
func shortID(id string) string { return "…" + id[max(0, len(id)-8):] }
