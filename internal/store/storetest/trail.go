package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// trail reads a whole chain and checks every link of it.
func trail(t *testing.T, f *fixture, organizationID string) []forgecroft.AuditEvent {
	t.Helper()
	head := forgecroft.AuditHead{OrganizationID: organizationID}
	var events []forgecroft.AuditEvent
	for {
		page := forgecroft.Page{Limit: 100}
		if head.Sequence > 0 {
			page.After = fmt.Sprint(head.Sequence)
		}
		part := must(f.store.AuditEvents(t.Context(), organizationID, forgecroft.AuditFilter{Ascending: true}, page))(t)
		for _, e := range part {
			linked := e
			head = head.Next(&linked)
			if linked.Sequence != e.Sequence || linked.Previous != e.Previous || linked.Hash != e.Hash {
				t.Fatalf("event %d does not continue the chain: %+v", head.Sequence, e)
			}
			if e.Sum() != e.Digest {
				t.Fatalf("event %d is not what was digested: %+v", e.Sequence, e)
			}
		}
		events = append(events, part...)
		if len(part) < page.Limit {
			break
		}
	}
	same(t, must(f.store.AuditHead(t.Context(), organizationID))(t), head)
	return events
}

func testAudit(t *testing.T, f *fixture) {
	ctx := t.Context()
	same(t, must(f.store.AuditHead(ctx, org))(t), forgecroft.AuditHead{OrganizationID: org})
	var written []forgecroft.AuditEvent
	add := func(e forgecroft.AuditEvent) {
		f.update(func(tx forgecroft.Tx) error {
			linked := e
			if err := tx.AppendAudit(ctx, &linked); err != nil {
				return err
			}
			if head, err := tx.AuditHead(ctx, e.OrganizationID); err != nil || head.Sequence != linked.Sequence {
				t.Errorf("the head inside the transaction: got %d and error %v, want %d", head.Sequence, err, linked.Sequence)
			}
			e = linked
			return nil
		})
		written = append(written, e)
	}
	add(f.event("workspace.create", "w-1"))
	bare := forgecroft.AuditEvent{ID: f.id(), OrganizationID: org, Time: start, Action: "system.start", Outcome: forgecroft.OutcomeAllowed}
	bare.Digest = bare.Sum()
	add(bare)
	empty := bare
	empty.ID, empty.Details = f.id(), forgecroft.AuditDetails(nil)
	empty.Digest = empty.Sum()
	add(empty)
	theirs := f.event("workspace.create", "w-2")
	theirs.OrganizationID = other
	theirs.Digest = theirs.Sum()
	add(theirs)
	same(t, trail(t, f, org), written[:3])
	same(t, trail(t, f, other), written[3:])

	c := forgecroft.AuditCheckpoint{OrganizationID: org, Sequence: 1, Hash: written[0].Hash, Time: start.Truncate(time.Second), KeyID: "k", Signature: []byte("s")}
	later := c
	later.Sequence, later.Hash = 2, written[1].Hash
	f.update(func(tx forgecroft.Tx) error {
		return errors.Join(tx.CreateAuditCheckpoint(ctx, c), tx.CreateAuditCheckpoint(ctx, later), tx.CreateAuditCheckpoint(ctx, later))
	})
	same(t, must(f.store.AuditCheckpoints(ctx, org, 10))(t), []forgecroft.AuditCheckpoint{later, c})
	same(t, must(f.store.AuditCheckpoints(ctx, org, 1))(t), []forgecroft.AuditCheckpoint{later})
	same(t, must(f.store.AuditCheckpoints(ctx, other, 10))(t), nil)
}

// testDeliveries lists and counts the deliveries of two projects among other events, one of them failed and one of another organization.
func testDeliveries(t *testing.T, f *fixture) {
	ctx := t.Context()
	p, q := f.project("shop"), f.project("platform")
	config := f.config("aws", nil)
	web, app, vpc := f.workspace("web", p), f.workspace("app", p), f.workspace("vpc", q)
	deliver := func(w forgecroft.Workspace, minute int, change func(e *forgecroft.AuditEvent)) {
		e := f.event(forgecroft.ActionDeliver, w.ID)
		e.Time = start.Truncate(time.Hour).Add(time.Duration(minute) * time.Minute)
		if change != nil {
			change(&e)
		}
		e.Digest = e.Sum()
		f.update(func(tx forgecroft.Tx) error { return tx.AppendAudit(ctx, &e) })
	}
	deliver(web, 0, nil)
	deliver(vpc, 1, func(e *forgecroft.AuditEvent) {
		e.Details, e.ActorKeyID = forgecroft.AuditDetails(map[string]any{"credentials": []map[string]any{{"credential_config_id": config.ID}}}), "k-2"
	})
	deliver(app, 2, func(e *forgecroft.AuditEvent) { e.Outcome = forgecroft.OutcomeFailed })
	deliver(web, 3, func(e *forgecroft.AuditEvent) { e.Action = "environment.preview" })
	deliver(web, 4, func(e *forgecroft.AuditEvent) { e.OrganizationID = other })
	deliver(web, 61, nil)
	hour := start.Truncate(time.Hour)
	counts := func(first, failed, second int64) (want []forgecroft.DeliveryCount) {
		for _, c := range []forgecroft.DeliveryCount{{Hour: hour, Outcome: forgecroft.OutcomeAllowed, Count: first}, {Hour: hour, Outcome: forgecroft.OutcomeFailed, Count: failed}, {Hour: hour.Add(time.Hour), Outcome: forgecroft.OutcomeAllowed, Count: second}} {
			if c.Count > 0 {
				want = append(want, c)
			}
		}
		return want
	}
	tests := []struct {
		name   string
		filter forgecroft.DeliveryFilter
		want   []int64
		counts []forgecroft.DeliveryCount
	}{
		{"all", forgecroft.DeliveryFilter{Window: 100}, []int64{5, 3, 2, 1}, counts(2, 1, 1)},
		{"the newest", forgecroft.DeliveryFilter{Window: 3}, []int64{5, 3}, counts(0, 1, 1)},
		{"a project's", forgecroft.DeliveryFilter{Window: 100, ProjectID: p.ID}, []int64{5, 3, 1}, counts(1, 1, 1)},
		{"a workspace's", forgecroft.DeliveryFilter{Window: 100, WorkspaceID: app.ID}, []int64{3}, counts(0, 1, 0)},
		{"a config's", forgecroft.DeliveryFilter{Window: 100, CredentialConfigID: config.ID}, []int64{2}, counts(1, 0, 0)},
		{"a key's", forgecroft.DeliveryFilter{Window: 100, ActorKeyID: "k-2"}, []int64{2}, counts(1, 0, 0)},
		{"since", forgecroft.DeliveryFilter{Window: 100, Since: hour.Add(2 * time.Minute)}, []int64{5, 3}, counts(0, 1, 1)},
		{"until", forgecroft.DeliveryFilter{Window: 100, Until: hour.Add(2 * time.Minute)}, []int64{2, 1}, counts(2, 0, 0)},
		{"failed", forgecroft.DeliveryFilter{Window: 100, Outcome: forgecroft.OutcomeFailed}, []int64{3}, counts(0, 1, 0)},
		{"none", forgecroft.DeliveryFilter{Window: 100, WorkspaceID: f.id()}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []int64
			for _, e := range must(f.store.Deliveries(ctx, org, test.filter, forgecroft.Page{Limit: 10}))(t) {
				got = append(got, e.Sequence)
			}
			same(t, got, test.want)
			same(t, must(f.store.DeliveryCounts(ctx, org, test.filter))(t), test.counts)
			if one := must(f.store.Deliveries(ctx, org, test.filter, forgecroft.Page{Limit: 1}))(t); len(test.want) > 0 && (len(one) != 1 || one[0].Sequence != test.want[0]) {
				t.Errorf("the first one alone: got %+v", one)
			}
			if len(test.want) > 1 {
				next := must(f.store.Deliveries(ctx, org, test.filter, forgecroft.Page{After: fmt.Sprint(test.want[0]), Limit: 1}))(t)
				if len(next) != 1 || next[0].Sequence != test.want[1] {
					t.Errorf("after the first one: got %+v", next)
				}
			}
		})
	}
}

func testAuditFilters(t *testing.T, f *fixture) {
	for i, action := range []string{"workspace.create", "workspace.delete", "workspaces.odd", "api_key.create"} {
		e := f.event(action, fmt.Sprint("o-", i))
		e.Time = start.Add(time.Duration(i) * time.Minute)
		if i == 3 {
			e.ActorKeyID, e.ObjectType, e.Outcome = "k-2", "api_key", forgecroft.OutcomeDenied
		}
		e.Digest = e.Sum()
		f.update(func(tx forgecroft.Tx) error { linked := e; return tx.AppendAudit(t.Context(), &linked) })
	}
	tests := []struct {
		name   string
		filter forgecroft.AuditFilter
		want   []int64
	}{
		{"none", forgecroft.AuditFilter{}, []int64{4, 3, 2, 1}},
		{"ascending", forgecroft.AuditFilter{Ascending: true}, []int64{1, 2, 3, 4}},
		{"action", forgecroft.AuditFilter{Action: "workspace.delete"}, []int64{2}},
		{"noun", forgecroft.AuditFilter{Action: "workspace."}, []int64{2, 1}},
		{"actor", forgecroft.AuditFilter{ActorKeyID: "k-2"}, []int64{4}},
		{"object type", forgecroft.AuditFilter{ObjectType: "workspace"}, []int64{3, 2, 1}},
		{"object", forgecroft.AuditFilter{ObjectID: "o-2"}, []int64{3}},
		{"outcome", forgecroft.AuditFilter{Outcome: forgecroft.OutcomeDenied}, []int64{4}},
		{"since", forgecroft.AuditFilter{Since: start.Add(2 * time.Minute)}, []int64{4, 3}},
		{"until", forgecroft.AuditFilter{Until: start.Add(2 * time.Minute)}, []int64{2, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			list := func(p forgecroft.Page) []int64 {
				sequences := []int64{}
				for _, e := range must(f.store.AuditEvents(t.Context(), org, test.filter, p))(t) {
					sequences = append(sequences, e.Sequence)
				}
				return sequences
			}
			same(t, list(forgecroft.Page{Limit: 10}), test.want)
			same(t, list(forgecroft.Page{Limit: 10, After: fmt.Sprint(test.want[0])}), test.want[1:])
		})
	}
	_, err := f.store.AuditEvents(t.Context(), org, forgecroft.AuditFilter{}, forgecroft.Page{After: "x", Limit: 1})
	is(t, err, forgecroft.KindMalformed)
}

// testAuditUnderLoad appends from many sides, some of which fail after appending: what succeeded is in the chain once, and nothing else.
func testAuditUnderLoad(t *testing.T, f *fixture) {
	const writers, each = 64, 20
	var acknowledged atomic.Int64
	together(writers, func(i int) {
		for n := range each {
			e := f.event("environment.deliver", fmt.Sprint(i, "-", n))
			if i%8 == 0 {
				e.OrganizationID = other
				e.Digest = e.Sum()
			}
			err := f.store.Update(t.Context(), func(tx forgecroft.Tx) error {
				linked := e
				if err := tx.AppendAudit(t.Context(), &linked); err != nil {
					return err
				}
				switch (i + n) % 5 {
				case 3:
					return errRefused
				case 4: // Twice in one transaction.
					linked = f.event("workspace.create", fmt.Sprint(i, "-", n))
					return tx.AppendAudit(t.Context(), &linked)
				}
				return nil
			})
			switch {
			case err == nil && (i+n)%5 == 4:
				acknowledged.Add(2)
			case err == nil:
				acknowledged.Add(1)
			case !errors.Is(err, errRefused):
				t.Errorf("writer %d: %v", i, err)
			}
		}
	})
	same(t, int64(len(trail(t, f, org))+len(trail(t, f, other))), acknowledged.Load())
}

func testDeliveryPlans(t *testing.T, f *fixture) {
	ctx := t.Context()
	root := f.config("root", f.stored(1))
	middle := f.config("middle", func(c *forgecroft.CredentialConfig) { f.stored(1)(c); c.SourceID = root.ID })
	top := f.config("top", func(c *forgecroft.CredentialConfig) { f.stored(2)(c); c.SourceID = middle.ID })
	plain := f.config("plain", nil)
	w := f.workspace("web", f.project("platform"), plain, top, middle)
	plan := must(f.store.DeliveryPlan(ctx, org, w.ID))(t)
	ignore := cmpopts.IgnoreFields(forgecroft.CredentialConfig{}, "WorkspaceIDs")
	same(t, plan, &forgecroft.DeliveryPlan{
		Workspace: w, Configs: []forgecroft.CredentialConfig{plain, top, middle},
		Sources: map[string]forgecroft.CredentialConfig{middle.ID: middle, root.ID: root},
	}, ignore, cmpopts.IgnoreUnexported(forgecroft.DeliveryPlan{}), cmpopts.IgnoreFields(forgecroft.DeliveryPlan{}, "Generation")) // It remembers its effects.
	if again := must(f.store.DeliveryPlan(ctx, org, w.ID))(t); again.Workspace.ID != plan.Workspace.ID {
		t.Errorf("the second time: got workspace %s", again.Workspace.ID)
	}

	root.SourceID, root.Revision = top.ID, 2 // A circle must not hang it.
	f.update(func(tx forgecroft.Tx) error { return tx.UpdateCredentialConfig(ctx, root) })
	same(t, len(must(f.store.DeliveryPlan(ctx, org, w.ID))(t).Sources), 3)

	empty := f.workspace("empty", forgecroft.Project{ID: w.ProjectID})
	same(t, len(must(f.store.DeliveryPlan(ctx, org, empty.ID))(t).Configs), 0)
	f.update(func(tx forgecroft.Tx) error { return tx.DeleteWorkspace(ctx, org, empty.ID) })
	_, err := f.store.DeliveryPlan(ctx, org, empty.ID)
	is(t, err, forgecroft.KindNotFound)
}

// testCurrentPlans changes things between the making of a plan and the moment it counts.
func testCurrentPlans(t *testing.T, f *fixture) {
	ctx := t.Context()
	source := f.config("source", f.stored(1))
	role := f.config("role", func(c *forgecroft.CredentialConfig) { f.stored(1)(c); c.SourceID = source.ID })
	idle := f.config("idle", f.stored(1))
	w := f.workspace("web", f.project("platform"), role)
	tests := []struct {
		name   string
		change func(tx forgecroft.Tx) error
		want   bool
	}{
		{"nothing", func(forgecroft.Tx) error { return nil }, true},
		{"a credential config of somebody else", func(tx forgecroft.Tx) error {
			idle.Description, idle.Revision = "changed", 2
			return tx.UpdateCredentialConfig(ctx, idle)
		}, true},
		{"new secrets", func(tx forgecroft.Tx) error {
			role.SecretVersion, role.Reference, role.Revision = 2, forgecroft.Reference(f.id()), 2
			return tx.UpdateCredentialConfig(ctx, role)
		}, false},
		{"new secrets of the source", func(tx forgecroft.Tx) error {
			source.SecretVersion, source.Reference, source.Revision = 2, forgecroft.Reference(f.id()), 2
			return tx.UpdateCredentialConfig(ctx, source)
		}, false},
		{"another attachment", func(tx forgecroft.Tx) error {
			w.CredentialConfigIDs, w.Revision = []string{role.ID, idle.ID}, 2
			return tx.UpdateWorkspace(ctx, w)
		}, false},
		{"the workspace is gone", func(tx forgecroft.Tx) error { return tx.DeleteWorkspace(ctx, org, w.ID) }, false},
	}
	for _, tt := range tests {
		plan := must(f.store.DeliveryPlan(ctx, org, w.ID))(t)
		f.update(func(tx forgecroft.Tx) error { // In the same transaction, and in a later one.
			if err := tt.change(tx); err != nil {
				return err
			}
			if got, err := tx.PlanCurrent(ctx, plan); err != nil || got != tt.want {
				t.Errorf("%s, within: %v, %v; want %v", tt.name, got, err, tt.want)
			}
			return nil
		})
		f.update(func(tx forgecroft.Tx) error {
			if got, err := tx.PlanCurrent(ctx, plan); err != nil || got != tt.want {
				t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
			}
			return nil
		})
	}
}

func testAuthentication(t *testing.T, f *fixture) {
	ctx := t.Context()
	id := f.id()
	_, err := f.store.Authenticate(ctx, id)
	is(t, err, forgecroft.KindNotFound)
	k := f.key("late", forgecroft.RoleRunner, func(k *forgecroft.APIKey) { k.ID = id }) // Absence is not remembered.
	same(t, must(f.store.Authenticate(ctx, id))(t), &k)
	f.update(func(tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, org, id, start) })
	k.RevokedAt = start
	same(t, must(f.store.Authenticate(ctx, id))(t), &k)
	theirs := f.key("theirs", forgecroft.RoleRunner, func(k *forgecroft.APIKey) { k.OrganizationID = other })
	same(t, must(f.store.Authenticate(ctx, theirs.ID))(t), &theirs)
}

// testExactPlans changes a config and a workspace again and again while others ask for the plan: whoever asks after an acknowledgement sees at
// least that change.
func testExactPlans(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.config("aws", nil)
	w := f.workspace("web", f.project("platform"), c)
	var acknowledged atomic.Int64 // the revision of both
	acknowledged.Store(1)
	readWhile(t, func() {
		for revision := int64(2); revision < 150; revision++ {
			c.Revision, w.Revision = revision, revision
			f.update(func(tx forgecroft.Tx) error {
				return errors.Join(tx.UpdateCredentialConfig(ctx, c), tx.UpdateWorkspace(ctx, w))
			})
			acknowledged.Store(revision)
		}
	}, func() error {
		least := acknowledged.Load()
		plan, err := f.store.DeliveryPlan(ctx, org, w.ID)
		if err != nil {
			return err
		}
		if plan.Workspace.Revision < least || plan.Configs[0].Revision != plan.Workspace.Revision {
			return fmt.Errorf("got workspace at revision %d and config at %d, want one state at %d or later", plan.Workspace.Revision, plan.Configs[0].Revision, least)
		}
		return nil
	})
}

// testExactKeys revokes keys while others authenticate with them.
func testExactKeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	keys := make([]forgecroft.APIKey, 100)
	for i := range keys {
		keys[i] = f.key("k", forgecroft.RoleRunner, nil)
	}
	var revoked atomic.Int64
	readWhile(t, func() {
		for i, k := range keys {
			f.update(func(tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, org, k.ID, start) })
			revoked.Store(int64(i + 1))
		}
	}, func() error {
		least := revoked.Load()
		for i := range int64(len(keys)) {
			k, err := f.store.Authenticate(ctx, keys[i].ID)
			if err != nil {
				return err
			}
			if i < least && k.RevokedAt.IsZero() {
				return fmt.Errorf("key %d is live after its revocation was acknowledged", i)
			}
		}
		return nil
	})
}

// readWhile runs read on several sides until write is done.
func readWhile(t *testing.T, write func(), read func() error) {
	t.Helper()
	done, cancel := context.WithCancel(t.Context())
	together(4, func(i int) {
		if i == 0 {
			defer cancel()
			write()
			return
		}
		for done.Err() == nil {
			if err := read(); err != nil {
				t.Error(err)
				return
			}
		}
	})
}
