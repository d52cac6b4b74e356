package broker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// How a rotation goes on.
const (
	rewrapBatch    = 200         // secret versions in one step
	rewrapFailures = 5           // then it rests until the lease is over, or the next start
	rewrapTurn     = time.Second // how often a replica that waits for its turn looks
)

// rotation is the state of the online rotation in this process.
type rotation struct {
	running atomic.Bool
	turn    sync.Mutex // held, with the lease, while the ring is changed
}

// KeyRing is the state of the vault's keys.
type KeyRing struct {
	Keys     []forgecroft.RingKey
	Rotating bool
}

// ring returns the key ring for an owner of the whole organization.
func (b *Broker) ring(call Call) (forgecroft.KeyRing, error) {
	if err := call.wholeOrganization(); err != nil {
		return nil, err
	}
	if b.keyRing == nil {
		return nil, forgecroft.Errorf(forgecroft.KindUnprocessable, "no_key_ring", "This vault manages its own keys; rotate them there.")
	}
	return b.keyRing, nil
}

// ListVaultKeys returns the keys of the vault's ring with the number of secret versions that each seals.
func (b *Broker) ListVaultKeys(ctx context.Context, call Call) (KeyRing, error) {
	a := act{"vault_key.list", forgecroft.PermInstance, "vault_key", ""}
	return read(ctx, b, call, a, func() (KeyRing, error) { return b.keys(ctx, call) })
}

// keys reads the ring.
func (b *Broker) keys(ctx context.Context, call Call) (KeyRing, error) {
	ring, err := b.ring(call)
	if err != nil {
		return KeyRing{}, err
	}
	rotation, err := b.leaseOf(ctx, leaseRotation)
	if err != nil {
		return KeyRing{}, err
	}
	keys, err := ring.Keys(ctx)
	return KeyRing{keys, b.rotation.running.Load() || rotation.Expires.After(b.now())}, err
}

// RotateVaultKey makes a new primary key and moves all secret versions to it in the background. It returns as soon as new secrets are
// sealed with the new key. A rotation that is cut off goes on at the next start.
func (b *Broker) RotateVaultKey(ctx context.Context, call Call) (KeyRing, error) {
	a := act{"vault_key.rotate", forgecroft.PermInstance, "vault_key", ""}
	if err := b.authorise(ctx, call, a); err != nil {
		return KeyRing{}, err
	}
	ring, err := b.ring(call)
	if err != nil {
		return KeyRing{}, b.settle(ctx, call, a, err)
	}
	e := &entry{}
	var id string
	err = b.changeKeys(ctx, func() (err error) { id, err = ring.Rotate(ctx); return err })
	if err != nil {
		return KeyRing{}, b.fail(ctx, call, a, e, err)
	}
	e.note("key_id", id)
	if err := b.record(ctx, call, a, forgecroft.OutcomeAllowed, e, nil); err != nil {
		return KeyRing{}, err
	}
	b.startRewrap(context.WithoutCancel(ctx))
	return b.keys(ctx, call)
}

// changeKeys changes the key ring while no other replica does: of two that read the key file before either has written it, one would lose the other's key.
func (b *Broker) changeKeys(ctx context.Context, change func() error) error {
	b.rotation.turn.Lock()
	defer b.rotation.turn.Unlock()
	held, err := b.lease(ctx, leaseKeys)
	if errors.Is(err, forgecroft.KindConflict) {
		return forgecroft.Errorf(forgecroft.KindConflict, "keys_being_changed", "Another replica is changing the keys of the vault. Repeat the request in a moment.")
	}
	if err != nil {
		return err
	}
	err = change()
	if err := b.release(context.WithoutCancel(ctx), held); err != nil {
		b.logger.WarnContext(ctx, "ending the change of the keys: other replicas cannot change them for a minute", "error", err)
	}
	return err
}

// RemoveVaultKey takes a key that seals nothing any more out of the ring.
func (b *Broker) RemoveVaultKey(ctx context.Context, call Call, id string) error {
	a := act{"vault_key.remove", forgecroft.PermInstance, "vault_key", ""}
	if err := b.authorise(ctx, call, a); err != nil {
		return err
	}
	ring, err := b.ring(call)
	if err != nil {
		return b.settle(ctx, call, a, err)
	}
	e := &entry{}
	if err := b.changeKeys(ctx, func() error { return b.removeKey(ctx, ring, id) }); err != nil {
		return b.fail(ctx, call, a, e, err)
	}
	e.note("key_id", id)
	return b.record(ctx, call, a, forgecroft.OutcomeAllowed, e, nil)
}

// removeKey takes a key out, unless secrets are being moved from one key to another.
func (b *Broker) removeKey(ctx context.Context, ring forgecroft.KeyRing, id string) error {
	rotation, err := b.leaseOf(ctx, leaseRotation)
	if err != nil {
		return err
	}
	if !rotation.Expires.After(b.now()) {
		return ring.RemoveKey(ctx, id)
	}
	keys, err := ring.Keys(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k forgecroft.RingKey) bool { return k.ID == id }) {
		return forgecroft.NotFound("key") // As at any other time.
	}
	return forgecroft.Errorf(forgecroft.KindConflict, "key_in_use", "A rotation is moving secret versions from key to key. Let it finish first.")
}

// rewrap moves what older keys seal to the primary one, in the background, until nothing is left. One replica does; the others wait for their turn, in
// which they find nothing to do, unless the first has died or knows an older primary key.
func (b *Broker) rewrap(ctx context.Context) {
	defer b.rotation.running.Store(false)
	for failures := 0; failures < rewrapFailures; {
		held, err := b.lease(ctx, leaseRotation)
		if errors.Is(err, forgecroft.KindConflict) {
			if !pause(ctx, rewrapTurn) {
				return
			}
			continue
		}
		var left int64
		if err == nil {
			left, err = b.keyRing.Rewrap(ctx, rewrapBatch)
		}
		if err != nil {
			failures++
			b.logger.WarnContext(ctx, "moving secret versions to the primary key", "error", err, "left", left)
		}
		switch {
		case err == nil && left == 0, errors.Is(err, forgecroft.KindIntegrity): // The latter: what is left cannot be moved.
			if err := b.release(ctx, held); err != nil {
				b.logger.WarnContext(ctx, "ending the rotation", "error", err)
			}
			return
		case err != nil && !pause(ctx, time.Duration(failures)*time.Second):
			return
		}
	}
}

// startRewrap starts the move unless it runs already.
func (b *Broker) startRewrap(ctx context.Context) {
	if b.keyRing != nil && b.rotation.running.CompareAndSwap(false, true) {
		go b.rewrap(ctx)
	}
}

// pause waits, and reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
