package store

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

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
	if err := c.behind(behind, p.After); err != nil {
		return nil, err
	}
	return all(ctx, r, scanAuditEvent, "SELECT "+auditColumns+" FROM audit_events WHERE organization_id = $1"+c.text.String()+
		" ORDER BY sequence"+order+" LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// behind continues a list of events after a sequence, in decimal. The condition ends where the sequence belongs.
func (c *conditions) behind(condition, after string) error {
	if after == "" {
		return nil
	}
	sequence, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		return forgecroft.Errorf(forgecroft.KindMalformed, "invalid_cursor", "The page does not start at the number of an audit event.")
	}
	c.and(condition, sequence)
	return nil
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

// Deliveries implements [forgecroft.AuditReader].
func (r reader) Deliveries(ctx context.Context, organizationID string, f forgecroft.DeliveryFilter, p forgecroft.Page) ([]forgecroft.AuditEvent, error) {
	c := deliveries(organizationID, f)
	if err := c.behind("sequence <", p.After); err != nil {
		return nil, err
	}
	return all(ctx, r, scanAuditEvent, "SELECT "+auditColumns+" FROM audit_events WHERE organization_id = $1"+c.text.String()+
		" ORDER BY sequence DESC LIMIT "+c.bind(int64(p.Limit)), c.args...)
}

// DeliveryCounts implements [forgecroft.AuditReader].
func (r reader) DeliveryCounts(ctx context.Context, organizationID string, f forgecroft.DeliveryFilter) ([]forgecroft.DeliveryCount, error) {
	c := deliveries(organizationID, f)
	hour := "time - time % " + strconv.FormatInt(time.Hour.Microseconds(), 10)
	return all(ctx, r, func(r *row) forgecroft.DeliveryCount {
		return forgecroft.DeliveryCount{Hour: r.time(), Outcome: r.text(), Count: r.int()}
	}, "SELECT "+hour+", outcome, count(*) FROM audit_events WHERE organization_id = $1"+c.text.String()+" GROUP BY 1, 2 ORDER BY 1, 2", c.args...)
}

// deliveries narrows to deliveries.
func deliveries(organizationID string, f forgecroft.DeliveryFilter) *conditions {
	c := narrow(organizationID)
	c.and("sequence > (SELECT COALESCE(MAX(sequence), 0) FROM audit_events WHERE organization_id = $1) -", f.Window)
	c.equal("action", forgecroft.ActionDeliver)
	c.equal("object_id", f.WorkspaceID)
	c.equal("actor_key_id", f.ActorKeyID)
	c.equal("outcome", f.Outcome)
	if f.ProjectID != "" {
		c.and("object_id IN (SELECT id FROM workspaces WHERE organization_id = $1 AND project_id =", f.ProjectID)
		c.text.WriteString(")")
	}
	if f.CredentialConfigID != "" { // Ids are found nowhere but in what names them.
		c.and("details LIKE", "%"+likeEscaper.Replace(f.CredentialConfigID)+"%")
		c.text.WriteString(` ESCAPE '\'`)
	}
	if !f.Since.IsZero() {
		c.and("time >=", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		c.and("time <", f.Until.UnixMicro())
	}
	return c
}

// AppendAudit implements [forgecroft.AuditWriter].
func (t *tx) AppendAudit(ctx context.Context, e *forgecroft.AuditEvent) error {
	head, err := t.head(ctx, e.OrganizationID)
	if err != nil {
		return err
	}
	head = head.Next(e)
	if t.writer.conn.dialect.gathers {
		t.gathered = append(t.gathered, *e)
	} else if err := t.insertEvent(ctx, e); err != nil {
		return err
	}
	if t.heads == nil {
		t.heads = map[string]forgecroft.AuditHead{}
	}
	t.heads[e.OrganizationID] = head
	return nil
}

// insertEvent writes one event.
func (t *tx) insertEvent(ctx context.Context, e *forgecroft.AuditEvent) error {
	_, err := t.exec(ctx, `
		INSERT INTO audit_events (organization_id, sequence, id, time, actor_key_id, actor_name, action, object_type, object_id, outcome,
			request_id, remote_addr, details, digest, previous, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		e.OrganizationID, e.Sequence, e.ID, micros(e.Time), e.ActorKeyID, e.ActorName, e.Action, e.ObjectType, e.ObjectID, e.Outcome,
		e.RequestID, e.RemoteAddr, string(e.Details), e.Digest[:], e.Previous[:], e.Hash[:])
	return err
}

// insertGathered writes all events that updates of the running transaction have appended: one round trip for each organization, however many
// events it has. Where the database is a process away, this is most of what a batch costs.
func (w *writer) insertGathered(ctx context.Context) error {
	byOrganization := map[string]*eventColumns{}
	for _, e := range w.gathered {
		if byOrganization[e.OrganizationID] == nil {
			byOrganization[e.OrganizationID] = &eventColumns{}
		}
		byOrganization[e.OrganizationID].add(e)
	}
	w.gathered = w.gathered[:0]
	for organizationID, c := range byOrganization {
		if _, err := w.conn.exec(ctx, `
			INSERT INTO audit_events (organization_id, sequence, id, time, actor_key_id, actor_name, action, object_type, object_id, outcome,
				request_id, remote_addr, details, digest, previous, hash)
			SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
				$11::text[], $12::text[], $13::text[], $14::bytea[], $15::bytea[], $16::bytea[])`,
			organizationID, c.sequence, c.text[0], c.time, c.text[1], c.text[2], c.text[3], c.text[4], c.text[5], c.text[6], c.text[7], c.text[8], c.text[9],
			c.sums[0], c.sums[1], c.sums[2]); err != nil {
			return err
		}
	}
	return nil
}

// eventColumns are events turned on their side.
type eventColumns struct {
	sequence, time []int64
	text           [10][]string
	sums           [3][][]byte
}

func (c *eventColumns) add(e forgecroft.AuditEvent) {
	c.sequence, c.time = append(c.sequence, e.Sequence), append(c.time, e.Time.UnixMicro())
	for i, text := range []string{
		e.ID, e.ActorKeyID, e.ActorName, e.Action, e.ObjectType, e.ObjectID, e.Outcome, e.RequestID, e.RemoteAddr, string(e.Details),
	} {
		c.text[i] = append(c.text[i], text)
	}
	for i, sum := range [][32]byte{e.Digest, e.Previous, e.Hash} {
		c.sums[i] = append(c.sums[i], bytes.Clone(sum[:]))
	}
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
