package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The pace of the background work.
const (
	sweepInterval      = 15 * time.Second
	checkpointInterval = time.Minute
	vaultCheckInterval = time.Hour
	leaseTerm          = time.Minute
	sweepBatch         = 100
)

// Keeper does what no caller asks for: it finishes intents, signs checkpoints, drops idempotency records that have expired, and looks
// after the vault. Among replicas a lease in the database says which keeper works.
type Keeper struct {
	deps
	broker *Broker
	holder string
}

// NewKeeper returns the keeper of an opened installation.
func NewKeeper(b *Broker) *Keeper { return &Keeper{deps: b.deps, broker: b, holder: b.newID()} }

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

// lease takes or renews the right to do one kind of work.
func (k *Keeper) lease(ctx context.Context, name string) error {
	return k.store.Update(ctx, func(tx forgecroft.Tx) error {
		now := k.instant()
		_, err := tx.AcquireLease(ctx, name, k.holder, now, now.Add(leaseTerm))
		return err
	})
}

// Sweep finishes every intent that is due. It returns [forgecroft.KindConflict] while another replica does.
func (k *Keeper) Sweep(ctx context.Context) error {
	if err := k.lease(ctx, "sweeper"); err != nil {
		return err
	}
	for {
		due, err := k.store.Intents(ctx, k.instant(), sweepBatch)
		if err != nil {
			return fmt.Errorf("listing intents: %w", err)
		}
		for _, intent := range due {
			if err := k.sweep(ctx, intent); err != nil {
				return err
			}
		}
		if len(due) < sweepBatch {
			return k.forget(ctx)
		}
		if err := k.lease(ctx, "sweeper"); err != nil {
			return err
		}
	}
}

// sweep finishes one intent. Before the vault is touched the intent becomes one to destroy, in a transaction that sees no row
// pointing at the reference: from then on no commit can make it live, because commits look for their intent to put.
func (k *Keeper) sweep(ctx context.Context, intent forgecroft.Intent) error {
	destroy := false
	err := k.store.Update(ctx, func(tx forgecroft.Tx) error {
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
	return k.finish(ctx, intent.Reference)
}

// forget drops idempotency records and sessions that have expired.
func (k *Keeper) forget(ctx context.Context) error {
	return k.store.Update(ctx, func(tx forgecroft.Tx) error {
		now := k.instant()
		if err := tx.DropSessions(ctx, now); err != nil {
			return err
		}
		return tx.DropIdempotencyRecords(ctx, now.Add(-forgecroft.IdempotencyTTL))
	})
}

// Checkpoint signs the end of every organization's trail that has grown since its last checkpoint.
func (k *Keeper) Checkpoint(ctx context.Context) error {
	if err := k.lease(ctx, "checkpoints"); err != nil {
		return err
	}
	organizations, err := k.store.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range organizations {
		if err := k.store.Update(ctx, func(tx forgecroft.Tx) error { return k.checkpoint(ctx, tx, o.ID) }); err != nil {
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
