package console

import (
	"encoding/json"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// actionDeliver is what deliveries are called in the trail.
const actionDeliver = "environment.deliver"

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

// deliveryDetails are those details of an audit entry that the history needs.
type deliveryDetails struct {
	Workspace   string `json:"workspace"`
	Credentials []struct {
		ID      string `json:"credential_config_id"`
		Version int64  `json:"secret_version"`
	} `json:"credentials"`
}

// historySearched is how many deliveries of the organization are looked through for those of one credential.
const historySearched = 1000

// newest reads the end of the trail as far as a page looks at it, filtered.
func (c *Console) newest(v *visit, most int, filter forgecroft.AuditFilter) (events []forgecroft.AuditEvent, more bool, err error) {
	return collect(most, func(page broker.PageRequest) (broker.Listing[forgecroft.AuditEvent], error) {
		return c.broker.ListAuditEvents(v.Context(), v.call(), filter, page)
	})
}

// history finds the last deliveries of a credential, for those who may read the trail. What was never delivered is not searched for.
func (c *Console) history(v *visit, config forgecroft.CredentialConfig) ([]DeliveryView, error) {
	if !v.viewer().Audit || config.LastDeliveredAt.IsZero() {
		return nil, nil
	}
	events, _, err := c.newest(v, historySearched, forgecroft.AuditFilter{Action: actionDeliver})
	if err != nil {
		return nil, err
	}
	var views []DeliveryView
	for _, e := range events {
		if view, found := deliveryOf(e, config.ID); found && len(views) < historyShown {
			views = append(views, view)
		}
	}
	return views, nil
}

// deliveryOf reads an event, if it is a delivery of the credential.
func deliveryOf(e forgecroft.AuditEvent, configID string) (DeliveryView, bool) {
	var details deliveryDetails
	if e.Action != actionDeliver || json.Unmarshal(e.Details, &details) != nil {
		return DeliveryView{}, false
	}
	for _, credential := range details.Credentials {
		if credential.ID == configID {
			workspace := linkTo(forgecroft.Related{Type: "workspace", ID: e.ObjectID, Name: details.Workspace})
			return DeliveryView{e.Time, workspace, e.ActorName, outcomeBadge(e.Outcome), credential.Version}, true
		}
	}
	return DeliveryView{}, false
}
