package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/forgecroft/forgecroft/internal/audit"
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
		if err := f.Validate(); err != nil {
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

// AuditCheck is what a check of the trail has found.
type AuditCheck struct {
	Verified int64  // events from the first one on that are as they were recorded
	Signed   int64  // the last of them that a checkpoint has signed; 0: none
	Broken   string // where the trail does not hold, and why; empty: nowhere so far
	Complete bool   // all of it was read
}

// CheckAudit verifies the trail from its first event on, with the newest [MaxPage] checkpoints and their signatures, by the same rules as `forgecroft audit verify`.
// What is not read by the deadline is left; the zero time: there is none.
func (b *Broker) CheckAudit(ctx context.Context, call Call, deadline time.Time) (AuditCheck, error) {
	a := act{"audit_event.check", forgecroft.PermAudit, "audit_event", ""}
	return read(ctx, b, call, a, func() (AuditCheck, error) {
		if err := call.wholeOrganization(); err != nil {
			return AuditCheck{}, err
		}
		checkpoints, err := b.store.AuditCheckpoints(ctx, call.OrganizationID, MaxPage)
		if err != nil {
			return AuditCheck{}, err
		}
		var check AuditCheck
		for _, c := range checkpoints {
			if err := audit.VerifyCheckpoint(b.signer.Public(), c); err != nil {
				check.Broken = err.Error()
				return check, nil
			}
		}
		err = b.checkEvents(ctx, call.OrganizationID, checkpoints, deadline, &check)
		if broken := new(audit.BrokenError); errors.As(err, &broken) {
			check.Broken, err = broken.Error(), nil
		}
		return check, err
	})
}

// checkEvents reads the trail page after page.
func (b *Broker) checkEvents(ctx context.Context, organizationID string, checkpoints []forgecroft.AuditCheckpoint, deadline time.Time, check *AuditCheck) error {
	v := audit.NewVerifier(organizationID, checkpoints)
	page := forgecroft.Page{Limit: MaxPage}
	for {
		events, err := b.store.AuditEvents(ctx, organizationID, forgecroft.AuditFilter{Ascending: true}, page)
		if err != nil {
			return fmt.Errorf("reading the trail: %w", err)
		}
		for _, e := range events {
			if err := v.Next(e); err != nil {
				return err
			}
			check.Verified = e.Sequence
		}
		for _, c := range checkpoints {
			if c.Sequence <= check.Verified {
				check.Signed = max(check.Signed, c.Sequence)
			}
		}
		switch {
		case len(events) < page.Limit:
			check.Complete = true
			return v.End()
		case !deadline.IsZero() && b.now().After(deadline):
			return nil
		}
		page.After = strconv.FormatInt(check.Verified, 10)
	}
}
