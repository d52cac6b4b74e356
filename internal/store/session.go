package store

import (
	"context"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Session implements [forgecroft.SessionReader].
func (r reader) Session(ctx context.Context, hash []byte) (forgecroft.Session, error) {
	return one(ctx, r, forgecroft.NotFound("session"), func(r *row) forgecroft.Session {
		return forgecroft.Session{
			ID: r.text(), Hash: r.bytes(), OrganizationID: r.text(), APIKeyID: r.text(), CreatedAt: r.time(), SeenAt: r.time(), ConfirmedAt: r.time(),
		}
	}, "SELECT id, hash, organization_id, api_key_id, created_at, seen_at, confirmed_at FROM sessions WHERE hash = $1", hash)
}

// CreateSession implements [forgecroft.SessionWriter].
func (t *tx) CreateSession(ctx context.Context, s forgecroft.Session) error {
	_, err := t.exec(ctx, `
		INSERT INTO sessions (id, hash, organization_id, api_key_id, created_at, seen_at, confirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		s.ID, s.Hash, s.OrganizationID, s.APIKeyID, s.CreatedAt.UnixMicro(), s.SeenAt.UnixMicro(), s.ConfirmedAt.UnixMicro())
	return missing(err, "API key")
}

// TouchSession implements [forgecroft.SessionWriter].
func (t *tx) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	_, err := t.exec(ctx, "UPDATE sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $3", hash, at.UnixMicro(), at.Add(-touchEvery).UnixMicro())
	return err
}

// ConfirmSession implements [forgecroft.SessionWriter].
func (t *tx) ConfirmSession(ctx context.Context, hash []byte, at time.Time) error {
	n, err := t.exec(ctx, "UPDATE sessions SET confirmed_at = $2 WHERE hash = $1", hash, at.UnixMicro())
	if err == nil && n == 0 {
		err = forgecroft.NotFound("session")
	}
	return err
}

// DeleteSession implements [forgecroft.SessionWriter].
func (t *tx) DeleteSession(ctx context.Context, hash []byte) error {
	n, err := t.exec(ctx, "DELETE FROM sessions WHERE hash = $1", hash)
	if err == nil && n == 0 {
		err = forgecroft.NotFound("session")
	}
	return err
}

// DropSessions implements [forgecroft.SessionWriter]. It covers all organizations.
func (t *tx) DropSessions(ctx context.Context, now time.Time) error {
	_, err := t.exec(ctx, "DELETE FROM sessions WHERE seen_at <= $1 OR created_at <= $2",
		now.Add(-forgecroft.SessionIdle).UnixMicro(), now.Add(-forgecroft.SessionTerm).UnixMicro())
	return err
}
