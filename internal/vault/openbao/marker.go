package openbao

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// markerFormat is the only format of a vault so far.
const markerFormat = 1

// marker is what a vault says of itself. It holds no secret.
type marker struct {
	Format   int               `json:"format"`
	Envelope bool              `json:"envelope"`
	Keys     map[string][]byte `json:"keys"`              // key id → canary
	Primary  string            `json:"primary,omitempty"` // the key that the last rotation made; empty: there was none
	Retired  []string          `json:"retired,omitempty"` // ids of keys that were, or are being, taken out: nothing is sealed with them any more
	version  int               // of the engine; 0: not stored yet
}

// markerPath is where the marker lies.
func (v *Vault) markerPath() string { return v.mount + "/data/" + v.prefix + "/vault" }

// readMarker reads the marker. [forgecroft.KindNotFound] if there is none.
func (v *Vault) readMarker(ctx context.Context) (m marker, err error) {
	m.version, err = v.read(ctx, v.markerPath(), true, &m)
	if errors.Is(err, errDeleted) {
		return m, errors.New("the marker of the vault was deleted; restore it: bao kv undelete")
	}
	return m, err
}

// writeMarker stores a marker over the version it was read as. [forgecroft.KindConflict] if somebody else has changed it.
func (v *Vault) writeMarker(ctx context.Context, m marker) error {
	a, _, err := v.write(ctx, v.markerPath(), m.version, m)
	switch {
	case err != nil:
		return fmt.Errorf("writing the marker of the vault: %w", err)
	case a.status == http.StatusBadRequest:
		return forgecroft.Errorf(forgecroft.KindConflict, "vault_changed", "Somebody else has changed the keys of the vault at the same moment.")
	case !a.ok():
		return fmt.Errorf("writing the marker of the vault: %w", v.client.refusal(ctx, request{}, a))
	}
	return nil
}

// changeMarker applies a change to the marker, again if somebody else was faster. The change returns false if there is nothing to do.
func (v *Vault) changeMarker(ctx context.Context, change func(m *marker) (bool, error)) error {
	for tries := 0; ; tries++ {
		m, err := v.readMarker(ctx)
		if err != nil {
			return err
		}
		if changed, err := change(&m); !changed || err != nil {
			return err
		}
		if err := v.writeMarker(ctx, m); !errors.Is(err, forgecroft.KindConflict) || tries == 5 {
			return err
		}
	}
}

// noteRing adds the canaries of keys that the marker lacks.
func (v *Vault) noteRing(ctx context.Context, ring *envelope.Ring) error {
	return v.changeMarker(ctx, func(m *marker) (bool, error) {
		before := len(m.Keys)
		err := m.note(ring)
		return len(m.Keys) > before, err
	})
}

// note adds the canaries of a ring's keys, but for those that are taken out: a copy of the ring may still have them.
func (m *marker) note(ring *envelope.Ring) error {
	for _, id := range ring.IDs() {
		if m.retired(id) {
			continue
		}
		canary, err := ring.Canary(id)
		if err != nil {
			return err
		}
		if m.Keys == nil {
			m.Keys = map[string][]byte{}
		}
		m.Keys[id] = canary
	}
	return nil
}

// retired reports whether nothing may be sealed with a key any more.
func (m *marker) retired(id string) bool { return slices.Contains(m.Retired, id) }

// notes reports whether the marker has every key of a ring that it should have.
func (m *marker) notes(ring *envelope.Ring) bool {
	return !slices.ContainsFunc(ring.IDs(), func(id string) bool { return m.Keys[id] == nil && !m.retired(id) })
}

// check refuses a ring that is not the vault's: one that does not fit a canary, has no key that the vault knows, or would seal with one that was taken out. It returns the keys
// of the vault that the ring lacks.
func (m *marker) check(ring *envelope.Ring, source KeySource) (missing []string, err error) {
	if m.retired(ring.Primary()) {
		return nil, fmt.Errorf("%s has the key %s in the first place, which was taken out of the vault; put the newest key ring there", source, ring.Primary())
	}
	fits := false
	for id, canary := range m.Keys {
		if !ring.Has(id) {
			missing = append(missing, id)
			continue
		}
		if err := ring.CheckCanary(id, canary); err != nil {
			return nil, fmt.Errorf("checking %s: %w", source, unsealable(err))
		}
		fits = true
	}
	if !fits {
		return nil, fmt.Errorf("wrong key: the vault is sealed with the keys %s, but %s holds %s; put the right key ring there",
			m.describe(), source, strings.Join(ring.IDs(), ", "))
	}
	return missing, nil
}

// describe names the keys of a vault.
func (m *marker) describe() string { return strings.Join(slices.Sorted(maps.Keys(m.Keys)), ", ") }
