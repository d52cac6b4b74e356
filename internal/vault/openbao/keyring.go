package openbao

import (
	"context"
	"errors"
	"fmt"

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
	next, err := k.ring.WithNewPrimary()
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	if _, err := envelope.ParseRing(next.Format()); err != nil {
		return "", &forgecroft.Error{
			Kind: forgecroft.KindUnprocessable, Code: "key_ring_full", Cause: err,
			Message: "The key ring takes no more keys. Remove those that seal nothing.",
		}
	}
	if err := k.keys.Save(next); err != nil {
		return "", fmt.Errorf("writing the new key to %s: %w", k.keys, err)
	}
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

// current makes the ring what the key source holds, before it is changed: what another replica has put there would be lost otherwise.
func (k *keyRing) current(ctx context.Context) error {
	m, err := k.marker(ctx)
	if err != nil {
		return err
	}
	return k.renew(ctx, m)
}

// RemoveKey implements [forgecroft.KeyRing]. The vault forgets the key first, then every secret version is looked at, so that whatever another replica seals with it meanwhile is found by one of the
// two (see [Vault.confirm]). The source forgets it last: after a failure in between the key is still in the ring, and the next start notes it again.
func (k *keyRing) RemoveKey(ctx context.Context, id string) error {
	if k.closing.Load() {
		return closed()
	}
	k.ringTurn.Lock()
	defer k.ringTurn.Unlock()
	if err := k.current(ctx); err != nil {
		return err
	}
	if err := k.removable(id); err != nil {
		return err
	}
	next, err := k.ring.Without(id)
	if err != nil {
		return fmt.Errorf("taking a key out of the ring: %w", err)
	}
	if err := k.forget(ctx, id); err != nil {
		return err
	}
	if err := k.keys.Save(next); err != nil {
		return errors.Join(fmt.Errorf("taking the key out of %s: %w", k.keys, err), k.noteRing(ctx, k.ring))
	}
	k.exchange(next)
	return nil
}

// forget takes a key out of the marker, and puts it back if it seals something.
func (k *keyRing) forget(ctx context.Context, id string) error {
	err := k.changeMarker(ctx, func(m *marker) (bool, error) {
		_, known := m.Keys[id]
		delete(m.Keys, id)
		return known, nil
	})
	if err != nil {
		return fmt.Errorf("forgetting the key: %w", err)
	}
	counts, err := k.census(ctx, nil)
	switch {
	case err != nil:
		err = fmt.Errorf("looking for what the key seals: %w", err)
	case counts[id] > 0:
		err = forgecroft.Errorf(forgecroft.KindConflict, "key_in_use", "The key %s still seals %d secret versions. Let the rotation finish first.", id, counts[id])
	default:
		return nil
	}
	return errors.Join(err, k.noteRing(ctx, k.ring))
}

// removable refuses keys that are not there, and the one that seals.
func (k *keyRing) removable(id string) error {
	switch {
	case !k.ring.Has(id):
		return forgecroft.NotFound("key")
	case id == k.ring.Primary():
		return forgecroft.Errorf(forgecroft.KindConflict, "key_in_use", "The key %s is the primary key: it seals every new secret version. Rotate the key first.", id)
	}
	return nil
}
