package store

import (
	"context"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// References are unguessable and name one secret version of one organization, so intents are found by them alone.
const intentColumns = "reference, kind, organization_id, not_before, created_at, attempts"

func scanIntent(r *row) forgecroft.Intent {
	return forgecroft.Intent{
		Reference: forgecroft.Reference(r.text()), Kind: r.text(), OrganizationID: r.text(), NotBefore: r.time(), CreatedAt: r.time(),
		Attempts: int(r.int()),
	}
}

// Intents implements [forgecroft.IntentReader]. The one that has been due for longest comes first.
func (r reader) Intents(ctx context.Context, now time.Time, limit int) ([]forgecroft.Intent, error) {
	return all(ctx, r, scanIntent, "SELECT "+intentColumns+" FROM intents WHERE not_before <= $1 ORDER BY not_before, created_at, reference LIMIT $2",
		now.UnixMicro(), int64(limit))
}

// OldestIntent implements [forgecroft.IntentReader].
func (r reader) OldestIntent(ctx context.Context, kind string) (forgecroft.Intent, error) {
	return one(ctx, r, forgecroft.NotFound("intent"), scanIntent, "SELECT "+intentColumns+" FROM intents WHERE kind = $1 ORDER BY created_at, reference LIMIT 1", kind)
}

// Intent implements [forgecroft.IntentReader].
func (r reader) Intent(ctx context.Context, ref forgecroft.Reference) (forgecroft.Intent, error) {
	return one(ctx, r, forgecroft.NotFound("intent"), scanIntent, "SELECT "+intentColumns+" FROM intents WHERE reference = $1", string(ref))
}

// CreateIntent implements [forgecroft.IntentWriter].
func (t *tx) CreateIntent(ctx context.Context, i forgecroft.Intent) error {
	_, err := t.exec(ctx, `
		INSERT INTO intents (reference, kind, organization_id, not_before, created_at, attempts) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (reference) DO UPDATE SET kind = excluded.kind, organization_id = excluded.organization_id,
			not_before = excluded.not_before, created_at = excluded.created_at, attempts = excluded.attempts`,
		string(i.Reference), i.Kind, i.OrganizationID, i.NotBefore.UnixMicro(), i.CreatedAt.UnixMicro(), int64(i.Attempts))
	return err
}

// DropIntent implements [forgecroft.IntentWriter].
func (t *tx) DropIntent(ctx context.Context, ref forgecroft.Reference, kind string) (bool, error) {
	if kind == "" {
		n, err := t.exec(ctx, "DELETE FROM intents WHERE reference = $1", string(ref))
		return n > 0, err
	}
	n, err := t.exec(ctx, "DELETE FROM intents WHERE reference = $1 AND kind = $2", string(ref), kind)
	return n > 0, err
}

// AcquireLease implements [forgecroft.IntentWriter].
func (t *tx) AcquireLease(ctx context.Context, name, holder string, now, expires time.Time) (forgecroft.Lease, error) {
	n, err := t.exec(ctx, `
		INSERT INTO leases (name, holder, fence, expires) VALUES ($1, $2, 1, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires,
			fence = CASE WHEN leases.holder = excluded.holder THEN leases.fence ELSE leases.fence + 1 END
		WHERE leases.holder = excluded.holder OR leases.expires <= $4`,
		name, holder, expires.UnixMicro(), now.UnixMicro())
	if err != nil {
		return forgecroft.Lease{}, err
	}
	if n == 0 {
		return forgecroft.Lease{}, forgecroft.Errorf(forgecroft.KindConflict, "lease_held", "Another replica does this work.")
	}
	return one(ctx, t, forgecroft.NotFound("lease"), func(r *row) forgecroft.Lease {
		return forgecroft.Lease{Name: r.text(), Holder: r.text(), Fence: r.int(), Expires: r.time()}
	}, "SELECT name, holder, fence, expires FROM leases WHERE name = $1", name)
}
