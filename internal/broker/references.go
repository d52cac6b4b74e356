package broker

import (
	"context"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// maxReserved is how many references are reserved at once under load.
const maxReserved = 64

// references hands out references whose intents to put are durable already: making the intents beforehand, many in one commit, takes a whole commit
// off the path of storing secrets. What is reserved and never used is swept like any other intent. The zero value is ready.
type references struct {
	mu   sync.Mutex
	free map[string][]reserved // organization id → references, the newest last
	size map[string]int        // organization id → how many were reserved last
}

// reserved is a reference with the end of its lease.
type reserved struct {
	ref     forgecroft.Reference
	expires time.Time
}

// take returns a reference that may be used for at least [putLease] from now. The more are taken, the more are reserved at once.
func (r *references) take(ctx context.Context, d deps, organizationID string) (forgecroft.Reference, error) {
	now := d.instant()
	ref, size := r.pop(organizationID, now)
	if ref != "" {
		return ref, nil
	}
	batch := make([]reserved, size)
	for i := range batch {
		ref, err := d.newReference()
		if err != nil {
			return "", err
		}
		batch[i] = reserved{ref, now.Add(reserveLease)}
	}
	err := d.store.Update(ctx, func(tx forgecroft.Tx) error {
		for _, b := range batch {
			intent := forgecroft.Intent{Reference: b.ref, Kind: forgecroft.IntentPut, OrganizationID: organizationID, NotBefore: b.expires, CreatedAt: now}
			if err := tx.CreateIntent(ctx, intent); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free[organizationID] = append(r.free[organizationID], batch[1:]...)
	return batch[0].ref, nil
}

// pop returns a free reference, or "" and how many to reserve.
func (r *references) pop(organizationID string, now time.Time) (forgecroft.Reference, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free == nil {
		r.free, r.size = map[string][]reserved{}, map[string]int{}
	}
	free := r.free[organizationID]
	if len(free) > 0 {
		last := free[len(free)-1]
		if last.expires.Sub(now) >= putLease {
			r.free[organizationID] = free[:len(free)-1]
			return last.ref, 0
		}
		// The newest is too old, so all are: nothing was stored for a while, and one is enough again.
		r.free[organizationID], r.size[organizationID] = nil, 0
	}
	r.size[organizationID] = min(max(1, 2*r.size[organizationID]), maxReserved)
	return "", r.size[organizationID]
}
