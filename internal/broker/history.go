package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// DeliveryWindow is how many of the newest events are looked through for deliveries: the trail has no index but its order, so that a delivery pays for none.
const DeliveryWindow = 20000

// PastDelivery is what the trail says about a delivery to those who may read what was delivered.
type PastDelivery struct {
	Sequence    int64 // of its event in the trail
	Time        time.Time
	Workspace   forgecroft.Related
	ActorKeyID  string
	Actor       string // the name of an API key
	Outcome     string // of the audit entry: allowed, denied or failed
	Code        string // why it was refused or failed; empty: it was not
	RunID       string // as the run named itself; empty: it did not
	Version     int64  // of the config that was asked about; 0: none was
	Credentials int    // how many were to be delivered
}

// ListDeliveries lists the deliveries to workspaces in the caller's scope, the newest first, as far as they are among the newest [DeliveryWindow] events. A filter
// narrows further; it widens nothing.
func (b *Broker) ListDeliveries(ctx context.Context, call Call, f forgecroft.DeliveryFilter, page PageRequest) (Listing[PastDelivery], error) {
	a := act{"workspace.list", forgecroft.PermRead, "workspace", ""}
	return read(ctx, b, call, a, func() (Listing[PastDelivery], error) {
		own := call.deliveries()
		if (own.ProjectID != "" && f.ProjectID != "" && own.ProjectID != f.ProjectID) || (own.WorkspaceID != "" && f.WorkspaceID != "" && own.WorkspaceID != f.WorkspaceID) {
			return Listing[PastDelivery]{}, nil // Nothing of another project or workspace lies in scope.
		}
		f.ProjectID, f.WorkspaceID, f.Window = cmp.Or(own.ProjectID, f.ProjectID), cmp.Or(own.WorkspaceID, f.WorkspaceID), own.Window
		key := func(d PastDelivery) string { return strconv.FormatInt(d.Sequence, 10) }
		return list(b, call, "deliveries", f, page, key, func(p forgecroft.Page) ([]PastDelivery, error) { return b.pastDeliveries(ctx, call, f, p) })
	})
}

// ListConfigDeliveries returns up to limit of the last deliveries of a credential config to workspaces in the caller's scope. It finds those among the newest
// [DeliveryWindow] events; the trail itself has all.
func (b *Broker) ListConfigDeliveries(ctx context.Context, call Call, id string, limit int) ([]PastDelivery, error) {
	a := act{"credential_config.read", forgecroft.PermRead, "credential_config", id}
	return read(ctx, b, call, a, func() ([]PastDelivery, error) {
		config, err := b.config(ctx, b.store, call, id)
		if err != nil || config.SecretVersion == 0 { // What cannot be delivered is not searched for.
			return nil, err
		}
		f := call.deliveries()
		f.CredentialConfigID = id
		return b.pastDeliveries(ctx, call, f, forgecroft.Page{Limit: limit})
	})
}

// ListKeyDeliveries returns up to limit of the last deliveries to an API key, found as [Broker.ListConfigDeliveries] does.
func (b *Broker) ListKeyDeliveries(ctx context.Context, call Call, id string, limit int) ([]PastDelivery, error) {
	a := act{"api_key.read", forgecroft.PermKeys, "api_key", id}
	return read(ctx, b, call, a, func() ([]PastDelivery, error) {
		k, err := b.store.APIKey(ctx, call.OrganizationID, id)
		if err != nil {
			return nil, err
		}
		if err := call.changeable("api_key", k.Location()); err != nil || k.LastUsedAt.IsZero() {
			return nil, err
		}
		f := call.deliveries()
		f.ActorKeyID = id
		return b.pastDeliveries(ctx, call, f, forgecroft.Page{Limit: limit})
	})
}

// deliveries narrows to those in the caller's scope.
func (c Call) deliveries() forgecroft.DeliveryFilter {
	return forgecroft.DeliveryFilter{ProjectID: c.Scope.ProjectID, WorkspaceID: c.Scope.WorkspaceID, Window: DeliveryWindow}
}

// pastDeliveries reads what the trail says.
func (b *Broker) pastDeliveries(ctx context.Context, call Call, f forgecroft.DeliveryFilter, p forgecroft.Page) ([]PastDelivery, error) {
	events, err := b.store.Deliveries(ctx, call.OrganizationID, f, p)
	if err != nil {
		return nil, fmt.Errorf("reading past deliveries: %w", err)
	}
	past := make([]PastDelivery, len(events))
	for i, e := range events {
		past[i] = pastDelivery(e, f.CredentialConfigID)
	}
	return past, nil
}

// pastDelivery reads an event. What it cannot read, because another release wrote it, stays empty.
func pastDelivery(e forgecroft.AuditEvent, configID string) PastDelivery {
	var details struct {
		Workspace   string `json:"workspace"`
		Code        string `json:"code"`
		RunID       string `json:"run_id"`
		Credentials []struct {
			ID      string `json:"credential_config_id"`
			Version int64  `json:"secret_version"`
		} `json:"credentials"`
	}
	_ = json.Unmarshal(e.Details, &details)
	past := PastDelivery{
		Sequence: e.Sequence, Time: e.Time, Workspace: forgecroft.Related{Type: "workspace", ID: e.ObjectID, Name: details.Workspace},
		ActorKeyID: e.ActorKeyID, Actor: e.ActorName, Outcome: e.Outcome, Code: details.Code, RunID: details.RunID, Credentials: len(details.Credentials),
	}
	for _, c := range details.Credentials {
		if c.ID == configID {
			past.Version = c.Version
		}
	}
	return past
}

// DeliveryCounts are deliveries by hour and outcome.
type DeliveryCounts struct {
	Counts []forgecroft.DeliveryCount // oldest first
	More   bool                       // older ones were not counted
}

// CountDeliveries counts the deliveries since a time to workspaces in the caller's scope, as far as they are among the newest [DeliveryWindow] events.
func (b *Broker) CountDeliveries(ctx context.Context, call Call, since time.Time) (DeliveryCounts, error) {
	a := act{"workspace.list", forgecroft.PermRead, "workspace", ""}
	return read(ctx, b, call, a, func() (DeliveryCounts, error) {
		f := call.deliveries()
		f.Since = since
		counts, err := b.store.DeliveryCounts(ctx, call.OrganizationID, f)
		if err != nil {
			return DeliveryCounts{}, fmt.Errorf("counting deliveries: %w", err)
		}
		more, err := b.beyondWindow(ctx, call, since)
		return DeliveryCounts{counts, more}, err
	})
}

// beyondWindow reports whether events since a time are older than those that are looked at.
func (b *Broker) beyondWindow(ctx context.Context, call Call, since time.Time) (bool, error) {
	head, err := b.store.AuditHead(ctx, call.OrganizationID)
	if err != nil || head.Sequence <= DeliveryWindow {
		return false, err
	}
	page := forgecroft.Page{After: strconv.FormatInt(head.Sequence-DeliveryWindow+1, 10), Limit: 1}
	before, err := b.store.AuditEvents(ctx, call.OrganizationID, forgecroft.AuditFilter{}, page)
	return len(before) > 0 && !before[0].Time.Before(since), err
}

// Names tells what objects are called, by id, as far as the caller may see them. Ids of nothing, and of what is gone, are left out.
func (b *Broker) Names(ctx context.Context, call Call, ids []string) (map[string]forgecroft.Related, error) {
	a := act{"workspace.list", forgecroft.PermReadWorkspace, "workspace", ""}
	return read(ctx, b, call, a, func() (map[string]forgecroft.Related, error) {
		valid := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !forgecroft.ValidID(id) })
		found, err := b.store.Names(ctx, call.OrganizationID, slices.Compact(slices.Sorted(slices.Values(valid))))
		if err != nil {
			return nil, fmt.Errorf("looking names up: %w", err)
		}
		names := map[string]forgecroft.Related{} // id → the object
		for _, n := range found {
			if call.mayName(n) {
				names[n.ID] = n.Related
			}
		}
		return names, nil
	})
}

// mayName reports whether a caller may know an object by its name.
func (c Call) mayName(n forgecroft.Named) bool {
	switch n.Type {
	case "api_key":
		return n.ID == c.KeyID || (c.Role.Allows(forgecroft.PermKeys) && c.Reaches(n.Location))
	case "workspace":
		return c.Sees(n.Location)
	}
	return c.Role.Allows(forgecroft.PermRead) && c.Sees(n.Location)
}
