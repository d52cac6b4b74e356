package store

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const auditColumns = `organization_id, sequence, id, time, actor_key_id, actor_name, action, object_type, object_id, outcome, request_id,
	remote_addr, details, digest, previous, hash`

func scanAuditEvent(r *row) forgecroft.AuditEvent {
	e := forgecroft.AuditEvent{
		OrganizationID: r.text(), Sequence: r.int(), ID: r.text(), Time: r.time(), ActorKeyID: r.text(), ActorName: r.text(), Action: r.text(),
		ObjectType: r.text(), ObjectID: r.text(), Outcome: r.text(), RequestID: r.text(), RemoteAddr: r.text(),
	}
	e.Details = json.RawMessage(r.text())
	e.Digest, e.Previous, e.Hash = r.sum(), r.sum(), r.sum()
	return e
}

// AuditEvents implements [forgecroft.AuditReader].
func (r reader) AuditEvents(ctx context.Context, organizationID string, f forgecroft.AuditFilter, p forgecroft.Page) ([]forgecroft.AuditEvent, error) {
	c := narrow(organizationID)
	c.equal("actor_key_id", f.ActorKeyID)
	c.equal("object_type", f.ObjectType)
	c.equal("object_id", f.ObjectID)
	c.equal("outcome", f.Outcome)
	c.action(f.Action)
	if !f.Since.IsZero() {
		c.and("time >=", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		c.and("time <", f.Until.UnixMicro())
	}
	order, behind := " DESC", "sequence <"
	if f.Ascending {
		order, behind = " ASC", "sequence >"
	}
	if p.After != "" {
		sequence, err := strconv.ParseInt(p.After, 10, 64)
		if err != nil {
			return nil, forgecroft.Errorf(forgecroft.KindMalformed, "invalid_cursor", "The page does not start at the number of an audit event.")
		}
		c.and(behind, sequence)
	}
	return all(ctx, r, scanAuditEvent, "SELECT "+auditColumns+" FROM audit_events WHERE organization_id = $1"+c.text.String()+
		" ORDER BY sequence"+order+" LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// action narrows to one action, or to those of a noun with a trailing dot.
func (c *conditions) action(action string) {
	if noun, found := strings.CutSuffix(action, "."); found {
		c.and("action >=", action)
		c.and("action <", noun+"/") // "/" follows "." in ASCII.
		return
	}
	c.equal("action", action)
}

// AuditHead implements [forgecroft.AuditReader]. A chain without events is at sequence 0.
func (r reader) AuditHead(ctx context.Context, organizationID string) (forgecroft.AuditHead, error) {
	head := forgecroft.AuditHead{OrganizationID: organizationID}
	err := r.query(ctx, "SELECT sequence, hash FROM audit_events WHERE organization_id = $1 ORDER BY sequence DESC LIMIT 1", []any{organizationID},
		func(r *row) { head.Sequence, head.Hash = r.int(), r.sum() })
	return head, err
}

// AppendAudit implements [forgecroft.AuditWriter].
func (t *tx) AppendAudit(ctx context.Context, e *forgecroft.AuditEvent) error {
	head, err := t.head(ctx, e.OrganizationID)
	if err != nil {
		return err
	}
	head = head.Next(e)
	_, err = t.exec(ctx, `
		INSERT INTO audit_events (organization_id, sequence, id, time, actor_key_id, actor_name, action, object_type, object_id, outcome,
			request_id, remote_addr, details, digest, previous, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		e.OrganizationID, e.Sequence, e.ID, micros(e.Time), e.ActorKeyID, e.ActorName, e.Action, e.ObjectType, e.ObjectID, e.Outcome,
		e.RequestID, e.RemoteAddr, string(e.Details), e.Digest[:], e.Previous[:], e.Hash[:])
	if err != nil {
		return err
	}
	if t.heads == nil {
		t.heads = map[string]forgecroft.AuditHead{}
	}
	t.heads[e.OrganizationID] = head
	return nil
}

// head is the end of an organization's chain as this transaction sees it.
func (t *tx) head(ctx context.Context, organizationID string) (forgecroft.AuditHead, error) {
	if head, known := t.heads[organizationID]; known {
		return head, nil
	}
	if head, known := t.writer.heads[organizationID]; known {
		return head, nil
	}
	return t.AuditHead(ctx, organizationID)
}

// AuditCheckpoints implements [forgecroft.AuditReader].
func (r reader) AuditCheckpoints(ctx context.Context, organizationID string, limit int) ([]forgecroft.AuditCheckpoint, error) {
	return all(ctx, r, func(r *row) forgecroft.AuditCheckpoint {
		return forgecroft.AuditCheckpoint{
			OrganizationID: r.text(), Sequence: r.int(), Hash: r.sum(), Time: r.time(), KeyID: r.text(), Signature: r.bytes(),
		}
	}, `
		SELECT organization_id, sequence, hash, time, key_id, signature FROM audit_checkpoints
		WHERE organization_id = $1 ORDER BY sequence DESC, time DESC LIMIT $2`, organizationID, int64(limit))
}

// CreateAuditCheckpoint implements [forgecroft.AuditWriter]. The same statement twice is stored once.
func (t *tx) CreateAuditCheckpoint(ctx context.Context, c forgecroft.AuditCheckpoint) error {
	_, err := t.exec(ctx, `
		INSERT INTO audit_checkpoints (organization_id, sequence, hash, time, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (organization_id, sequence, time) DO NOTHING`,
		c.OrganizationID, c.Sequence, c.Hash[:], micros(c.Time), c.KeyID, c.Signature)
	return missing(err, "organization")
}
