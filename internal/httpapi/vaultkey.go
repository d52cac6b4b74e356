package httpapi

import (
	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) listVaultKeys(r *request) (sdk.KeyRing, error) {
	ring, err := a.broker.ListVaultKeys(r.Context(), r.call)
	return wireKeyRing(ring), err
}

func (a *api) rotateVaultKey(r *request) (sdk.KeyRing, error) {
	ring, err := a.broker.RotateVaultKey(r.Context(), r.call)
	return wireKeyRing(ring), err
}

func (a *api) removeVaultKey(r *request) error {
	return a.broker.RemoveVaultKey(r.Context(), r.call, r.id())
}

// wireKeyRing converts the state of the ring.
func wireKeyRing(ring broker.KeyRing) sdk.KeyRing {
	wire := sdk.KeyRing{Rotating: ring.Rotating}
	for _, k := range ring.Keys {
		wire.Keys = append(wire.Keys, sdk.RingKey{ID: k.ID, Primary: k.Primary, Secrets: k.Secrets})
	}
	return wire
}
