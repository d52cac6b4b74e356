package store

import (
	"context"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// IdempotencyRecord implements [forgecroft.IntentReader].
func (r reader) IdempotencyRecord(ctx context.Context, record forgecroft.IdempotencyRecord, now time.Time) (forgecroft.IdempotencyRecord, error) {
	return one(ctx, r, forgecroft.NotFound("idempotency record"), func(r *row) forgecroft.IdempotencyRecord {
		return forgecroft.IdempotencyRecord{
			OrganizationID: r.text(), APIKeyID: r.text(), Route: r.text(), Key: r.text(), Fingerprint: r.bytes(), Result: r.bytes(), CreatedAt: r.time(),
		}
	}, `
		SELECT organization_id, api_key_id, route, idempotency_key, fingerprint, result, created_at FROM idempotency_records
		WHERE organization_id = $1 AND api_key_id = $2 AND route = $3 AND idempotency_key = $4 AND created_at > $5`,
		record.OrganizationID, record.APIKeyID, record.Route, record.Key, now.Add(-forgecroft.IdempotencyTTL).UnixMicro())
}

// CreateIdempotencyRecord implements [forgecroft.IntentWriter].
func (t *tx) CreateIdempotencyRecord(ctx context.Context, r forgecroft.IdempotencyRecord) error {
	n, err := t.exec(ctx, `
		INSERT INTO idempotency_records (organization_id, api_key_id, route, idempotency_key, fingerprint, result, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (organization_id, api_key_id, route, idempotency_key) DO UPDATE
		SET fingerprint = excluded.fingerprint, result = excluded.result, created_at = excluded.created_at
		WHERE idempotency_records.created_at <= $8`,
		r.OrganizationID, r.APIKeyID, r.Route, r.Key, r.Fingerprint, r.Result, r.CreatedAt.UnixMicro(),
		r.CreatedAt.Add(-forgecroft.IdempotencyTTL).UnixMicro())
	if err == nil && n == 0 {
		err = forgecroft.Errorf(forgecroft.KindConflict, "idempotency_record_exists", "The result of another request is remembered under this Idempotency-Key.")
	}
	return err
}

// DropIdempotencyRecords implements [forgecroft.IntentWriter]. It covers all organizations.
func (t *tx) DropIdempotencyRecords(ctx context.Context, before time.Time) error {
	_, err := t.exec(ctx, acrossTenants+"DELETE FROM idempotency_records WHERE created_at < $1", before.UnixMicro())
	return err
}
