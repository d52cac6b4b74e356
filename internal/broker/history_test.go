package broker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TestPastDeliveries delivers with two keys to workspaces of two projects, one delivery failing, and asks as callers of different scopes.
func TestPastDeliveries(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.mustProject(t, "mine"), w.mustProject(t, "theirs")
	config := w.mustConfig(t, "settings", "plain", "", "A", "EXAMPLE")
	w.mustConfig(t, "idle", "plain", "", "B", "EXAMPLE")
	here, there := w.mustWorkspace(t, "here", mine.ID, config.ID), w.mustWorkspace(t, "there", theirs.ID, config.ID)
	created, err := w.CreateAPIKey(t.Context(), w.owner, broker.KeyRequest{Name: "ci", Role: forgecroft.RoleRunner, ProjectID: mine.ID})
	if err != nil {
		t.Fatal(err)
	}
	ci := broker.Call{Principal: created.Principal(), RequestID: "ci"}
	if _, err := w.Authenticate(t.Context(), created.Raw.Reveal()); err != nil {
		t.Fatal(err)
	}
	deliver := func(call broker.Call, workspaceID string, fails bool) {
		if _, err := w.Deliver(t.Context(), call, workspaceID, ""); (err != nil) != fails {
			t.Fatalf("delivering: %v", err)
		}
		w.clock.Advance(time.Minute)
	}
	deliver(ci, here.ID, false)
	deliver(w.owner, there.ID, false)
	if _, err := w.StoreSecrets(t.Context(), w.owner, config.ID, data("A", "EXAMPLE-2")); err != nil {
		t.Fatal(err)
	}
	w.vault.set(func(v *faultyVault) { v.get = func(forgecroft.Reference) error { return errLost } })
	deliver(ci, here.ID, true)
	w.vault.set(func(v *faultyVault) { v.get = nil })

	type brief struct {
		workspace, actor, outcome string
		version                   int64
	}
	first, second := brief{"here", "ci", forgecroft.OutcomeAllowed, 1}, brief{"there", "owner", forgecroft.OutcomeAllowed, 1}
	third := brief{"here", "ci", forgecroft.OutcomeFailed, 2}
	check := func(name string, past []broker.PastDelivery, err error, want ...brief) {
		t.Helper()
		var got []brief
		for _, p := range past {
			got = append(got, brief{p.Workspace.Name, p.Actor, p.Outcome, p.Version})
		}
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	}
	project := w.as(forgecroft.RoleReader, forgecroft.KeyScope{ProjectID: mine.ID})
	past, err := w.ListConfigDeliveries(t.Context(), w.owner, config.ID, 10)
	check("of a config", past, err, third, second, first)
	failing := w.mustConfig(t, "failing", "plain", "", "C", "EXAMPLE")
	only := w.mustWorkspace(t, "only", mine.ID, failing.ID)
	w.vault.set(func(v *faultyVault) { v.get = func(forgecroft.Reference) error { return errLost } })
	deliver(w.owner, only.ID, true)
	w.vault.set(func(v *faultyVault) { v.get = nil })
	past, err = w.ListConfigDeliveries(t.Context(), w.owner, failing.ID, 10)
	check("of a config that was never delivered", past, err, brief{"only", "owner", forgecroft.OutcomeFailed, 1})
	past, err = w.ListConfigDeliveries(t.Context(), w.owner, config.ID, 10)
	check("of a config, afterwards", past, err, third, second, first)
	past, err = w.ListConfigDeliveries(t.Context(), w.owner, config.ID, 1)
	check("the last one", past, err, third)
	past, err = w.ListConfigDeliveries(t.Context(), project, config.ID, 10)
	check("within a project", past, err, third, first)
	past, err = w.ListConfigDeliveries(t.Context(), w.as(forgecroft.RoleMember, forgecroft.KeyScope{ProjectID: theirs.ID, WorkspaceID: there.ID}), config.ID, 10)
	check("within a workspace", past, err, second)

	listed := func(name string, call broker.Call, f forgecroft.DeliveryFilter, want ...string) {
		t.Helper()
		var got []string
		request := broker.PageRequest{Limit: 1}
		for {
			list, err := w.ListDeliveries(t.Context(), call, f, request)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, p := range list.Items {
				got = append(got, p.Workspace.Name+" "+p.Actor+" "+p.Code)
			}
			if request.Cursor = list.Next; request.Cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("list of %s: got %q, want %q", name, got, want)
		}
	}
	listed("all", w.owner, forgecroft.DeliveryFilter{}, "only owner credential_unavailable", "here ci credential_unavailable", "there owner ", "here ci ")
	listed("a config, in a project", project, forgecroft.DeliveryFilter{CredentialConfigID: config.ID}, "here ci credential_unavailable", "here ci ")
	listed("a workspace", w.owner, forgecroft.DeliveryFilter{WorkspaceID: there.ID}, "there owner ")
	listed("another project", project, forgecroft.DeliveryFilter{ProjectID: theirs.ID})
	listed("a workspace of another project", project, forgecroft.DeliveryFilter{WorkspaceID: there.ID})
	listed("another workspace", w.as(forgecroft.RoleMember, forgecroft.KeyScope{ProjectID: mine.ID, WorkspaceID: only.ID}), forgecroft.DeliveryFilter{WorkspaceID: here.ID})
	if _, err := w.ListDeliveries(t.Context(), w.as(forgecroft.RoleRunner, forgecroft.KeyScope{}), forgecroft.DeliveryFilter{}, broker.PageRequest{}); !errors.Is(err, forgecroft.KindForbidden) {
		t.Errorf("a runner lists deliveries: %v", err)
	}
	among, err := w.CredentialConfigsAmong(t.Context(), project, []string{config.ID, failing.ID, config.ID, "no-id", here.ID})
	if err != nil || len(among) != 2 || among[config.ID].Name != "settings" {
		t.Errorf("configs among ids: got %v, %v", among, err)
	}
	foreign := w.mustConfig(t, "foreign", "plain", theirs.ID, "D", "EXAMPLE")
	if among, err := w.CredentialConfigsAmong(t.Context(), project, []string{foreign.ID}); err != nil || len(among) != 0 {
		t.Errorf("configs of another project: got %v, %v", among, err)
	}

	keyDeliveries := func(name string, call broker.Call, want ...brief) {
		t.Helper()
		past, err := w.ListKeyDeliveries(t.Context(), call, created.ID, 10)
		for i := range past {
			if past[i].Version != 0 {
				t.Errorf("%s: a version of no config in question: %+v", name, past[i])
			}
		}
		check(name, past, err, want...)
	}
	first.version, third.version = 0, 0
	keyDeliveries("of a key", w.owner, third, first)
	keyDeliveries("of a key, to an admin of its project", w.as(forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: mine.ID}), third, first)
	if _, err := w.ListKeyDeliveries(t.Context(), w.as(forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: theirs.ID}), created.ID, 10); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("of a key of another project: got %v, want not found", err)
	}

	count := func(call broker.Call, since time.Time) (allowed, failed int64) {
		t.Helper()
		counts, err := w.CountDeliveries(t.Context(), call, since)
		if err != nil || counts.More {
			t.Fatalf("got %+v, %v", counts, err)
		}
		for _, c := range counts.Counts {
			if c.Outcome == forgecroft.OutcomeAllowed {
				allowed += c.Count
			} else {
				failed += c.Count
			}
		}
		return allowed, failed
	}
	start := w.clock.Now().Add(-time.Hour)
	if allowed, failed := count(w.owner, start); allowed != 2 || failed != 2 {
		t.Errorf("in all: got %d and %d, want 2 and 2", allowed, failed)
	}
	if allowed, failed := count(project, start); allowed != 1 || failed != 2 {
		t.Errorf("within a project: got %d and %d, want 1 and 2", allowed, failed)
	}
	if allowed, failed := count(w.owner, w.clock.Now().Add(-90*time.Second)); allowed != 0 || failed != 1 {
		t.Errorf("of the last minute: got %d and %d, want 0 and 1", allowed, failed)
	}
}

// TestNames looks everything up, as callers who may see different things.
func TestNames(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.mustProject(t, "mine"), w.mustProject(t, "theirs")
	shared, scoped := w.mustConfig(t, "shared", "plain", ""), w.mustConfig(t, "scoped", "plain", theirs.ID)
	here, there := w.mustWorkspace(t, "here", mine.ID), w.mustWorkspace(t, "there", theirs.ID)
	key, err := w.CreateAPIKey(t.Context(), w.owner, broker.KeyRequest{Name: "key", Role: forgecroft.RoleRunner, ProjectID: mine.ID})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{mine.ID, theirs.ID, shared.ID, scoped.ID, here.ID, there.ID, key.ID, here.ID, "", "no id"}
	tests := []struct {
		name string
		call broker.Call
		want []string // ids
	}{
		{"owner", w.owner, []string{mine.ID, theirs.ID, shared.ID, scoped.ID, here.ID, there.ID, key.ID}},
		{"reader", w.as(forgecroft.RoleReader, forgecroft.KeyScope{}), []string{mine.ID, theirs.ID, shared.ID, scoped.ID, here.ID, there.ID}},
		{"runner", w.as(forgecroft.RoleRunner, forgecroft.KeyScope{}), []string{here.ID, there.ID}},
		{"admin of a project", w.as(forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: mine.ID}), []string{mine.ID, shared.ID, here.ID, key.ID}},
		{"admin of the other", w.as(forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: theirs.ID}), []string{theirs.ID, shared.ID, scoped.ID, there.ID}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := w.Names(t.Context(), tt.call, ids)
			if err != nil || len(got) != len(tt.want) {
				t.Errorf("got %v, %v", got, err)
			}
			for _, id := range tt.want {
				if got[id].ID != id || got[id].Name == "" {
					t.Errorf("%s is missing in %v", id, got)
				}
			}
		})
	}
}
