package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/audit"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// fsckBatch is how many references or events one step of a check reads.
const fsckBatch = 500

// FsckReport is what a check of both stores found.
type FsckReport struct {
	Live     int                         // references that rows point at
	Stored   int                         // references in the vault
	Pending  int                         // vault entries without a row that an intent accounts for
	Missing  []forgecroft.BoundReference // a row points at them, the vault has nothing
	Damaged  []forgecroft.BoundReference // the vault has something that does not open for the row
	Orphans  []forgecroft.Reference      // in the vault, without a row or an intent
	Audit    []string                    // broken audit trails, one sentence each
	Events   int64                       // audit events verified
	Repaired int                         // orphans destroyed
}

// Clean reports whether nothing is wrong.
func (r FsckReport) Clean() bool {
	return len(r.Missing)+len(r.Damaged)+len(r.Orphans)+len(r.Audit) == 0
}

// Fsck compares the metadata with the vault both ways, opens every live secret version, and verifies every audit trail. It
// changes nothing unless repair is set: then it destroys orphans. Meant for a server that is stopped.
func Fsck(ctx context.Context, c Config, repair bool) (FsckReport, error) {
	d := c.deps()
	var r FsckReport
	live, err := d.checkLive(ctx, &r)
	if err != nil {
		return r, err
	}
	if err := d.checkStored(ctx, &r, live); err != nil {
		return r, err
	}
	if err := d.checkTrails(ctx, &r); err != nil {
		return r, err
	}
	if !repair {
		return r, nil
	}
	for _, ref := range r.Orphans {
		if err := d.vault.Destroy(ctx, ref); err != nil {
			return r, fmt.Errorf("destroying an orphan: %w", err)
		}
		r.Repaired++
	}
	return r, nil
}

// checkLive opens every reference that a row points at.
func (d deps) checkLive(ctx context.Context, r *FsckReport) (map[forgecroft.Reference]bool, error) {
	live := map[forgecroft.Reference]bool{} // reference → a row points at it
	for after := forgecroft.Reference(""); ; {
		bound, err := d.store.SecretBindings(ctx, after, fsckBatch)
		if err != nil {
			return nil, fmt.Errorf("listing live references: %w", err)
		}
		for _, b := range bound {
			live[b.Reference] = true
			switch _, err := d.vault.Get(ctx, b.Reference, b.Binding); {
			case errors.Is(err, forgecroft.KindNotFound):
				r.Missing = append(r.Missing, b)
			case errors.Is(err, forgecroft.KindIntegrity):
				r.Damaged = append(r.Damaged, b)
			case err != nil:
				return nil, fmt.Errorf("opening a secret version: %w", err)
			}
			after = b.Reference
		}
		if len(bound) < fsckBatch {
			r.Live = len(live)
			return live, nil
		}
	}
}

// checkStored looks for vault entries that nothing accounts for.
func (d deps) checkStored(ctx context.Context, r *FsckReport, live map[forgecroft.Reference]bool) error {
	for after := forgecroft.Reference(""); ; {
		refs, err := d.vault.References(ctx, after, fsckBatch)
		if err != nil {
			return fmt.Errorf("listing the vault: %w", err)
		}
		for _, ref := range refs {
			after = ref
			r.Stored++
			if live[ref] {
				continue
			}
			switch _, err := d.store.Intent(ctx, ref); {
			case errors.Is(err, forgecroft.KindNotFound):
				r.Orphans = append(r.Orphans, ref)
			case err != nil:
				return err
			default:
				r.Pending++
			}
		}
		if len(refs) < fsckBatch {
			return nil
		}
	}
}

// checkTrails verifies the audit trail of every organization, against its stored checkpoints too.
func (d deps) checkTrails(ctx context.Context, r *FsckReport) error {
	organizations, err := d.store.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range organizations {
		err := d.checkTrail(ctx, r, o.ID)
		var broken *audit.BrokenError
		if errors.As(err, &broken) {
			r.Audit = append(r.Audit, fmt.Sprintf("organization %s: %v", o.ID, broken))
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTrail verifies one trail.
func (d deps) checkTrail(ctx context.Context, r *FsckReport, organizationID string) error {
	checkpoints, err := d.store.AuditCheckpoints(ctx, organizationID, fsckBatch)
	if err != nil {
		return err
	}
	v := audit.NewVerifier(organizationID, checkpoints)
	for {
		page := forgecroft.Page{Limit: fsckBatch}
		if s := v.Head().Sequence; s > 0 {
			page.After = fmt.Sprint(s)
		}
		events, err := d.store.AuditEvents(ctx, organizationID, forgecroft.AuditFilter{Ascending: true}, page)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := v.Next(e); err != nil {
				return err
			}
			r.Events++
		}
		if len(events) < fsckBatch {
			return v.End()
		}
	}
}
