package moving

import (
	"context"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// KeyRing is the ring of the new place, which stays as it is until the move is over: both places seal with it.
func (v *Vault) KeyRing(to forgecroft.KeyRing) forgecroft.KeyRing {
	if to == nil {
		return nil
	}
	return keyRing{to, v}
}

// keyRing refuses to change the ring while secrets are moving.
type keyRing struct {
	forgecroft.KeyRing
	vault *Vault
}

// Rotate implements [forgecroft.KeyRing].
func (k keyRing) Rotate(ctx context.Context) (string, error) {
	if !k.vault.Done() {
		return "", errMoving()
	}
	return k.KeyRing.Rotate(ctx)
}

// RemoveKey implements [forgecroft.KeyRing].
func (k keyRing) RemoveKey(ctx context.Context, id string) error {
	if !k.vault.Done() {
		return errMoving()
	}
	return k.KeyRing.RemoveKey(ctx, id)
}

// errMoving refuses what has to wait.
func errMoving() error {
	return forgecroft.Errorf(forgecroft.KindConflict, "secrets_moving", "The secrets are being moved to another vault. Try again when that is done; the server's log tells.")
}
