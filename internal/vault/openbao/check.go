package openbao

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		_, err := v.marker(ctx)
		return err
	}
	return v.adopt(ctx)
}

// marker reads the marker of a vault that must be there.
func (v *Vault) marker(ctx context.Context) (marker, error) {
	m, err := v.readMarker(ctx)
	if errors.Is(err, forgecroft.KindNotFound) {
		return m, unavailable("vault_missing", "The vault holds nothing of this installation any more.", fmt.Errorf("nothing under %s/%s", v.mount, v.prefix))
	}
	return m, err
}

// adopt makes the ring what the key source holds now: another replica may have changed it. A source that does not fit the vault is refused, for with it
// the server would not start again; one that lacks a key of the vault is not taken over.
func (v *Vault) adopt(ctx context.Context) error {
	m, err := v.marker(ctx)
	if err != nil {
		return err
	}
	if !v.ringTurn.TryLock() {
		return nil // The keys are being changed right now, by this process.
	}
	defer v.ringTurn.Unlock()
	fresh, err := v.keys.Load()
	var missing []string
	if err == nil {
		missing, err = m.check(fresh, v.keys)
	}
	if err != nil {
		return unavailable("vault_key_mismatch", "The key source does not fit the vault: the server would not start again. Put the right key ring there.", err)
	}
	if len(missing) > 0 || slices.Equal(fresh.IDs(), v.ring.IDs()) {
		return nil
	}
	if err := v.noteRing(ctx, fresh); err != nil { // A rotation may have been cut off before it got there.
		return err
	}
	v.exchange(fresh)
	v.logger.InfoContext(ctx, "the key source has changed; its keys are in use now", "primary", fresh.Primary())
	return nil
}

// exchange gives the ring other keys, and waits until nothing is on its way any more that the old primary key has sealed.
func (v *Vault) exchange(ring *envelope.Ring) {
	v.ring.Replace(ring)
	v.puts.Lock()
	defer v.puts.Unlock()
}
