package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

// Moved tells what was moved, and read back.
type Moved struct {
	Rows          map[string]int64 `json:"rows"`          // table → rows; of a database
	Organizations []Organization   `json:"organizations"` // with the ends of their trails; of a database
	Secrets       int              `json:"secrets"`       // of a vault
	Missing       []Secret         `json:"missing"`       // what the source had lost before; of a vault
}

// MoveTables copies a database that nobody writes to into an empty one, in one transaction, and reads both back: all rows, and the ends of all audit trails, must
// be equal. Repeated after it was cut off, it finds the target empty, or whole.
func MoveTables(ctx context.Context, from, to *store.Store, progress Progress) (Moved, error) {
	source, err := snapshotSums(ctx, from, progress)
	if err != nil {
		return Moved{}, fmt.Errorf("reading the source: %w", err)
	}
	target, err := snapshotSums(ctx, to, progress)
	if err != nil {
		return Moved{}, fmt.Errorf("reading the target: %w", err)
	}
	if target.empty() {
		err := from.Snapshot(ctx, func(snapshot store.Snapshot) error { return load(ctx, snapshot, to, progress) })
		if err != nil {
			return Moved{}, err
		}
		if target, err = snapshotSums(ctx, to, progress); err != nil {
			return Moved{}, fmt.Errorf("reading back the target: %w", err)
		}
	}
	if err := source.equal(target); err != nil {
		return Moved{}, err
	}
	return Moved{Rows: source.rows, Organizations: source.trails()}, nil
}

// snapshotSums sums up a database, whose audit trails must hold.
func snapshotSums(ctx context.Context, s *store.Store, progress Progress) (found *sums, err error) {
	err = s.Snapshot(ctx, func(snapshot store.Snapshot) error {
		if found, err = sumUp(ctx, snapshot, progress); err != nil {
			return err
		}
		return checkTrails(ctx, snapshot)
	})
	return found, err
}

// equal refuses a target that does not hold exactly what the source does.
func (s *sums) equal(target *sums) error {
	for _, t := range store.Tables() {
		if s.rows[t.Name] != target.rows[t.Name] || !bytes.Equal(s.digests[t.Name].bytes(), target.digests[t.Name].bytes()) {
			return forgecroft.Errorf(forgecroft.KindConflict, "not_empty",
				"The target differs from the source: table %s has %d rows there, and %d here. Move into an empty database.", t.Name, target.rows[t.Name], s.rows[t.Name])
		}
	}
	same := func(a, b Organization) bool {
		return a.ID == b.ID && a.AuditSequence == b.AuditSequence && bytes.Equal(a.AuditHash, b.AuditHash)
	}
	if !slices.EqualFunc(s.trails(), target.trails(), same) {
		return errors.New("the ends of the audit trails differ")
	}
	return nil
}

// moveBatch is how many references are listed at once.
const moveBatch = 200

// MoveSecrets copies every live secret version from one vault to another, under the same reference. What is there already is compared instead, so it may be
// cut off and repeated; anything else in the target is refused. The caller then opens the target anew and calls [CompareSecrets].
func MoveSecrets(ctx context.Context, s forgecroft.Store, from, to forgecroft.Vault, progress Progress) (Moved, error) {
	var moved Moved
	live, err := liveSecrets(ctx, s)
	if err != nil {
		return moved, err
	}
	ours := make(map[forgecroft.Reference]bool, len(live)) // reference → a row points at it
	for _, bound := range live {
		ours[bound.Reference] = true
	}
	if err := checkForeign(ctx, to, ours); err != nil {
		return moved, err
	}
	for i, bound := range live {
		progress.report("moving secrets", int64(i), int64(len(live)))
		switch err := moveSecret(ctx, bound, from, to); {
		case errors.Is(err, errLostBefore):
			moved.Missing = append(moved.Missing, secretOf(bound.Binding))
		case err != nil:
			return moved, fmt.Errorf("moving the secrets of credential config %s: %w", bound.Binding.CredentialConfigID, err)
		default:
			moved.Secrets++
		}
	}
	return moved, nil
}

// errLostBefore says that the source has nothing under a live reference.
var errLostBefore = errors.New("the source has lost it")

// moveSecret copies one secret version.
func moveSecret(ctx context.Context, bound forgecroft.BoundReference, from, to forgecroft.Vault) error {
	value, err := from.Get(ctx, bound.Reference, bound.Binding)
	if errors.Is(err, forgecroft.KindNotFound) {
		return errLostBefore
	}
	if err != nil {
		return err
	}
	err = to.Put(ctx, bound.Reference, bound.Binding, value)
	if errors.Is(err, forgecroft.KindConflict) {
		return compareSecret(ctx, bound, value, to) // It was there from an earlier attempt.
	}
	return err
}

// compareSecret wants a value in a vault.
func compareSecret(ctx context.Context, bound forgecroft.BoundReference, value forgecroft.Secret, v forgecroft.Vault) error {
	found, err := v.Get(ctx, bound.Reference, bound.Binding)
	if err != nil {
		return err
	}
	if !found.Equal(value) {
		return errors.New("the target holds another value")
	}
	return nil
}

// CompareSecrets reads every live secret version from both vaults, and wants them to be equal.
func CompareSecrets(ctx context.Context, s forgecroft.Store, from, to forgecroft.Vault, progress Progress) error {
	live, err := liveSecrets(ctx, s)
	if err != nil {
		return err
	}
	for i, bound := range live {
		progress.report("reading back", int64(i), int64(len(live)))
		value, err := from.Get(ctx, bound.Reference, bound.Binding)
		if errors.Is(err, forgecroft.KindNotFound) {
			continue
		}
		if err == nil {
			err = compareSecret(ctx, bound, value, to)
		}
		if err != nil {
			return fmt.Errorf("reading back the secrets of credential config %s: %w", bound.Binding.CredentialConfigID, err)
		}
	}
	return nil
}

// liveSecrets lists what rows point at.
func liveSecrets(ctx context.Context, s forgecroft.Store) ([]forgecroft.BoundReference, error) {
	var live []forgecroft.BoundReference
	for after := forgecroft.Reference(""); ; {
		page, err := s.SecretBindings(ctx, after, moveBatch)
		if err != nil {
			return nil, fmt.Errorf("listing live references: %w", err)
		}
		live = append(live, page...)
		if len(page) < moveBatch {
			return live, nil
		}
		after = page[len(page)-1].Reference
	}
}
