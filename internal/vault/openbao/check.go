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

// Check implements [forgecroft.Vault]. It reads something with the server's token, so that it fails for whatever makes deliveries fail; it fails before
// the token expires; and it takes over keys that another replica has made.
func (v *Vault) Check(ctx context.Context) error {
	if v.closing.Load() {
		return closed()
	}
	if err := v.session.check(); err != nil {
		return err
	}
	if v.ring == nil {
		if _, err := v.marker(ctx); err != nil {
			return err
		}
	} else if err := v.adopt(ctx); err != nil {
		return err
	}
	return v.checkRights(ctx)
}

// marker reads the marker of a vault that must be there.
func (v *Vault) marker(ctx context.Context) (marker, error) {
	m, err := v.readMarker(ctx)
	if errors.Is(err, forgecroft.KindNotFound) {
		return m, unavailable("vault_missing", "The vault holds nothing of this installation any more.", fmt.Errorf("nothing under %s/%s", v.mount, v.prefix))
	}
	return m, err
}

// adopt makes the ring what the key source holds now: another replica may have changed it.
func (v *Vault) adopt(ctx context.Context) error {
	m, err := v.marker(ctx)
	if err != nil {
		return err
	}
	if !v.ringTurn.TryLock() {
		return nil // The keys are being changed right now, by this process.
	}
	defer v.ringTurn.Unlock()
	return v.renew(ctx, m)
}

// renew reads the key source again, for whoever has the turn to exchange keys. One that does not fit the vault is refused, for with it the server would not start again; so is
// one that lacks a key that is in use, as a copy of the key file does after another replica has rotated the key.
func (v *Vault) renew(ctx context.Context, m marker) error {
	fresh, err := v.keys.Load()
	var missing []string
	if err == nil {
		missing, err = m.check(fresh, v.keys)
	}
	if err != nil {
		return unavailable("vault_key_mismatch", "The key source does not fit the vault: the server would not start again. Put the right key ring there.", err)
	}
	for _, id := range missing {
		if v.ring.Has(id) && !m.retired(id) {
			return v.keepKey(id, m)
		}
		if err := v.missed(ctx, id, m); err != nil {
			return err
		}
	}
	if !m.notes(fresh) { // A rotation, or a removal, may have been cut off before it got there.
		if err := v.noteRing(ctx, fresh); err != nil {
			return err
		}
	}
	if slices.Equal(fresh.IDs(), v.ring.IDs()) {
		return nil
	}
	v.exchange(fresh)
	v.logger.InfoContext(ctx, "the key source has changed; its keys are in use now", "primary", fresh.Primary())
	return nil
}

// keepKey goes on with a key that the source has lost. It is no reason to stop, unless the server would not start again.
func (v *Vault) keepKey(id string, m marker) error {
	if id != m.Primary {
		return nil
	}
	return unavailable("vault_key_mismatch", "The key source has lost a key that this server still has in memory. Put the key ring back before the server is stopped.",
		fmt.Errorf("%s lacks the key %s", v.keys, id))
}

// recount is how often a server that lacks a key looks whether anything is sealed with it.
const recount = time.Minute

// missed refuses to go on without a key that the vault knows, if a rotation has made it, or if something was met that it seals.
func (v *Vault) missed(ctx context.Context, id string, m marker) error {
	if _, spare := v.spare.Load(id); id == m.Primary && !spare {
		return v.keyMissing(id)
	}
	if _, met := v.met.Load(id); !met {
		return nil
	}
	if v.now().Sub(v.counted) >= recount {
		counts, err := v.census(ctx, nil)
		if err != nil {
			return err
		}
		v.counted = v.now()
		if counts[id] == 0 { // What it sealed has been moved, or is gone.
			v.met.Delete(id)
			return nil
		}
	}
	return v.keyMissing(id)
}

// keyMissing is the answer of a replica whose key source has not been given a key that another one uses.
func (v *Vault) keyMissing(id string) error {
	return unavailable("vault_key_missing", "The vault uses a key that this server has not been given.",
		fmt.Errorf("%s lacks the key %s, which another replica has made: put the same key ring there", v.keys, id))
}

// unknownKey gives its meaning to a blob that names a key which neither the ring nor its source has: a key that the vault knows is missing here, any other is damage.
func (v *Vault) unknownKey(ctx context.Context, unknown *envelope.UnknownKeyError) error {
	m, err := v.marker(ctx)
	if err != nil {
		return err
	}
	if _, known := m.Keys[unknown.KeyID]; !known {
		return unsealable(unknown)
	}
	v.met.Store(unknown.KeyID, struct{}{}) // From here on the server is not ready until it has the key.
	return v.keyMissing(unknown.KeyID)
}

// exchange gives the ring other keys, and waits until nothing is on its way any more that the old primary key has sealed.
func (v *Vault) exchange(ring *envelope.Ring) {
	v.ring.Replace(ring)
	v.puts.Lock()
	defer v.puts.Unlock()
}
