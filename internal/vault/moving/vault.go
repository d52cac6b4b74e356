package moving

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

var _ forgecroft.Vault = (*Vault)(nil)

// Options are the two places.
type Options struct {
	From forgecroft.Vault // is only read and destroyed in
	To   forgecroft.Vault
	// Proof is To, opened once more: what it reads was not kept from writing it.
	Proof forgecroft.Vault
	// LetGo closes From, and puts it where no start finds it. It runs once, when everything in use was read back from To and nobody reads From any more.
	LetGo func() error
}

// Vault is both places as one. It is safe for concurrent use.
type Vault struct {
	Options

	// turn is held while one secret version is copied, and while one is destroyed: else a copy could come after the destruction of what it copies.
	turn chan struct{}

	mu   sync.RWMutex // held for reading while From is used
	gone bool         // From was let go
}

// New joins the two places.
func New(o Options) *Vault { return &Vault{Options: o, turn: make(chan struct{}, 1)} }

// Done reports whether everything was moved and the old place let go.
func (v *Vault) Done() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.gone
}

// old runs fn on the old place, unless that was let go.
func (v *Vault) old(fn func(from forgecroft.Vault) error) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.gone {
		return nil
	}
	return fn(v.From)
}

// Put implements [forgecroft.Vault]: it stores in the new place. References are made anew for each secret version, so the old one has none of them.
func (v *Vault) Put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	return v.To.Put(ctx, ref, binding, value)
}

// Get implements [forgecroft.Vault]. The old place is asked first, as it is the nearer one and has most.
func (v *Vault) Get(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding) (value forgecroft.Secret, err error) {
	found := false
	before := v.old(func(from forgecroft.Vault) error {
		value, err = from.Get(ctx, ref, binding)
		found = err == nil
		return err
	})
	if found {
		return value, nil
	}
	value, err = v.To.Get(ctx, ref, binding)
	if errors.Is(err, forgecroft.KindNotFound) && before != nil {
		return value, before
	}
	return value, err
}

// Destroy implements [forgecroft.Vault]: in both places.
func (v *Vault) Destroy(ctx context.Context, ref forgecroft.Reference) error {
	return v.inTurn(ctx, func() error {
		if err := v.old(func(from forgecroft.Vault) error { return from.Destroy(ctx, ref) }); err != nil {
			return err
		}
		return v.To.Destroy(ctx, ref)
	})
}

// inTurn runs fn while nothing else is copied or destroyed.
func (v *Vault) inTurn(ctx context.Context, fn func() error) error {
	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return &forgecroft.Error{
			Kind: forgecroft.KindUnavailable, Code: "vault_busy", Message: "The vault is busy moving secrets.", Cause: ctx.Err(),
		}
	}
	defer func() { <-v.turn }()
	return fn()
}

// References implements [forgecroft.Vault]: those of both places, each once.
func (v *Vault) References(ctx context.Context, after forgecroft.Reference, limit int) (both []forgecroft.Reference, err error) {
	if both, err = v.To.References(ctx, after, limit); err != nil {
		return nil, err
	}
	err = v.old(func(from forgecroft.Vault) error {
		old, err := from.References(ctx, after, limit)
		both = append(both, old...)
		return err
	})
	slices.Sort(both)
	both = slices.Compact(both)
	return both[:min(limit, len(both))], err
}

// Check implements [forgecroft.Vault]: both places must be able to serve.
func (v *Vault) Check(ctx context.Context) error {
	if err := v.old(func(from forgecroft.Vault) error { return from.Check(ctx) }); err != nil {
		return err
	}
	return v.To.Check(ctx)
}
