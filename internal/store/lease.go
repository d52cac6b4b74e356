package store

import (
	"context"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Lease implements [forgecroft.IntentReader].
func (r reader) Lease(ctx context.Context, name string) (forgecroft.Lease, error) {
	return one(ctx, r, forgecroft.NotFound("lease"), func(r *row) forgecroft.Lease {
		return forgecroft.Lease{Name: r.text(), Holder: r.text(), Fence: r.int(), Expires: r.time()}
	}, "SELECT name, holder, fence, expires FROM leases WHERE name = $1", name)
}
