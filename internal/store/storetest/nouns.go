package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func testOrganizations(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.store.Instance(ctx)
	is(t, err, forgecroft.KindNotFound)
	want := forgecroft.Instance{ID: f.id(), KeysReference: f.ref(), CreatedAt: start}
	f.update(func(tx forgecroft.Tx) error { return tx.CreateInstance(ctx, want) })
	same(t, must(f.store.Instance(ctx))(t), want)
	f.refuse(forgecroft.KindConflict, func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateInstance(ctx, forgecroft.Instance{ID: f.id(), KeysReference: f.ref(), CreatedAt: start})
	})

	ours := forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start}
	same(t, must(f.store.Organization(ctx, org))(t), ours)
	same(t, must(f.store.Organizations(ctx))(t), []forgecroft.Organization{ours, {ID: other, Name: "theirs", CreatedAt: start}})
	_, err = f.store.Organization(ctx, f.id())
	is(t, err, forgecroft.KindNotFound)
}

func testProjects(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	same(t, must(f.store.Project(ctx, org, p.ID))(t), p)

	p.Name, p.Description, p.Revision, p.UpdatedAt = "Plattform", "", 2, start.Add(time.Hour)
	f.update(func(tx forgecroft.Tx) error { return tx.UpdateProject(ctx, p) })
	same(t, must(f.store.Project(ctx, org, p.ID))(t), p)

	second := f.project("network")
	list := func(filter forgecroft.ProjectFilter) []forgecroft.Project {
		return must(f.store.Projects(ctx, org, filter, forgecroft.Page{Limit: 10}))(t)
	}
	same(t, list(forgecroft.ProjectFilter{}), []forgecroft.Project{second, p})
	same(t, list(forgecroft.ProjectFilter{ID: p.ID}), []forgecroft.Project{p})
	same(t, list(forgecroft.ProjectFilter{Name: "network"}), []forgecroft.Project{second})
	same(t, list(forgecroft.ProjectFilter{Name: "Network"}), nil)
	same(t, list(forgecroft.ProjectFilter{Query: "FORM"}), []forgecroft.Project{p})

	f.update(func(tx forgecroft.Tx) error { return tx.DeleteProject(ctx, org, p.ID) })
	_, err := f.store.Project(ctx, org, p.ID)
	is(t, err, forgecroft.KindNotFound)
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteProject(ctx, org, p.ID) })
}

func testProjectContents(t *testing.T, f *fixture) {
	ctx := t.Context()
	p, empty := f.project("platform"), f.project("empty")
	w := f.workspace("web", p)
	c := f.config("aws", func(c *forgecroft.CredentialConfig) { c.ProjectID = p.ID })
	f.config("global", nil)
	inProject := func(k *forgecroft.APIKey) { k.Scope.ProjectID = p.ID }
	k := f.key("deploy", forgecroft.RoleRunner, inProject)
	revoked := f.key("revoked", forgecroft.RoleRunner, inProject)
	f.key("expired", forgecroft.RoleRunner, func(k *forgecroft.APIKey) { inProject(k); k.ExpiresAt = time.Unix(1, 0) })
	f.update(func(tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, org, revoked.ID, start) })

	same(t, must(f.store.ProjectContents(ctx, org, p.ID, 10))(t), []forgecroft.Related{
		{Type: "workspace", ID: w.ID, Name: w.Name}, {Type: "credential_config", ID: c.ID, Name: c.Name}, {Type: "api_key", ID: k.ID, Name: k.Name},
	})
	same(t, len(must(f.store.ProjectContents(ctx, org, p.ID, 2))(t)), 2)
	same(t, must(f.store.ProjectContents(ctx, org, empty.ID, 10))(t), nil)
	f.refuse(forgecroft.KindConflict, func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteProject(ctx, org, p.ID) })
}

func testWorkspaces(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	a, b, c := f.config("a", nil), f.config("b", nil), f.config("c", nil)
	w := f.workspace("web", p, c, a)
	same(t, must(f.store.Workspace(ctx, org, w.ID))(t), w)

	w.Name, w.Revision, w.UpdatedAt, w.CredentialConfigIDs = "shop", 2, start.Add(time.Hour), []string{b.ID, c.ID, a.ID}
	f.update(func(tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
	same(t, must(f.store.Workspace(ctx, org, w.ID))(t), w)

	w.Revision, w.CredentialConfigIDs = 3, nil
	f.update(func(tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
	same(t, must(f.store.Workspace(ctx, org, w.ID))(t), w)

	w.Revision, w.CredentialConfigIDs = 4, []string{a.ID, f.id()}
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
	same(t, len(must(f.store.Workspace(ctx, org, w.ID))(t).CredentialConfigIDs), 0)
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateWorkspace(ctx, f.newWorkspace("lost", forgecroft.Project{ID: f.id()}))
	})

	w.CredentialConfigIDs = []string{a.ID}
	f.update(func(tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
	f.update(func(tx forgecroft.Tx) error { return tx.DeleteWorkspace(ctx, org, w.ID) })
	_, err := f.store.Workspace(ctx, org, w.ID)
	is(t, err, forgecroft.KindNotFound)
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.DeleteWorkspace(ctx, org, w.ID) })
	f.update(func(tx forgecroft.Tx) error { return tx.DeleteCredentialConfig(ctx, org, a.ID) }) // Its attachment is gone as well.
}

func testWorkspaceFilters(t *testing.T, f *fixture) {
	p, q := f.project("platform"), f.project("network")
	a, b := f.config("a", nil), f.config("b", nil)
	web, shop, vpc := f.workspace("web", p, a), f.workspace("Web shop", p, b, a), f.workspace("vpc", q, b)
	tests := []struct {
		name   string
		filter forgecroft.WorkspaceFilter
		want   []forgecroft.Workspace
	}{
		{"none", forgecroft.WorkspaceFilter{}, []forgecroft.Workspace{vpc, shop, web}},
		{"id", forgecroft.WorkspaceFilter{ID: shop.ID}, []forgecroft.Workspace{shop}},
		{"project", forgecroft.WorkspaceFilter{ProjectID: p.ID}, []forgecroft.Workspace{shop, web}},
		{"config", forgecroft.WorkspaceFilter{CredentialConfigID: b.ID}, []forgecroft.Workspace{vpc, shop}},
		{"config and project", forgecroft.WorkspaceFilter{CredentialConfigID: b.ID, ProjectID: q.ID}, []forgecroft.Workspace{vpc}},
		{"name", forgecroft.WorkspaceFilter{Name: "web"}, []forgecroft.Workspace{web}},
		{"query", forgecroft.WorkspaceFilter{Query: "wEB"}, []forgecroft.Workspace{shop, web}},
		{"all at once", forgecroft.WorkspaceFilter{ID: shop.ID, ProjectID: p.ID, CredentialConfigID: a.ID, Name: "Web shop", Query: "shop"}, []forgecroft.Workspace{shop}},
		{"nothing", forgecroft.WorkspaceFilter{ID: shop.ID, ProjectID: q.ID}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			same(t, must(f.store.Workspaces(t.Context(), org, test.filter, forgecroft.Page{Limit: 10}))(t), test.want)
		})
	}
}

func testNamesOfIDs(t *testing.T, f *fixture) {
	p := f.project("shop")
	c := f.config("aws", func(c *forgecroft.CredentialConfig) { c.ProjectID = p.ID })
	wide := f.config("dns", nil)
	w := f.workspace("web", p)
	k := f.key("ci", forgecroft.RoleRunner, func(k *forgecroft.APIKey) { k.Scope = forgecroft.KeyScope{ProjectID: p.ID, WorkspaceID: w.ID} })
	f.config("another", nil)
	named := func(kind, id, name string, l forgecroft.Location) forgecroft.Named {
		return forgecroft.Named{Related: forgecroft.Related{Type: kind, ID: id, Name: name}, Location: l}
	}
	want := []forgecroft.Named{
		named("project", p.ID, "shop", forgecroft.Location{OrganizationID: org, ProjectID: p.ID}),
		named("workspace", w.ID, "web", w.Location()),
		named("credential_config", c.ID, "aws", c.Location()),
		named("credential_config", wide.ID, "dns", wide.Location()),
		named("api_key", k.ID, "ci", k.Location()),
	}
	got := must(f.store.Names(t.Context(), org, []string{k.ID, w.ID, f.id(), c.ID, wide.ID, p.ID}))(t)
	less := func(a, b forgecroft.Named) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(got, less)
	slices.SortFunc(want, less)
	same(t, got, want)
	same(t, must(f.store.Names(t.Context(), org, nil))(t), nil)
}

func testAPIKeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	w := f.workspace("web", p)
	owner := f.key("owner", forgecroft.RoleOwner, nil)
	member := f.key("member", forgecroft.RoleMember, func(k *forgecroft.APIKey) {
		k.Scope, k.CreatedBy, k.ExpiresAt = forgecroft.KeyScope{ProjectID: p.ID}, owner.ID, start.Add(time.Hour)
	})
	runner := f.key("runner", forgecroft.RoleRunner, func(k *forgecroft.APIKey) {
		k.Scope = forgecroft.KeyScope{ProjectID: p.ID, WorkspaceID: w.ID}
	})
	same(t, must(f.store.APIKey(ctx, org, member.ID))(t), member)
	_, err := f.store.APIKey(ctx, org, f.id())
	is(t, err, forgecroft.KindNotFound)

	list := func(filter forgecroft.APIKeyFilter) []forgecroft.APIKey {
		return must(f.store.APIKeys(ctx, org, filter, forgecroft.Page{Limit: 10}))(t)
	}
	same(t, list(forgecroft.APIKeyFilter{}), []forgecroft.APIKey{runner, member, owner})
	same(t, list(forgecroft.APIKeyFilter{ProjectID: p.ID}), []forgecroft.APIKey{runner, member})
	same(t, list(forgecroft.APIKeyFilter{WorkspaceID: w.ID}), []forgecroft.APIKey{runner})
	same(t, list(forgecroft.APIKeyFilter{Role: forgecroft.RoleOwner}), []forgecroft.APIKey{owner})
	same(t, list(forgecroft.APIKeyFilter{Name: "member"}), []forgecroft.APIKey{member})

	second := f.key("owner", forgecroft.RoleOwner, func(k *forgecroft.APIKey) { k.ExpiresAt = start.Add(time.Hour) }) // Names need not be unique.
	same(t, must(f.store.LiveOwners(ctx, org, start))(t), 2)
	same(t, must(f.store.LiveOwners(ctx, org, start.Add(time.Hour)))(t), 1)
	f.update(func(tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, org, second.ID, start.Add(time.Second)) })
	same(t, must(f.store.LiveOwners(ctx, org, start))(t), 1)
	second.RevokedAt = start.Add(time.Second)
	same(t, must(f.store.APIKey(ctx, org, second.ID))(t), second)
	f.refuse(forgecroft.KindNotFound, func(ctx context.Context, tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, org, second.ID, start) })
}

func testTouches(t *testing.T, f *fixture) {
	ctx := t.Context()
	a, b := f.config("a", nil), f.config("b", nil)
	w := f.workspace("web", f.project("platform"), a, b)
	k := f.key("deploy", forgecroft.RoleRunner, nil)
	touch := func(at time.Time) {
		f.update(func(tx forgecroft.Tx) error {
			if err := tx.TouchDelivered(ctx, org, w.ID, []string{a.ID}, at); err != nil {
				return err
			}
			return tx.TouchAPIKey(ctx, org, k.ID, at)
		})
	}
	check := func(want time.Time) {
		t.Helper()
		got := must(f.store.Workspace(ctx, org, w.ID))(t)
		same(t, got.LastDeliveredAt, want)
		same(t, got.Revision, 1)
		same(t, must(f.store.CredentialConfig(ctx, org, a.ID))(t).LastDeliveredAt, want)
		same(t, must(f.store.CredentialConfig(ctx, org, b.ID))(t).LastDeliveredAt, time.Time{})
		same(t, must(f.store.APIKey(ctx, org, k.ID))(t).LastUsedAt, want)
	}
	touch(start)
	check(start)
	touch(start.Add(30 * time.Second))
	check(start)
	touch(start.Add(61 * time.Second))
	check(start.Add(61 * time.Second))
	touch(start) // A clock that went back takes nothing back.
	check(start.Add(61 * time.Second))

	f.refuse(forgecroft.KindConflict, func(ctx context.Context, tx forgecroft.Tx) error {
		if err := tx.TouchDelivered(ctx, org, w.ID, []string{a.ID}, start.Add(time.Hour)); err != nil {
			return err
		}
		return forgecroft.KindConflict
	})
	check(start.Add(61 * time.Second))
	touch(start.Add(time.Hour)) // The one that was undone is not remembered.
	check(start.Add(time.Hour))
	f.update(func(tx forgecroft.Tx) error { return tx.TouchDelivered(ctx, org, f.id(), []string{f.id()}, start) }) // Absent: no error.
}
