package broker

import (
	"context"
	"strconv"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// wholeOrganization refuses callers of a narrower scope: the trail is one chain per organization, and its gaps would prove nothing.
func (c Call) wholeOrganization() error {
	if c.Scope.Kind() != forgecroft.ScopeOrganization {
		return forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope", "The audit trail is the whole organization's: it takes an API key of that scope.")
	}
	return nil
}

// ListAuditEvents lists the organization's trail.
func (b *Broker) ListAuditEvents(ctx context.Context, call Call, f forgecroft.AuditFilter, page PageRequest) (Listing[forgecroft.AuditEvent], error) {
	a := act{"audit_event.list", forgecroft.PermAudit, "audit_event", ""}
	return read(ctx, b, call, a, func() (Listing[forgecroft.AuditEvent], error) {
		if err := call.wholeOrganization(); err != nil {
			return Listing[forgecroft.AuditEvent]{}, err
		}
		key := func(e forgecroft.AuditEvent) string { return strconv.FormatInt(e.Sequence, 10) }
		return list(b, call, "audit-events", f, page, key, func(p forgecroft.Page) ([]forgecroft.AuditEvent, error) {
			return b.store.AuditEvents(ctx, call.OrganizationID, f, p)
		})
	})
}

// Checkpoints are signed statements about the trail, with the key that verifies them.
type Checkpoints struct {
	Items     []forgecroft.AuditCheckpoint
	PublicKey []byte // Ed25519
}

// ListAuditCheckpoints returns the newest checkpoints, at most [MaxPage].
func (b *Broker) ListAuditCheckpoints(ctx context.Context, call Call) (Checkpoints, error) {
	a := act{"audit_checkpoint.list", forgecroft.PermAudit, "audit_checkpoint", ""}
	return read(ctx, b, call, a, func() (Checkpoints, error) {
		if err := call.wholeOrganization(); err != nil {
			return Checkpoints{}, err
		}
		items, err := b.store.AuditCheckpoints(ctx, call.OrganizationID, MaxPage)
		return Checkpoints{items, b.signer.Public()}, err
	})
}

// CreateAuditCheckpoint signs the end of the trail as it is now. Its own entry comes after what it signs.
func (b *Broker) CreateAuditCheckpoint(ctx context.Context, call Call) (Checkpoints, error) {
	a := act{"audit_checkpoint.create", forgecroft.PermAudit, "audit_checkpoint", ""}
	return mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (Checkpoints, error) {
		if err := call.wholeOrganization(); err != nil {
			return Checkpoints{}, err
		}
		head, err := tx.AuditHead(ctx, call.OrganizationID)
		if err != nil {
			return Checkpoints{}, err
		}
		c := b.signer.Sign(head, b.now())
		e.note("sequence", c.Sequence)
		return Checkpoints{[]forgecroft.AuditCheckpoint{c}, b.signer.Public()}, tx.CreateAuditCheckpoint(ctx, c)
	})
}
