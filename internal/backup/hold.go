package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// holdTerm is how long destructions wait for a backup that is heard of no more.
const holdTerm = 2 * time.Minute

// errHoldLost says that destructions may have gone on meanwhile.
var errHoldLost = errors.New("the backup was too slow to keep destructions away")

// hold keeps every replica from destroying secret versions: whoever wants to destroy looks for the lease after the row that pointed at the version is
// gone. So what a snapshot that begins later points at stays, as long as the lease is held without a gap.
type hold struct {
	store  forgecroft.Store
	holder string
	now    func() time.Time
	lease  forgecroft.Lease
}

// takeHold begins to keep destructions away. While another backup does, it is [forgecroft.KindConflict].
func takeHold(ctx context.Context, s forgecroft.Store, holder string, now func() time.Time) (*hold, error) {
	h := &hold{store: s, holder: holder, now: now}
	err := h.acquire(ctx, holdTerm)
	if errors.Is(err, forgecroft.KindConflict) {
		return nil, forgecroft.Errorf(forgecroft.KindConflict, "backup_running", "Another backup is being taken. Try again when it is done; one that was cut off gives way after two minutes.")
	}
	if err != nil {
		return nil, fmt.Errorf("keeping destructions away: %w", err)
	}
	return h, nil
}

// acquire takes or renews the lease.
func (h *hold) acquire(ctx context.Context, term time.Duration) error {
	return h.store.Update(ctx, func(tx forgecroft.Tx) error {
		now := h.now().UTC()
		lease, err := tx.AcquireLease(ctx, forgecroft.LeaseBackup, h.holder, now, now.Add(term))
		if err == nil {
			h.lease = lease
		}
		return err
	})
}

// keep renews the lease when it is half over.
func (h *hold) keep(ctx context.Context) error {
	before := h.lease
	now := h.now()
	if before.Expires.Sub(now) > holdTerm/2 {
		return nil
	}
	if !now.Before(before.Expires) {
		return errHoldLost
	}
	switch err := h.acquire(ctx, holdTerm); {
	case errors.Is(err, forgecroft.KindConflict):
		return errHoldLost
	case err != nil:
		return fmt.Errorf("keeping destructions away: %w", err)
	case h.lease.Fence != before.Fence:
		return errHoldLost
	}
	return nil
}

// release lets destructions go on. If it fails, they go on when the lease is over.
func (h *hold) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = h.acquire(ctx, 0)
}
