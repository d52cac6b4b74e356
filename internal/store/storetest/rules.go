package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// testIsolation tries every method that takes an id with the id of another organization's object.
func testIsolation(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	c := f.config("aws", f.stored(1))
	w := f.workspace("web", p, c)
	k := f.key("deploy", forgecroft.RoleOwner, nil)
	e := f.event("workspace.create", w.ID)
	record := forgecroft.IdempotencyRecord{OrganizationID: org, APIKeyID: k.ID, Route: "r", Key: "k", Fingerprint: []byte{1}, Result: []byte("{}"), CreatedAt: start}
	f.update(func(tx forgecroft.Tx) error {
		if err := tx.AddSecretVersion(ctx, forgecroft.SecretVersion{OrganizationID: org, CredentialConfigID: c.ID, Version: 1, Reference: c.Reference, CreatedAt: start}); err != nil {
			return err
		}
		if err := tx.CreateIdempotencyRecord(ctx, record); err != nil {
			return err
		}
		return tx.AppendAudit(ctx, &e)
	})

	s := f.store
	theirRecord := record
	theirRecord.OrganizationID = other
	reads := map[string]func() error{
		"Project":           func() error { _, err := s.Project(ctx, other, p.ID); return err },
		"Workspace":         func() error { _, err := s.Workspace(ctx, other, w.ID); return err },
		"CredentialConfig":  func() error { _, err := s.CredentialConfig(ctx, other, c.ID); return err },
		"APIKey":            func() error { _, err := s.APIKey(ctx, other, k.ID); return err },
		"DeliveryPlan":      func() error { _, err := s.DeliveryPlan(ctx, other, w.ID); return err },
		"IdempotencyRecord": func() error { _, err := s.IdempotencyRecord(ctx, theirRecord, start); return err },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) { is(t, read(), forgecroft.KindNotFound) })
	}
	testForeignLists(t, f, p, w, c, k)
	testForeignWrites(t, f, p, w, c, k)

	// Nothing of it has changed anything.
	same(t, must(s.Project(ctx, org, p.ID))(t), p)
	same(t, must(s.Workspace(ctx, org, w.ID))(t), w)
	same(t, must(s.APIKey(ctx, org, k.ID))(t), k)
	c.WorkspaceIDs = []string{w.ID}
	same(t, must(s.CredentialConfig(ctx, org, c.ID))(t), c)
}

func testForeignLists(t *testing.T, f *fixture, p forgecroft.Project, w forgecroft.Workspace, c forgecroft.CredentialConfig, k forgecroft.APIKey) {
	ctx, s, page := t.Context(), f.store, forgecroft.Page{Limit: 10}
	size := func(n int, err error) func() (int, error) { return func() (int, error) { return n, err } }
	lists := map[string]func() (int, error){
		"Projects": func() (int, error) {
			l, err := s.Projects(ctx, other, forgecroft.ProjectFilter{ID: p.ID}, page)
			return len(l), err
		},
		"ProjectContents": func() (int, error) { l, err := s.ProjectContents(ctx, other, p.ID, 10); return len(l), err },
		"Workspaces": func() (int, error) {
			l, err := s.Workspaces(ctx, other, forgecroft.WorkspaceFilter{CredentialConfigID: c.ID}, page)
			return len(l), err
		},
		"CredentialConfigs": func() (int, error) {
			l, err := s.CredentialConfigs(ctx, other, forgecroft.CredentialConfigFilter{VisibleTo: p.ID}, page)
			return len(l), err
		},
		"CredentialConfigsAmong": func() (int, error) {
			l, err := s.CredentialConfigsAmong(ctx, other, []string{c.ID})
			return len(l), err
		},
		"CredentialConfigUsers": func() (int, error) { l, err := s.CredentialConfigUsers(ctx, other, c.ID, 10); return len(l), err },
		"SecretVersions":        func() (int, error) { l, err := s.SecretVersions(ctx, other, c.ID, 10); return len(l), err },
		"APIKeys": func() (int, error) {
			l, err := s.APIKeys(ctx, other, forgecroft.APIKeyFilter{Name: k.Name}, page)
			return len(l), err
		},
		"AuditEvents": func() (int, error) {
			l, err := s.AuditEvents(ctx, other, forgecroft.AuditFilter{ObjectID: w.ID}, page)
			return len(l), err
		},
		"Deliveries": func() (int, error) {
			l, err := s.Deliveries(ctx, other, forgecroft.DeliveryFilter{WorkspaceID: w.ID, Window: 100}, forgecroft.Page{Limit: 10})
			return len(l), err
		},
		"DeliveryCounts": func() (int, error) {
			l, err := s.DeliveryCounts(ctx, other, forgecroft.DeliveryFilter{WorkspaceID: w.ID, Window: 100})
			return len(l), err
		},
		"Names": func() (int, error) {
			l, err := s.Names(ctx, other, []string{p.ID, w.ID, c.ID, k.ID})
			return len(l), err
		},
		"LiveOwners": size(s.LiveOwners(ctx, other, start)),
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			if n, err := list(); n != 0 || err != nil {
				t.Errorf("got %d items and error %v, want none", n, err)
			}
		})
	}
}

func testForeignWrites(t *testing.T, f *fixture, p forgecroft.Project, w forgecroft.Workspace, c forgecroft.CredentialConfig, k forgecroft.APIKey) {
	p.OrganizationID, p.Revision = other, 2
	c.OrganizationID, c.Revision, c.Reference = other, 2, f.ref()
	theirs := w
	theirs.OrganizationID, theirs.Revision = other, 2
	theirProject := forgecroft.Project{ID: f.id(), OrganizationID: other, Name: "theirs", Revision: 1, CreatedAt: start, UpdatedAt: start}
	f.update(func(tx forgecroft.Tx) error { return tx.CreateProject(f.Context(), theirProject) })
	fresh := f.newWorkspace("theirs", theirProject)
	fresh.OrganizationID = other
	inOurProject, withOurConfig, onOurConfig := fresh, fresh, f.newConfig("theirs")
	inOurProject.ProjectID = p.ID
	withOurConfig.CredentialConfigIDs = []string{c.ID}
	onOurConfig.OrganizationID, onOurConfig.SourceID = other, c.ID
	writes := map[string]func(ctx context.Context, tx forgecroft.Tx) error{
		"UpdateProject":          func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateProject(ctx, p) },
		"DeleteProject":          func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteProject(ctx, other, p.ID) },
		"UpdateWorkspace":        func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, theirs) },
		"DeleteWorkspace":        func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteWorkspace(ctx, other, w.ID) },
		"CreateWorkspace in":     func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateWorkspace(ctx, inOurProject) },
		"CreateWorkspace with":   func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateWorkspace(ctx, withOurConfig) },
		"CreateCredentialConfig": func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateCredentialConfig(ctx, onOurConfig) },
		"UpdateCredentialConfig": func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateCredentialConfig(ctx, c) },
		"DeleteCredentialConfig": func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteCredentialConfig(ctx, other, c.ID) },
		"RevokeAPIKey":           func(ctx context.Context, tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, other, k.ID, start) },
		"AddSecretVersion": func(ctx context.Context, tx forgecroft.Tx) error {
			return tx.AddSecretVersion(ctx, forgecroft.SecretVersion{OrganizationID: other, CredentialConfigID: c.ID, Version: 9, Reference: f.ref(), CreatedAt: start})
		},
		"silent ones": func(ctx context.Context, tx forgecroft.Tx) error {
			if err := tx.TouchDelivered(ctx, other, w.ID, []string{c.ID}, start); err != nil {
				return err
			}
			if err := tx.TouchAPIKey(ctx, other, k.ID, start); err != nil {
				return err
			}
			if err := tx.RecordVerification(ctx, other, c.ID, forgecroft.Verification{Conclusive: true, SecretVersion: 1, CheckedAt: start}); err != nil {
				return err
			}
			return forgecroft.NotFound("reaction")
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) { f.refuse(forgecroft.KindNotFound, write) })
	}
}

func testNames(t *testing.T, f *fixture) {
	p := f.project("platform")
	f.workspace("web", p)
	f.config("aws", nil)
	second, w, c := f.project("second"), f.workspace("second", p), f.config("second", nil)
	taken := func(what string, fn func(ctx context.Context, tx forgecroft.Tx) error) {
		t.Run(what, func(t *testing.T) {
			err := f.store.Update(t.Context(), func(tx forgecroft.Tx) error { return fn(t.Context(), tx) })
			is(t, err, forgecroft.KindConflict)
			same(t, codeOf(err), "name_taken")
		})
	}
	taken("create project", func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateProject(ctx, forgecroft.Project{ID: f.id(), OrganizationID: org, Name: "platform", Revision: 1, CreatedAt: start, UpdatedAt: start})
	})
	taken("create workspace", func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateWorkspace(ctx, f.newWorkspace("web", second))
	})
	taken("create config", func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateCredentialConfig(ctx, f.newConfig("aws"))
	})
	second.Name, second.Revision = "platform", 2
	w.Name, w.Revision = "web", 2
	c.Name, c.Revision = "aws", 2
	taken("update project", func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateProject(ctx, second) })
	taken("update workspace", func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
	taken("update config", func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateCredentialConfig(ctx, c) })

	// Another organization may use the same names, and case matters.
	f.update(func(tx forgecroft.Tx) error {
		theirs := f.newConfig("aws")
		theirs.OrganizationID = other
		return tx.CreateCredentialConfig(t.Context(), theirs)
	})
	f.config("AWS", nil)
}

// codeOf is the code of a failure that has one.
func codeOf(err error) string {
	if e, ok := err.(*forgecroft.Error); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

func testRevisions(t *testing.T, f *fixture) {
	p := f.project("platform")
	w, c := f.workspace("web", p), f.config("aws", nil)
	for _, revision := range []int64{1, 3, 0} {
		p.Revision, w.Revision, c.Revision = revision, revision, revision
		f.refuse(forgecroft.KindStale, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateProject(ctx, p) })
		f.refuse(forgecroft.KindStale, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
		f.refuse(forgecroft.KindStale, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateCredentialConfig(ctx, c) })
	}
	p.ID, w.ID, c.ID = f.id(), f.id(), f.id()
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateProject(ctx, p) })
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateCredentialConfig(ctx, c) })
}

func testSearches(t *testing.T, f *fixture) {
	for _, name := range []string{"50% off", "50 off", "a_b", "axb", `back\slash`, "Zürich", "'; --"} {
		f.project(name)
	}
	tests := []struct {
		query string
		want  []string
	}{
		{"0%", []string{"50% off"}},
		{"A_B", []string{"a_b"}},
		{`K\s`, []string{`back\slash`}},
		{"ZÜRICH", []string{"Zürich"}},
		{"'", []string{"'; --"}},
		{"OFF", []string{"50 off", "50% off"}},
		{"nowhere", []string{}},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			got := must(f.store.Projects(t.Context(), org, forgecroft.ProjectFilter{Query: test.query}, forgecroft.Page{Limit: 10}))(t)
			same(t, ids(got, func(p forgecroft.Project) string { return p.Name }), test.want)
		})
	}
}

// testPages reads all pages of every list while objects are added: each that was there is seen once, in order.
func testPages(t *testing.T, f *fixture) {
	const count, limit = 25, 4
	p := f.project("platform")
	want := map[string][]string{} // list → ids, the newest first
	for i := range count {
		name := fmt.Sprint("n", i)
		project, w, c := f.project(name), f.workspace(name, p), f.config(name, nil)
		k := f.key(name, forgecroft.RoleReader, func(k *forgecroft.APIKey) { k.Scope.ProjectID = p.ID })
		for list, id := range map[string]string{"projects": project.ID, "workspaces": w.ID, "configs": c.ID, "keys": k.ID} {
			want[list] = append([]string{id}, want[list]...)
		}
	}
	want["projects"] = append(want["projects"], p.ID)
	ctx := t.Context()
	pages := map[string]func(page forgecroft.Page) []string{
		"projects": func(page forgecroft.Page) []string {
			return ids(must(f.store.Projects(ctx, org, forgecroft.ProjectFilter{}, page))(t), func(p forgecroft.Project) string { return p.ID })
		},
		"workspaces": func(page forgecroft.Page) []string {
			return ids(must(f.store.Workspaces(ctx, org, forgecroft.WorkspaceFilter{ProjectID: p.ID}, page))(t), func(w forgecroft.Workspace) string { return w.ID })
		},
		"configs": func(page forgecroft.Page) []string {
			return ids(must(f.store.CredentialConfigs(ctx, org, forgecroft.CredentialConfigFilter{VisibleTo: p.ID}, page))(t), func(c forgecroft.CredentialConfig) string { return c.ID })
		},
		"keys": func(page forgecroft.Page) []string {
			return ids(must(f.store.APIKeys(ctx, org, forgecroft.APIKeyFilter{ProjectID: p.ID}, page))(t), func(k forgecroft.APIKey) string { return k.ID })
		},
	}
	for name, list := range pages {
		t.Run(name, func(t *testing.T) {
			var got []string
			page := forgecroft.Page{Limit: limit}
			for {
				items := list(page)
				got = append(got, items...)
				if len(items) < limit {
					break
				}
				page.After = items[limit-1]
				later := fmt.Sprint(name, len(got))
				f.project(later)
				f.workspace(later, p)
				f.config(later, nil)
			}
			same(t, got[len(got)-len(want[name]):], want[name])
		})
	}
}

func testIntents(t *testing.T, f *fixture) {
	ctx := t.Context()
	intent := func(after time.Duration) forgecroft.Intent {
		i := forgecroft.Intent{Reference: f.ref(), Kind: forgecroft.IntentPut, OrganizationID: org, NotBefore: start.Add(after), CreatedAt: start}
		f.update(func(tx forgecroft.Tx) error { return tx.CreateIntent(ctx, i) })
		return i
	}
	late, early, future := intent(2*time.Second), intent(time.Second), intent(time.Hour)
	now := start.Add(2 * time.Second)
	same(t, must(f.store.Intents(ctx, now, 10))(t), []forgecroft.Intent{early, late})
	same(t, must(f.store.Intents(ctx, now, 1))(t), []forgecroft.Intent{early})
	same(t, must(f.store.Intent(ctx, future.Reference))(t), future)
	_, err := f.store.OldestIntent(ctx, forgecroft.IntentDestroy)
	is(t, err, forgecroft.KindNotFound)

	early.Kind, early.NotBefore, early.Attempts = forgecroft.IntentDestroy, start.Add(time.Hour), 3
	f.update(func(tx forgecroft.Tx) error { return tx.CreateIntent(ctx, early) })
	same(t, must(f.store.Intent(ctx, early.Reference))(t), early)
	same(t, must(f.store.Intents(ctx, now, 10))(t), []forgecroft.Intent{late})
	same(t, must(f.store.OldestIntent(ctx, forgecroft.IntentDestroy))(t), early) // Due or not.

	drop := func() (there bool) {
		f.update(func(tx forgecroft.Tx) (err error) {
			there, err = tx.DropIntent(ctx, late.Reference, "")
			return err
		})
		return there
	}
	same(t, drop(), true)
	same(t, drop(), false)
	_, err = f.store.Intent(ctx, late.Reference)
	is(t, err, forgecroft.KindNotFound)
}

func testLeases(t *testing.T, f *fixture) {
	acquire := func(holder string, at time.Duration) (lease forgecroft.Lease, err error) {
		err = f.store.Update(t.Context(), func(tx forgecroft.Tx) (err error) {
			lease, err = tx.AcquireLease(t.Context(), "sweeper", holder, start.Add(at), start.Add(at+time.Minute))
			return err
		})
		return lease, err
	}
	want := forgecroft.Lease{Name: "sweeper", Holder: "a", Fence: 1, Expires: start.Add(time.Minute)}
	same(t, must(acquire("a", 0))(t), want)
	_, err := acquire("b", 30*time.Second)
	is(t, err, forgecroft.KindConflict)
	want.Expires = start.Add(90 * time.Second)
	same(t, must(acquire("a", 30*time.Second))(t), want) // Renewed: the same fence.
	_, err = acquire("b", 90*time.Second-time.Microsecond)
	is(t, err, forgecroft.KindConflict)
	same(t, must(acquire("b", 90*time.Second))(t), forgecroft.Lease{Name: "sweeper", Holder: "b", Fence: 2, Expires: start.Add(150 * time.Second)})
	_, err = acquire("a", 100*time.Second)
	is(t, err, forgecroft.KindConflict)
	same(t, must(acquire("a", time.Hour))(t).Fence, 3)
}

func testIdempotency(t *testing.T, f *fixture) {
	ctx := t.Context()
	r := forgecroft.IdempotencyRecord{
		OrganizationID: org, APIKeyID: f.id(), Route: "project.create", Key: "k-1", Fingerprint: []byte{1, 2}, Result: []byte(`{"a":1}`), CreatedAt: start,
	}
	create := func(r forgecroft.IdempotencyRecord) error {
		return f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.CreateIdempotencyRecord(ctx, r) })
	}
	_, err := f.store.IdempotencyRecord(ctx, r, start)
	is(t, err, forgecroft.KindNotFound)
	must(0, create(r))(t)
	old := start.Add(forgecroft.IdempotencyTTL)
	same(t, must(f.store.IdempotencyRecord(ctx, r, old.Add(-time.Microsecond)))(t), r)
	_, err = f.store.IdempotencyRecord(ctx, r, old)
	is(t, err, forgecroft.KindNotFound)

	again := r
	again.CreatedAt, again.Result = old.Add(-time.Microsecond), []byte(`{"a":2}`)
	is(t, create(again), forgecroft.KindConflict)
	again.CreatedAt = old
	must(0, create(again))(t)
	same(t, must(f.store.IdempotencyRecord(ctx, r, old))(t), again)

	for _, different := range []func(r *forgecroft.IdempotencyRecord){
		func(r *forgecroft.IdempotencyRecord) { r.OrganizationID = other },
		func(r *forgecroft.IdempotencyRecord) { r.APIKeyID = f.id() },
		func(r *forgecroft.IdempotencyRecord) { r.Route = "workspace.create" },
		func(r *forgecroft.IdempotencyRecord) { r.Key = "K-1" },
	} {
		independent := r
		different(&independent)
		must(0, create(independent))(t)
	}
	f.update(func(tx forgecroft.Tx) error { return tx.DropIdempotencyRecords(ctx, old) })
	same(t, must(f.store.IdempotencyRecord(ctx, r, old))(t), again)
	f.update(func(tx forgecroft.Tx) error { return tx.DropIdempotencyRecords(ctx, old.Add(time.Microsecond)) })
	_, err = f.store.IdempotencyRecord(ctx, r, old)
	is(t, err, forgecroft.KindNotFound)
}
