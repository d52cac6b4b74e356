package moving

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// page is how many references are listed at once.
const page = 200

// Bindings lists what is in use, with what each is bound to, in the order of the references.
type Bindings interface {
	SecretBindings(ctx context.Context, after forgecroft.Reference, limit int) ([]forgecroft.BoundReference, error)
}

// Result tells what a move found.
type Result struct {
	Moved int                         // copied and read back, in this run
	Lost  []forgecroft.BoundReference // in use, and in neither place
}

// Move copies every secret version in use to the new place, reads each back, and lets the old place go. It may be cut off and repeated; reads, writes and
// destructions go on meanwhile. progress, if not nil, is called after each of total versions.
//
// One pass is enough: what is stored while it runs goes to the new place alone. One caller at a time moves.
func (v *Vault) Move(ctx context.Context, b Bindings, progress func(done, total int)) (Result, error) {
	var result Result
	if v.Done() {
		return result, nil
	}
	live, err := list(ctx, b)
	if err != nil {
		return result, err
	}
	for i, bound := range live {
		if err := v.moveOne(ctx, bound, &result); err != nil {
			return result, fmt.Errorf("moving the secrets of credential config %s, version %d: %w", bound.Binding.CredentialConfigID, bound.Binding.Version, err)
		}
		if progress != nil {
			progress(i+1, len(live))
		}
	}
	if err := result.forgetUnused(ctx, b); err != nil {
		return result, err
	}
	return result, v.letGo()
}

// forgetUnused takes out of the losses what is not in use any more: it was destroyed while it was to be moved.
func (r *Result) forgetUnused(ctx context.Context, b Bindings) error {
	if len(r.Lost) == 0 {
		return nil
	}
	live, err := list(ctx, b)
	r.Lost = slices.DeleteFunc(r.Lost, func(lost forgecroft.BoundReference) bool { return !slices.Contains(live, lost) })
	return err
}

// list reads all that is in use.
func list(ctx context.Context, b Bindings) (live []forgecroft.BoundReference, err error) {
	for after := forgecroft.Reference(""); ; after = live[len(live)-1].Reference {
		some, err := b.SecretBindings(ctx, after, page)
		if err != nil {
			return nil, fmt.Errorf("listing live references: %w", err)
		}
		live = append(live, some...)
		if len(some) < page {
			return live, nil
		}
	}
}

// errDifferent says that the new place holds something else under a reference.
var errDifferent = errors.New("the new place returned another value than was stored")

// moveOne copies one secret version and reads it back. What the old place does not have was stored in the new one, or destroyed meanwhile, or is lost.
func (v *Vault) moveOne(ctx context.Context, bound forgecroft.BoundReference, result *Result) error {
	return v.inTurn(ctx, func() error {
		value, err := v.From.Get(ctx, bound.Reference, bound.Binding)
		if errors.Is(err, forgecroft.KindNotFound) {
			return v.missing(ctx, bound, result)
		}
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if err := v.To.Put(ctx, bound.Reference, bound.Binding, value); err != nil && !errors.Is(err, forgecroft.KindConflict) {
			return fmt.Errorf("storing: %w", err)
		}
		found, err := v.Proof.Get(ctx, bound.Reference, bound.Binding)
		switch {
		case err != nil:
			return fmt.Errorf("reading back: %w", err)
		case !found.Equal(value):
			return errDifferent
		}
		result.Moved++
		return nil
	})
}

// missing notes a version that is in neither place.
func (v *Vault) missing(ctx context.Context, bound forgecroft.BoundReference, result *Result) error {
	_, err := v.Proof.Get(ctx, bound.Reference, bound.Binding)
	if errors.Is(err, forgecroft.KindNotFound) {
		result.Lost = append(result.Lost, bound)
		return nil
	}
	return err
}

// letGo ends the use of the old place.
func (v *Vault) letGo() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil
	}
	v.gone = true // Whatever happens now: the new place has everything.
	if err := v.LetGo(); err != nil {
		return fmt.Errorf("letting the old place go: %w", err)
	}
	return nil
}
