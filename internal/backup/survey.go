package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/forgecroft/forgecroft/internal/audit"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

// instanceKeysID stands for the credential config in the binding of the instance keys.
const instanceKeysID = "instance-keys"

// tables is where rows are read from: a snapshot of a database, or an archive.
type tables interface {
	Rows(ctx context.Context, t store.Table, each func(values []any) error) error
}

// survey collects from the rows that pass what belongs to the manifest: who is there, where the trails end, and which references are live.
type survey struct {
	instance      string
	organizations []string
	heads         map[string]forgecroft.AuditHead // organization → end of its trail
	live          []forgecroft.BoundReference
}

func newSurvey() *survey { return &survey{heads: map[string]forgecroft.AuditHead{}} }

// note takes one row in.
func (s *survey) note(t store.Table, values []any) {
	text := func(column string) string { v, _ := values[t.Index(column)].(string); return v }
	number := func(column string) int64 { v, _ := values[t.Index(column)].(int64); return v }
	switch t.Name {
	case "organizations":
		s.organizations = append(s.organizations, text("id"))
	case "instance":
		s.instance = text("id")
		s.add(text("keys_reference"), forgecroft.Binding{OrganizationID: s.instance, CredentialConfigID: instanceKeysID, Version: 1})
	case "credential_configs":
		s.add(text("reference"), forgecroft.Binding{OrganizationID: text("organization_id"), CredentialConfigID: text("id"), Version: number("secret_version")})
	case "audit_events":
		head := forgecroft.AuditHead{OrganizationID: text("organization_id"), Sequence: number("sequence")}
		head.Hash = hashOf(values[t.Index("hash")])
		s.heads[head.OrganizationID] = head
	}
}

// add notes a live reference.
func (s *survey) add(reference string, b forgecroft.Binding) {
	if reference != "" {
		s.live = append(s.live, forgecroft.BoundReference{Reference: forgecroft.Reference(reference), Binding: b})
	}
}

// sorted returns the live references in ascending order.
func (s *survey) sorted() []forgecroft.BoundReference {
	slices.SortFunc(s.live, func(a, b forgecroft.BoundReference) int { return cmp.Compare(a.Reference, b.Reference) })
	return s.live
}

// trails returns the organizations with the ends of their trails.
func (s *survey) trails() []Organization {
	trails := make([]Organization, len(s.organizations))
	for i, id := range s.organizations {
		head := s.heads[id]
		trails[i] = Organization{id, head.Sequence, head.Hash[:]}
	}
	return trails
}

// hashOf reads 32 bytes; anything else is a hash that fits nothing.
func hashOf(value any) (hash [32]byte) {
	if b, _ := value.([]byte); len(b) == len(hash) {
		copy(hash[:], b)
	}
	return hash
}

// checkTrails verifies every audit trail, against its checkpoints too.
func checkTrails(ctx context.Context, from tables) error {
	checkpoints := map[string][]forgecroft.AuditCheckpoint{} // organization → its checkpoints
	t := tableOf("audit_checkpoints")
	err := from.Rows(ctx, t, func(values []any) error {
		c := forgecroft.AuditCheckpoint{
			Sequence: values[t.Index("sequence")].(int64), Time: time.UnixMicro(values[t.Index("time")].(int64)).UTC(), Hash: hashOf(values[t.Index("hash")]),
		}
		organization := values[t.Index("organization_id")].(string)
		checkpoints[organization] = append(checkpoints[organization], c)
		return nil
	})
	if err != nil {
		return err
	}
	verifiers := map[string]*audit.Verifier{} // organization → how far its trail is verified
	for organization, signed := range checkpoints {
		verifiers[organization] = audit.NewVerifier(organization, signed)
	}
	t = tableOf("audit_events")
	err = from.Rows(ctx, t, func(values []any) error {
		e := eventOf(t, values)
		v := verifiers[e.OrganizationID]
		if v == nil {
			v = audit.NewVerifier(e.OrganizationID, nil)
			verifiers[e.OrganizationID] = v
		}
		return v.Next(e)
	})
	if err != nil {
		return fmt.Errorf("verifying the audit trail: %w", err)
	}
	for organization, v := range verifiers {
		if err := v.End(); err != nil {
			return fmt.Errorf("verifying the audit trail of organization %s: %w", organization, err)
		}
	}
	return nil
}

// eventOf reads an audit event.
func eventOf(t store.Table, values []any) forgecroft.AuditEvent {
	text := func(column string) string { v, _ := values[t.Index(column)].(string); return v }
	number := func(column string) int64 { v, _ := values[t.Index(column)].(int64); return v }
	return forgecroft.AuditEvent{
		ID: text("id"), OrganizationID: text("organization_id"), Sequence: number("sequence"), Time: time.UnixMicro(number("time")).UTC(),
		ActorKeyID: text("actor_key_id"), ActorName: text("actor_name"), Action: text("action"), ObjectType: text("object_type"), ObjectID: text("object_id"),
		Outcome: text("outcome"), RequestID: text("request_id"), RemoteAddr: text("remote_addr"), Details: json.RawMessage(text("details")),
		Previous: hashOf(values[t.Index("previous")]), Hash: hashOf(values[t.Index("hash")]),
	}
}

// tableOf finds a table.
func tableOf(name string) store.Table {
	tables := store.Tables()
	i := slices.IndexFunc(tables, func(t store.Table) bool { return t.Name == name })
	return tables[i]
}
