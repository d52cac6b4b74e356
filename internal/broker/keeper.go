package broker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The pace of the background work.
const (
	sweepInterval      = 15 * time.Second
	checkpointInterval = time.Minute
	vaultCheckInterval = time.Hour
	sweepBatch         = 100
	maxPutOff          = 15 * time.Minute // between two attempts at a destruction that fails
)

// Keeper does what no caller asks for: it finishes intents, signs checkpoints, drops idempotency records that have expired, and looks
// after the vault. Among replicas a lease in the database says which keeper works.
type Keeper struct {
	deps
	broker  *Broker
	overdue atomic.Int64 // nanoseconds; see [Keeper.Overdue]
}

// NewKeeper returns the keeper of an opened installation.
func NewKeeper(b *Broker) *Keeper { return &Keeper{deps: b.deps, broker: b} }

// Run works until ctx ends, beginning with a sweep: what the last stop left behind is finished first.
func (k *Keeper) Run(ctx context.Context) {
	k.resumeRotation(ctx)
	sweep, checkpoint, check := time.NewTicker(sweepInterval), time.NewTicker(checkpointInterval), time.NewTicker(vaultCheckInterval)
	defer sweep.Stop()
	defer checkpoint.Stop()
	defer check.Stop()
	k.attempt(ctx, "sweeping", k.Sweep)
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			k.attempt(ctx, "sweeping", k.Sweep)
			k.attempt(ctx, "looking for destructions that wait", k.NoteOverdue)
			k.attempt(ctx, "looking for a rotation that was left", k.TakeOverRotation)
		case <-checkpoint.C:
			k.attempt(ctx, "signing checkpoints", k.Checkpoint)
		case <-check.C:
			k.attempt(ctx, "checking the vault", k.vault.Check)
		}
	}
}

// attempt runs one piece of work and logs its failure: the next tick tries again.
func (k *Keeper) attempt(ctx context.Context, what string, work func(context.Context) error) {
	if err := work(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, forgecroft.KindConflict) {
		k.logger.WarnContext(ctx, what, "error", err)
	}
}

// resumeRotation goes on with a key rotation that a stop cut off.
func (k *Keeper) resumeRotation(ctx context.Context) {
	if k.keyRing != nil {
		k.broker.startRewrap(ctx)
	}
}

// TakeOverRotation goes on with a key rotation that another replica has begun and, since it died or its vault failed it, not brought to its end.
func (k *Keeper) TakeOverRotation(ctx context.Context) error {
	held, err := k.leaseOf(ctx, leaseRotation)
	if err != nil || held.Expires.Equal(released) || held.Expires.After(k.now()) {
		return err
	}
	k.broker.startRewrap(ctx)
	return nil
}

// NoteOverdue keeps, for [Keeper.Overdue], for how long the oldest destruction has been waiting.
func (k *Keeper) NoteOverdue(ctx context.Context) error {
	oldest, err := k.store.OldestIntent(ctx, forgecroft.IntentDestroy)
	switch {
	case errors.Is(err, forgecroft.KindNotFound):
		k.overdue.Store(0)
		return nil
	case err == nil:
		k.overdue.Store(int64(max(0, k.now().Sub(oldest.CreatedAt))))
	}
	return err
}

// Overdue tells for how long the oldest secret version that must go from the vault has been waiting, as of the last sweep of any replica; 0: none waits.
func (k *Keeper) Overdue() time.Duration { return time.Duration(k.overdue.Load()) }

// Sweep finishes every intent that is due. It returns [forgecroft.KindConflict] while another replica does.
func (k *Keeper) Sweep(ctx context.Context) error {
	held, err := k.lease(ctx, leaseSweeper)
	if err != nil {
		return err
	}
	for {
		due, err := k.store.Intents(ctx, k.instant(), sweepBatch)
		if err != nil {
			return fmt.Errorf("listing intents: %w", err)
		}
		for _, intent := range due {
			if err := k.sweep(ctx, held, intent); err != nil {
				return err
			}
		}
		if len(due) < sweepBatch {
			return k.forget(ctx, held)
		}
	}
}

// sweep finishes one intent. Before the vault is touched the intent becomes one to destroy, in a transaction that sees no row
// pointing at the reference: from then on no commit can make it live, because commits look for their intent to put.
func (k *Keeper) sweep(ctx context.Context, held forgecroft.Lease, intent forgecroft.Intent) error {
	destroy := false
	err := k.under(ctx, held, func(tx forgecroft.Tx) error {
		live, err := tx.ReferenceLive(ctx, intent.Reference)
		if err != nil {
			return err
		}
		if destroy = !live; live {
			_, err := tx.DropIntent(ctx, intent.Reference, "")
			return err
		}
		if intent.Kind == forgecroft.IntentDestroy {
			return nil
		}
		turned := intent // A copy: this may be run again.
		turned.Kind = forgecroft.IntentDestroy
		return tx.CreateIntent(ctx, turned)
	})
	if err != nil || !destroy {
		return err
	}
	err = k.finish(ctx, intent.Reference)
	if err == nil || errors.Is(err, forgecroft.KindConflict) || errors.Is(err, forgecroft.KindUnavailable) {
		return err // A backup is being taken, or the vault is away: the others would fare the same.
	}
	return k.putOff(ctx, held, intent, err)
}

// putOff lets a destruction that failed by itself wait, longer each time, so that it is not in the way of the others.
func (k *Keeper) putOff(ctx context.Context, held forgecroft.Lease, intent forgecroft.Intent, cause error) error {
	k.logger.WarnContext(ctx, "destroying a secret version: it will be tried again", "attempts", intent.Attempts+1, "error", cause)
	wait := min(sweepInterval<<min(intent.Attempts, 16), maxPutOff)
	intent.Kind, intent.Attempts, intent.NotBefore = forgecroft.IntentDestroy, intent.Attempts+1, k.instant().Add(wait)
	return k.under(ctx, held, func(tx forgecroft.Tx) error { return tx.CreateIntent(ctx, intent) })
}

// forget drops idempotency records and sessions that have expired.
func (k *Keeper) forget(ctx context.Context, held forgecroft.Lease) error {
	return k.under(ctx, held, func(tx forgecroft.Tx) error {
		now := k.instant()
		if err := tx.DropSessions(ctx, now); err != nil {
			return err
		}
		return tx.DropIdempotencyRecords(ctx, now.Add(-forgecroft.IdempotencyTTL))
	})
}

// Checkpoint signs the end of every organization's trail that has grown since its last checkpoint.
func (k *Keeper) Checkpoint(ctx context.Context) error {
	held, err := k.lease(ctx, leaseCheckpoints)
	if err != nil {
		return err
	}
	organizations, err := k.store.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range organizations {
		if err := k.under(ctx, held, func(tx forgecroft.Tx) error { return k.checkpoint(ctx, tx, o.ID) }); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint signs one trail.
func (k *Keeper) checkpoint(ctx context.Context, tx forgecroft.Tx, organizationID string) error {
	head, err := tx.AuditHead(ctx, organizationID)
	if err != nil || head.Sequence == 0 {
		return err
	}
	last, err := tx.AuditCheckpoints(ctx, organizationID, 1)
	if err != nil || (len(last) == 1 && last[0].Sequence == head.Sequence) {
		return err
	}
	return tx.CreateAuditCheckpoint(ctx, k.broker.signer.Sign(head, k.now()))
}

// Ready returns nil if the stores can serve.
func (k *Keeper) Ready(ctx context.Context) error {
	if err := k.store.Check(ctx); err != nil {
		return fmt.Errorf("the metadata database: %w", err)
	}
	if err := k.vault.Check(ctx); err != nil {
		return fmt.Errorf("the vault: %w", err)
	}
	return nil
}
