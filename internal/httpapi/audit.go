package httpapi

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) listAuditEvents(r *request) (sdk.List[sdk.AuditEvent], error) {
	l, err := a.broker.ListAuditEvents(r.Context(), r.call, forgecroft.AuditFilter{
		ActorKeyID: r.values["actor"], Action: r.values["action"], ObjectType: r.values["object_type"], ObjectID: r.values["object_id"],
		Outcome: r.values["outcome"], Since: r.time("since"), Until: r.time("until"), Ascending: r.values["order"] == "asc",
	}, r.page())
	return pageOf(l, wireAuditEvent), err
}

func (a *api) listAuditCheckpoints(r *request) (sdk.List[sdk.AuditCheckpoint], error) {
	c, err := a.broker.ListAuditCheckpoints(r.Context(), r.call)
	return wireCheckpoints(c), err
}

func (a *api) createAuditCheckpoint(r *request) (sdk.AuditCheckpoint, error) {
	c, err := a.broker.CreateAuditCheckpoint(r.Context(), r.call)
	if err != nil {
		return sdk.AuditCheckpoint{}, err
	}
	return wireCheckpoints(c).Items[0], nil
}

// wireAuditEvent converts one line of the trail.
func wireAuditEvent(e forgecroft.AuditEvent) sdk.AuditEvent {
	return sdk.AuditEvent{
		ID: e.ID, OrganizationID: e.OrganizationID, Sequence: e.Sequence, Time: e.Time.UTC(), ActorKeyID: e.ActorKeyID, ActorName: e.ActorName,
		Action: e.Action, ObjectType: e.ObjectType, ObjectID: e.ObjectID, Outcome: e.Outcome, RequestID: e.RequestID, RemoteAddr: e.RemoteAddr,
		Details: wireDetails(e.Details), PreviousHash: hex.EncodeToString(e.Previous[:]), Hash: hex.EncodeToString(e.Hash[:]),
	}
}

// wireDetails reads details for the wire. What the stores hold is an object; anything else is damage, which audit verify names.
func wireDetails(text json.RawMessage) map[string]any {
	details := map[string]any{}
	_ = json.Unmarshal(text, &details)
	return details
}

// wireCheckpoints converts checkpoints with the key that verifies them.
func wireCheckpoints(c broker.Checkpoints) sdk.List[sdk.AuditCheckpoint] {
	public := base64.StdEncoding.EncodeToString(c.PublicKey)
	return allOf(c.Items, func(p forgecroft.AuditCheckpoint) sdk.AuditCheckpoint {
		return sdk.AuditCheckpoint{
			OrganizationID: p.OrganizationID, Sequence: p.Sequence, Hash: hex.EncodeToString(p.Hash[:]), Time: p.Time.UTC(),
			KeyID: p.KeyID, PublicKey: public, Signature: base64.StdEncoding.EncodeToString(p.Signature),
		}
	})
}
