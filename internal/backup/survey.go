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
	r := record{t, values}
	switch t.Name {
	case "organizations":
		s.organizations = append(s.organizations, r.text("id"))
	case "instance":
		s.instance = r.text("id")
		s.add(r.text("keys_reference"), forgecroft.Binding{OrganizationID: s.instance, CredentialConfigID: instanceKeysID, Version: 1})
	case "credential_configs":
		s.add(r.text("reference"), forgecroft.Binding{OrganizationID: r.text("organization_id"), CredentialConfigID: r.text("id"), Version: r.number("secret_version")})
	case "audit_events":
		head := forgecroft.AuditHead{OrganizationID: r.text("organization_id"), Sequence: r.number("sequence")}
		head.Hash = r.hash("hash")
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

// checkTrails verifies every audit trail, against its checkpoints too.
func checkTrails(ctx context.Context, from tables) error {
	checkpoints := map[string][]forgecroft.AuditCheckpoint{} // organization → its checkpoints
	t := tableOf("audit_checkpoints")
	err := from.Rows(ctx, t, func(values []any) error {
		r := record{t, values}
		c := forgecroft.AuditCheckpoint{Sequence: r.number("sequence"), Time: r.time("time"), Hash: r.hash("hash")}
		organization := r.text("organization_id")
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
	r := record{t, values}
	return forgecroft.AuditEvent{
		ID: r.text("id"), OrganizationID: r.text("organization_id"), Sequence: r.number("sequence"), Time: r.time("time"),
		ActorKeyID: r.text("actor_key_id"), ActorName: r.text("actor_name"), Action: r.text("action"), ObjectType: r.text("object_type"), ObjectID: r.text("object_id"),
		Outcome: r.text("outcome"), RequestID: r.text("request_id"), RemoteAddr: r.text("remote_addr"), Details: json.RawMessage(r.text("details")),
		Previous: r.hash("previous"), Hash: r.hash("hash"),
	}
}

// record reads the columns of a row by name. What is NULL, or of another kind, is zero: the comparison with the manifest, or the chain, finds out.
type record struct {
	table  store.Table
	values []any
}

func (r record) text(column string) string {
	v, _ := r.values[r.table.Index(column)].(string)
	return v
}

func (r record) number(column string) int64 {
	v, _ := r.values[r.table.Index(column)].(int64)
	return v
}

func (r record) time(column string) time.Time { return time.UnixMicro(r.number(column)).UTC() }

func (r record) hash(column string) (hash [32]byte) {
	if b, _ := r.values[r.table.Index(column)].([]byte); len(b) == len(hash) {
		copy(hash[:], b)
	}
	return hash
}

// tableOf finds a table.
func tableOf(name string) store.Table {
	tables := store.Tables()
	i := slices.IndexFunc(tables, func(t store.Table) bool { return t.Name == name })
	return tables[i]
}
