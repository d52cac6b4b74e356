package store

import (
	"context"
	"time"
)

// touchEvery is how exactly the last use of an object is kept.
const touchEvery = time.Minute

// due reports whether a use has to be noted. What was noted lately is known from memory, so that most uses cost no statement. The
// statement compares once more, for what a start or another replica has noted.
func (t *tx) due(id string, at time.Time) bool {
	last, known := t.touched[id]
	if !known {
		last, known = t.writer.touched[id]
	}
	if known && at.UnixMicro() <= last+touchEvery.Microseconds() {
		return false
	}
	if t.touched == nil {
		t.touched = map[string]int64{}
	}
	t.touched[id] = at.UnixMicro()
	return true
}

// TouchDelivered implements [forgecroft.CredentialConfigWriter]. Absent objects are no error: a delivery may overlap with a deletion.
func (t *tx) TouchDelivered(ctx context.Context, organizationID, workspaceID string, configIDs []string, at time.Time) error {
	before := at.Add(-touchEvery)
	if t.due(workspaceID, at) {
		_, err := t.exec(ctx, `
			UPDATE workspaces SET last_delivered_at = $3
			WHERE organization_id = $1 AND id = $2 AND (last_delivered_at IS NULL OR last_delivered_at < $4)`,
			organizationID, workspaceID, at.UnixMicro(), before.UnixMicro())
		if err != nil {
			return err
		}
	}
	for _, id := range configIDs {
		if !t.due(id, at) {
			continue
		}
		_, err := t.exec(ctx, `
			UPDATE credential_configs SET last_delivered_at = $3
			WHERE organization_id = $1 AND id = $2 AND (last_delivered_at IS NULL OR last_delivered_at < $4)`,
			organizationID, id, at.UnixMicro(), before.UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

// TouchAPIKey implements [forgecroft.APIKeyWriter].
func (t *tx) TouchAPIKey(ctx context.Context, organizationID, id string, at time.Time) error {
	if !t.due(id, at) {
		return nil
	}
	_, err := t.exec(ctx, `
		UPDATE api_keys SET last_used_at = $3
		WHERE organization_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $4)`,
		organizationID, id, at.UnixMicro(), at.Add(-touchEvery).UnixMicro())
	return err
}
