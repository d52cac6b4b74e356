package console

import (
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// historyShown is how many deliveries the page of a credential shows.
const historyShown = 8

// DeliveryView is one delivery of a credential.
type DeliveryView struct {
	At        time.Time
	Workspace Link
	Actor     string
	Outcome   Badge
	Version   int64
}

// history finds the last deliveries of a credential.
func (c *Console) history(v *visit, config forgecroft.CredentialConfig) ([]DeliveryView, error) {
	past, err := c.broker.ListConfigDeliveries(v.Context(), v.call(), config.ID, historyShown)
	views := make([]DeliveryView, len(past))
	for i, p := range past {
		views[i] = DeliveryView{p.Time, linkTo(p.Workspace), p.Actor, outcomeBadge(p.Outcome), p.Version}
	}
	return views, err
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
