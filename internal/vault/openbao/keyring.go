package openbao

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

var _ forgecroft.KeyRing = (*keyRing)(nil)

// keyRing is the part of a vault under an envelope that works with its keys.
type keyRing struct{ *Vault }

// KeyRing returns the keys of the envelope, or nil if the vault has none.
//
// Replicas that share a key source which can be written, such as a file on a shared volume, take a new key over with their next readiness check. With
// sources that cannot be written, give the new key to all replicas first: in second place of the ring, so that all can open what it seals, and then in
// the first.
func (v *Vault) KeyRing() forgecroft.KeyRing {
	if v.ring == nil {
		return nil
	}
	return &keyRing{v}
}

// Keys implements [forgecroft.KeyRing]. It reads every secret version, for the server knows nothing of keys.
func (k *keyRing) Keys(ctx context.Context) ([]forgecroft.RingKey, error) {
	if k.closing.Load() {
		return nil, closed()
	}
	counts, err := k.census(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("counting what the keys seal: %w", err)
	}
	var keys []forgecroft.RingKey
	for i, id := range k.ring.IDs() {
		keys = append(keys, forgecroft.RingKey{ID: id, Primary: i == 0, Secrets: counts[id]})
	}
	return keys, nil
}

// settleIn is how long a change of the marker may take that must not be left out because a client has gone.
const settleIn = 30 * time.Second

// Rotate implements [forgecroft.KeyRing]. The key source has the new key before the vault knows of it, and the vault before it is used: wherever a crash
// cuts this off, the next start finds every key that seals something.
func (k *keyRing) Rotate(ctx context.Context) (string, error) {
	if k.closing.Load() {
		return "", closed()
	}
	k.ringTurn.Lock()
	defer k.ringTurn.Unlock()
	if err := k.current(ctx); err != nil {
		return "", err
	}
	var next *envelope.Ring
	err := k.keys.Update(func(now *envelope.Ring) (_ *envelope.Ring, err error) {
		next, err = k.withNewPrimary(now)
		return next, err
	})
	if err != nil {
		return "", fmt.Errorf("writing the new key to %s: %w", k.keys, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	err = k.changeMarker(ctx, func(m *marker) (bool, error) {
		m.Primary = next.Primary()
		return true, m.note(next)
	})
	if err != nil {
		return "", fmt.Errorf("noting the new key: %w", err)
	}
	k.exchange(next)
	return next.Primary(), nil
}

// withNewPrimary adds a key to a ring.
func (k *keyRing) withNewPrimary(now *envelope.Ring) (*envelope.Ring, error) {
	if err := k.keeps(now); err != nil {
		return nil, err
	}
	next, err := now.WithNewPrimary()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if _, err := envelope.ParseRing(next.Format()); err != nil {
		return nil, &forgecroft.Error{
			Kind: forgecroft.KindUnprocessable, Code: "key_ring_full", Cause: err,
			Message: "The key ring takes no more keys. Remove those that seal nothing.",
		}
	}
	return next, nil
}

// keeps refuses a source that has lost a key which this process still has: written again without it, nobody would look for it any more.
func (k *keyRing) keeps(now *envelope.Ring) error {
	for _, id := range k.ring.IDs() {
		if !now.Has(id) {
			return unavailable("vault_key_mismatch", "The key source has lost a key that this server still has in memory. Put the key ring back first.", fmt.Errorf("%s lacks the key %s", k.keys, id))
		}
	}
	return nil
}

// current makes the ring what the key source holds, before it is changed.
func (k *keyRing) current(ctx context.Context) error {
	m, err := k.marker(ctx)
	if err != nil {
		return err
	}
	return k.renew(ctx, m)
}

// RemoveKey implements [forgecroft.KeyRing]. The vault is told first that nothing may be sealed with the key any more, then every secret version is looked at: what another replica
// seals with it meanwhile is found by one of the two (see [Vault.confirm]). The source forgets it last. Cut off anywhere, it is done by repeating it; the key itself is in the ring until the end.
func (k *keyRing) RemoveKey(ctx context.Context, id string) error {
	if k.closing.Load() {
		return closed()
	}
	if err := k.retire(ctx, id); err != nil {
		return err
	}
	err := k.checkUseless(ctx, id)
	if err == nil {
		err = k.drop(ctx, id)
	}
	if err != nil {
		return errors.Join(err, k.reinstate(ctx, id))
	}
	return nil
}

// retire has the vault say that nothing may be sealed with a key any more.
func (k *keyRing) retire(ctx context.Context, id string) error {
	k.ringTurn.Lock()
	defer k.ringTurn.Unlock()
	if err := k.current(ctx); err != nil {
		return err
	}
	err := k.changeMarker(ctx, func(m *marker) (bool, error) {
		if err := k.removable(id, m); err != nil || m.retired(id) {
			return false, err
		}
		m.Retired = append(m.Retired, id)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("taking the key out of use: %w", err)
	}
	return nil
}

// reinstate takes back what retire has said.
func (k *keyRing) reinstate(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	err := k.changeMarker(ctx, func(m *marker) (bool, error) {
		before := len(m.Retired)
		m.Retired = slices.DeleteFunc(m.Retired, func(retired string) bool { return retired == id })
		return len(m.Retired) < before, m.note(k.ring)
	})
	if err != nil {
		return fmt.Errorf("taking the key into use again: %w", err)
	}
	return nil
}

// checkUseless refuses a key that seals something.
func (k *keyRing) checkUseless(ctx context.Context, id string) error {
	counts, err := k.census(ctx, nil)
	if err != nil {
		return fmt.Errorf("looking for what the key seals: %w", err)
	}
	if n := counts[id]; n > 0 {
		return forgecroft.Errorf(forgecroft.KindConflict, "key_in_use", "The key %s still seals %d secret versions. Let the rotation finish first.", id, n)
	}
	return nil
}

// drop takes a key that seals nothing out of the source, and out of the vault's memory.
func (k *keyRing) drop(ctx context.Context, id string) error {
	k.ringTurn.Lock()
	defer k.ringTurn.Unlock()
	if k.ring.Has(id) {
		var next *envelope.Ring
		err := k.keys.Update(func(now *envelope.Ring) (_ *envelope.Ring, err error) {
			if next = now; now.Has(id) {
				next, err = now.Without(id)
			}
			return next, err
		})
		if err != nil {
			return fmt.Errorf("taking the key out of %s: %w", k.keys, err)
		}
		k.exchange(next)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	err := k.changeMarker(ctx, func(m *marker) (bool, error) {
		_, known := m.Keys[id]
		delete(m.Keys, id)
		if m.Primary == id {
			m.Primary = ""
		}
		return known, nil
	})
	if err != nil {
		k.logger.WarnContext(ctx, "forgetting a key that is taken out: repeat it", "key", id, "error", err)
	}
	return nil
}

// removable refuses keys that are not there, and the one that seals. A key that only the vault knows may go, too: its source has lost it.
func (k *keyRing) removable(id string, m *marker) error {
	_, known := m.Keys[id]
	switch {
	case !k.ring.Has(id) && !known:
		return forgecroft.NotFound("key")
	case id == k.ring.Primary():
		return forgecroft.Errorf(forgecroft.KindConflict, "key_in_use", "The key %s is the primary key: it seals every new secret version. Rotate the key first.", id)
	}
	return nil
}
