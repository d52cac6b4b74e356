package openbao

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// moving is how far a move to the primary key has come. It only saves work: a walk that begins anew finds what is left.
type moving struct {
	turn    sync.Mutex // held by whoever moves
	pending []forgecroft.Reference
	failed  atomic.Int64 // of this walk: what could not be moved
	tidied  bool         // what an earlier process may have left behind is gone
}

// Rewrap implements [forgecroft.KeyRing]. It walks over all secret versions once to find what older keys seal, then moves it in portions, and walks again to be
// sure. What fails authentication stays where it is; when nothing else is left, that is [forgecroft.KindIntegrity].
//
// A move writes the version over the one that was read, so whatever was destroyed or moved by somebody else meanwhile is left alone.
func (k *keyRing) Rewrap(ctx context.Context, limit int) (left int64, err error) {
	if k.closing.Load() {
		return 0, closed()
	}
	k.moving.turn.Lock()
	defer k.moving.turn.Unlock()
	if err := k.adopt(ctx); err != nil { // What another replica's key seals would not be found, or be moved to an older key.
		return int64(len(k.moving.pending)), err
	}
	if len(k.ring.IDs()) == 1 {
		return 0, nil // There is no older key.
	}
	if len(k.moving.pending) == 0 {
		if err := k.walk(ctx); err != nil {
			return 0, fmt.Errorf("looking for what older keys seal: %w", err)
		}
	}
	n := min(max(limit, 0), len(k.moving.pending))
	if n == 0 {
		return int64(len(k.moving.pending)), nil
	}
	if err := inParallel(k.moving.pending[:n], censusReaders, func(ref forgecroft.Reference) error { return k.move(ctx, ref) }); err != nil {
		return int64(len(k.moving.pending)), fmt.Errorf("moving secret versions to the primary key: %w", err)
	}
	k.moving.pending = k.moving.pending[n:]
	if len(k.moving.pending) > 0 {
		return int64(len(k.moving.pending)), nil
	}
	return k.finish(ctx)
}

// finish looks at what a whole pass has left.
func (k *keyRing) finish(ctx context.Context) (int64, error) {
	damaged := k.moving.failed.Swap(0)
	if err := k.walk(ctx); err != nil {
		return 1, fmt.Errorf("looking for what older keys seal: %w", err)
	}
	left := int64(len(k.moving.pending))
	if left > 0 && left <= damaged {
		return left, unsealable(fmt.Errorf("%d secret versions cannot be moved to the primary key", left))
	}
	return left, nil
}

// walk finds everything that the primary key does not seal.
func (k *keyRing) walk(ctx context.Context) error {
	primary := k.ring.Primary()
	var mu sync.Mutex
	var pending []forgecroft.Reference
	_, err := k.census(ctx, func(ref forgecroft.Reference, found stored, keyID string) error {
		if keyID != primary {
			mu.Lock()
			pending = append(pending, ref)
			mu.Unlock()
			return nil
		}
		if found.version > 1 && !k.moving.tidied {
			return k.destroyBelow(ctx, ref, found.version)
		}
		return nil
	})
	if err == nil {
		slices.Sort(pending)
		k.moving.pending, k.moving.tidied = pending, true
	}
	return err
}

// move wraps the data key of one secret version by the primary key, and destroys the version before.
func (k *keyRing) move(ctx context.Context, ref forgecroft.Reference) error {
	found, err := k.readStored(ctx, ref, false)
	switch {
	case errors.Is(err, forgecroft.KindNotFound), errors.Is(err, errDeleted):
		return nil
	case errors.Is(err, forgecroft.KindIntegrity):
		return k.immovable(ctx, ref, err)
	case err != nil:
		return err
	}
	moved, changed, err := k.ring.Rewrap(bound(found.binding()), found.Sealed)
	if err != nil {
		return k.immovable(ctx, ref, err)
	}
	if !changed {
		return nil
	}
	return k.replace(ctx, ref, found, moved)
}

// replace writes a moved version over the one that was read, and destroys that. If the key that it was moved to is being taken out at the same moment, the old one is written back.
func (k *keyRing) replace(ctx context.Context, ref forgecroft.Reference, found stored, moved []byte) error {
	before := found.Sealed
	found.Sealed = moved
	a, _, err := k.write(ctx, k.data(ref), found.version, found.document)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusBadRequest:
		return k.overtaken(ctx, ref)
	case !a.ok():
		return k.client.refusal(ctx, request{secret: true}, a)
	}
	if refused := k.confirm(ctx, moved); refused != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
		defer cancel()
		found.Sealed = before
		_, _, err := k.write(ctx, k.data(ref), found.version+1, found.document)
		return errors.Join(refused, err)
	}
	k.cache.Replace(ref, moved)
	return k.destroyBelow(ctx, ref, found.version+1)
}

// overtaken looks at a secret version that was not the one to be moved any more: somebody else moved or destroyed it, or our own first try succeeded
// without our knowing. What it left behind is destroyed; anything else is for the next walk.
func (k *keyRing) overtaken(ctx context.Context, ref forgecroft.Reference) error {
	now, err := k.readStored(ctx, ref, true)
	switch {
	case errors.Is(err, forgecroft.KindUnavailable):
		return err
	case err != nil || now.version < 2 || sealedBy(now.document) != k.ring.Primary():
		return nil
	}
	k.cache.Replace(ref, now.Sealed)
	return k.destroyBelow(ctx, ref, now.version)
}

// immovable notes a secret version that has to stay where it is.
func (k *keyRing) immovable(ctx context.Context, ref forgecroft.Reference, err error) error {
	k.logger.ErrorContext(ctx, "a secret version cannot be moved to the primary key", "reference", string(ref), "error", err)
	k.moving.failed.Add(1)
	return nil
}

// destroyBelow destroys what is left of the versions before one: they are sealed with older keys.
func (v *Vault) destroyBelow(ctx context.Context, ref forgecroft.Reference, version int) error {
	below := make([]int, 0, 1)
	for i := max(1, version-10); i < version; i++ {
		below = append(below, i)
	}
	r := request{method: http.MethodPost, path: v.mount + "/destroy/" + v.prefix + "/secrets/" + string(ref), body: map[string][]int{"versions": below}}
	a, _, err := v.call(ctx, r)
	if err == nil && !a.ok() {
		err = v.client.refusal(ctx, r, a)
	}
	if err != nil {
		return fmt.Errorf("destroying what an older key seals: %w", err)
	}
	return nil
}

// sealedBy is the key that a document is sealed with, or "".
func sealedBy(d document) string {
	id, err := envelope.KeyID(d.Sealed)
	if err != nil {
		return ""
	}
	return id
}
