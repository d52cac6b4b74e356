package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func testCredentialConfigs(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	plain := f.config("plain", nil)
	same(t, must(f.store.CredentialConfig(ctx, org, plain.ID))(t), plain)

	enforced := true
	full := f.config("full", func(c *forgecroft.CredentialConfig) {
		f.stored(3)(c)
		c.ProjectID, c.ExternalID, c.SourceID = p.ID, "external-EXAMPLE", plain.ID
		c.Verification = &forgecroft.Verification{
			Valid: true, Conclusive: true, Identity: "arn:aws:iam::123456789012:user/x", ExternalIDEnforced: &enforced,
			Warnings: []string{"<old>"}, ExpiresAt: start.Add(time.Hour), CheckedAt: start, SecretVersion: 3,
		}
		c.LastAttempt = &forgecroft.Verification{Error: "timeout", Detail: "no answer", CheckedAt: start.Add(time.Hour), SecretVersion: 3}
		c.LastDeliveredAt = start.Add(time.Minute)
	})
	same(t, must(f.store.CredentialConfig(ctx, org, full.ID))(t), full)

	changed := full
	f.stored(4)(&changed)
	changed.Name, changed.ProjectID, changed.SourceID, changed.Revision = "renamed", "", "", 2
	changed.UpdatedAt = start.Add(time.Hour)
	changed.Verification, changed.LastAttempt, changed.LastDeliveredAt = nil, nil, time.Time{} // An update does not write these.
	f.update(func(tx forgecroft.Tx) error { return tx.UpdateCredentialConfig(ctx, changed) })
	changed.Verification, changed.LastAttempt, changed.LastDeliveredAt = full.Verification, full.LastAttempt, full.LastDeliveredAt
	same(t, must(f.store.CredentialConfig(ctx, org, full.ID))(t), changed)

	w, v := f.workspace("web", p, changed, plain), f.workspace("shop", p, changed)
	changed.WorkspaceIDs = []string{w.ID, v.ID}
	same(t, must(f.store.CredentialConfig(ctx, org, full.ID))(t), changed)
	plain.WorkspaceIDs = []string{w.ID}
	same(t, must(f.store.CredentialConfigs(ctx, org, forgecroft.CredentialConfigFilter{}, forgecroft.Page{Limit: 10}))(t),
		[]forgecroft.CredentialConfig{changed, plain})

	for _, missing := range []func(c *forgecroft.CredentialConfig){
		func(c *forgecroft.CredentialConfig) { c.ProjectID = f.id() },
		func(c *forgecroft.CredentialConfig) { c.SourceID = f.id() },
	} {
		c := f.newConfig("lost")
		missing(&c)
		f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateCredentialConfig(ctx, c) })
	}
}

func testCredentialConfigFilters(t *testing.T, f *fixture) {
	p, q := f.project("platform"), f.project("network")
	inProject := func(p forgecroft.Project, and func(c *forgecroft.CredentialConfig)) func(c *forgecroft.CredentialConfig) {
		return func(c *forgecroft.CredentialConfig) { c.ProjectID = p.ID; and(c) }
	}
	verified := func(version int64, valid bool) func(c *forgecroft.CredentialConfig) {
		return func(c *forgecroft.CredentialConfig) {
			f.stored(2)(c)
			c.Verification = &forgecroft.Verification{Valid: valid, Conclusive: true, CheckedAt: start, SecretVersion: version}
		}
	}
	aws := func(c *forgecroft.CredentialConfig) { c.Type = "aws_static" }
	global := f.config("global", nil)
	good := f.config("good", inProject(p, verified(2, true)))
	bad := f.config("bad", inProject(p, verified(2, false)))
	old := f.config("old", inProject(q, verified(1, true)))
	cloud := f.config("Cloud", aws)
	tests := []struct {
		name   string
		filter forgecroft.CredentialConfigFilter
		want   []string
	}{
		{"none", forgecroft.CredentialConfigFilter{}, []string{cloud.ID, old.ID, bad.ID, good.ID, global.ID}},
		{"project", forgecroft.CredentialConfigFilter{ProjectID: p.ID}, []string{bad.ID, good.ID}},
		{"visible", forgecroft.CredentialConfigFilter{VisibleTo: p.ID}, []string{cloud.ID, bad.ID, good.ID, global.ID}},
		{"visible to another", forgecroft.CredentialConfigFilter{VisibleTo: q.ID}, []string{cloud.ID, old.ID, global.ID}},
		{"visible and project", forgecroft.CredentialConfigFilter{VisibleTo: p.ID, ProjectID: p.ID}, []string{bad.ID, good.ID}},
		{"visible and another project", forgecroft.CredentialConfigFilter{VisibleTo: p.ID, ProjectID: q.ID}, []string{}},
		{"type", forgecroft.CredentialConfigFilter{Type: "aws_static"}, []string{cloud.ID}},
		{"organization level", forgecroft.CredentialConfigFilter{Scope: forgecroft.ScopeOrganization}, []string{cloud.ID, global.ID}},
		{"project level", forgecroft.CredentialConfigFilter{Scope: forgecroft.ScopeProject}, []string{old.ID, bad.ID, good.ID}},
		{"valid", forgecroft.CredentialConfigFilter{Verification: forgecroft.VerifiedValid}, []string{good.ID}},
		{"invalid", forgecroft.CredentialConfigFilter{Verification: forgecroft.VerifiedInvalid}, []string{bad.ID}},
		{"unverified", forgecroft.CredentialConfigFilter{Verification: forgecroft.Unverified}, []string{cloud.ID, old.ID, global.ID}},
		{"name", forgecroft.CredentialConfigFilter{Name: "good"}, []string{good.ID}},
		{"query", forgecroft.CredentialConfigFilter{Query: "LO"}, []string{cloud.ID, global.ID}},
		{"visible and query", forgecroft.CredentialConfigFilter{VisibleTo: q.ID, Query: "o", Verification: forgecroft.Unverified}, []string{cloud.ID, old.ID, global.ID}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := must(f.store.CredentialConfigs(t.Context(), org, test.filter, forgecroft.Page{Limit: 10}))(t)
			same(t, ids(got, func(c forgecroft.CredentialConfig) string { return c.ID }), test.want)
			if len(test.want) > 2 { // Pages work with every filter.
				page := forgecroft.Page{After: test.want[0], Limit: 1}
				got := must(f.store.CredentialConfigs(t.Context(), org, test.filter, page))(t)
				same(t, ids(got, func(c forgecroft.CredentialConfig) string { return c.ID }), test.want[1:2])
			}
		})
	}
}

func testCredentialConfigUsers(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.config("base", nil)
	same(t, must(f.store.CredentialConfigUsers(ctx, org, c.ID, 10))(t), nil)
	role := f.config("role", func(r *forgecroft.CredentialConfig) { r.SourceID = c.ID })
	builders := must(f.store.CredentialConfigs(ctx, org, forgecroft.CredentialConfigFilter{SourceID: c.ID}, forgecroft.Page{Limit: 10}))(t)
	same(t, ids(builders, func(c forgecroft.CredentialConfig) string { return c.ID }), []string{role.ID})
	w := f.workspace("web", f.project("platform"), c)
	want := []forgecroft.Related{{Type: "workspace", ID: w.ID, Name: "web"}, {Type: "credential_config", ID: role.ID, Name: "role"}}
	same(t, must(f.store.CredentialConfigUsers(ctx, org, c.ID, 10))(t), want)
	same(t, must(f.store.CredentialConfigUsers(ctx, org, c.ID, 1))(t), want[:1])

	remove := func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteCredentialConfig(ctx, org, c.ID) }
	f.refuse(forgecroft.KindConflict, remove)
	f.update(func(tx forgecroft.Tx) error { return tx.DeleteWorkspace(ctx, org, w.ID) })
	f.refuse(forgecroft.KindConflict, remove) // It still is a source.
	f.update(func(tx forgecroft.Tx) error { return tx.DeleteCredentialConfig(ctx, org, role.ID) })
	f.update(func(tx forgecroft.Tx) error { return remove(ctx, tx) })
	f.refuse(forgecroft.KindNotFound, remove)
}

func testVerifications(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.config("aws", f.stored(2))
	record := func(v forgecroft.Verification) {
		f.update(func(tx forgecroft.Tx) error { return tx.RecordVerification(ctx, org, c.ID, v) })
	}
	valid := forgecroft.Verification{Valid: true, Conclusive: true, Identity: "me", CheckedAt: start, SecretVersion: 2}
	unsure := forgecroft.Verification{Error: "timeout", CheckedAt: start.Add(time.Minute), SecretVersion: 2}
	record(valid)
	c.Record(valid)
	same(t, must(f.store.CredentialConfig(ctx, org, c.ID))(t), c)
	record(unsure)
	c.Record(unsure)
	same(t, must(f.store.CredentialConfig(ctx, org, c.ID))(t), c)
	// A result of another version, or of a config that is gone, changes nothing.
	record(forgecroft.Verification{Conclusive: true, Error: "InvalidClientTokenId", CheckedAt: start, SecretVersion: 1})
	f.update(func(tx forgecroft.Tx) error { return tx.RecordVerification(ctx, org, f.id(), valid) })
	same(t, must(f.store.CredentialConfig(ctx, org, c.ID))(t), c)
}

func testSecretVersions(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.config("aws", f.stored(2))
	me := f.key("me", forgecroft.RoleMember, nil)
	version := func(n int64) forgecroft.SecretVersion {
		return forgecroft.SecretVersion{
			OrganizationID: org, CredentialConfigID: c.ID, Version: n, Reference: f.ref(), Fields: []string{"a", "b"},
			CreatedBy: me.ID, CreatedByName: "me", CreatedAt: start,
		}
	}
	first, second := version(1), version(2)
	second.CreatedBy, second.CreatedByName = f.id(), "" // Whoever that was.
	for _, v := range []forgecroft.SecretVersion{first, second} {
		f.update(func(tx forgecroft.Tx) error { return tx.AddSecretVersion(ctx, v) })
	}
	same(t, must(f.store.SecretVersions(ctx, org, c.ID, 10))(t), []forgecroft.SecretVersion{second, first})
	same(t, must(f.store.SecretVersions(ctx, org, c.ID, 1))(t), []forgecroft.SecretVersion{second})
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error {
		lost := version(1)
		lost.CredentialConfigID = f.id()
		return tx.AddSecretVersion(ctx, lost)
	})
	f.update(func(tx forgecroft.Tx) error { return tx.DeleteCredentialConfig(ctx, org, c.ID) })
	same(t, must(f.store.SecretVersions(ctx, org, c.ID, 10))(t), nil)
}

func testSecretBindings(t *testing.T, f *fixture) {
	ctx := t.Context()
	one := f.config("one", f.stored(1))
	i := forgecroft.Instance{ID: f.id(), KeysReference: f.ref(), CreatedAt: start}
	f.update(func(tx forgecroft.Tx) error { return tx.CreateInstance(ctx, i) })
	two := f.config("two", func(c *forgecroft.CredentialConfig) { f.stored(7)(c); c.OrganizationID = other })
	f.config("none", nil)
	want := []forgecroft.BoundReference{
		{Reference: one.Reference, Binding: one.Binding()},
		{Reference: i.KeysReference, Binding: forgecroft.Binding{OrganizationID: i.ID, CredentialConfigID: "instance-keys", Version: 1}},
		{Reference: two.Reference, Binding: two.Binding()},
	}
	same(t, must(f.store.SecretBindings(ctx, "", 10))(t), want)
	same(t, must(f.store.SecretBindings(ctx, "", 2))(t), want[:2])
	same(t, must(f.store.SecretBindings(ctx, one.Reference, 10))(t), want[1:])
	for _, ref := range []forgecroft.Reference{one.Reference, i.KeysReference, two.Reference} {
		same(t, must(f.store.ReferenceLive(ctx, ref))(t), true)
	}
	same(t, must(f.store.ReferenceLive(ctx, f.ref()))(t), false)
}
