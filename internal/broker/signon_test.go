package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func TestParseSignOnRules(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []broker.SignOnRule
		wrong      string
	}{
		{name: "none", text: " ,"},
		{name: "several", text: "ops=owner, devs=member@shop ,cn=all,dc=example=reader", wrong: "cn=all"},
		{name: "the last sign counts", text: "ops=owner, cn=devs=member@shop", want: []broker.SignOnRule{{"ops", "owner", ""}, {"cn=devs", "member", "shop"}}},
		{name: "spaces", text: "platform team = admin", want: []broker.SignOnRule{{"platform team", "admin", ""}}},
		{name: "no role", text: "ops", wrong: "group=role"},
		{name: "no group", text: "=owner", wrong: "group=role"},
		{name: "unknown role", text: "ops=root", wrong: "must be one of"},
		{name: "no project", text: "ops=member@", wrong: "project"},
		{name: "owner of a project", text: "ops=owner@shop", wrong: "whole organization"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rules, err := broker.ParseSignOnRules(test.text)
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("got %v, want %q", err, test.wrong)
				}
				return
			}
			if diff := cmp.Diff(test.want, rules); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// signOnWorld is an installation with a project and rules.
func signOnWorld(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t)
	project, err := w.CreateProject(t.Context(), w.owner, forgecroft.Project{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := broker.ParseSignOnRules("readers=reader, shop=member@shop, gone=admin@elsewhere, devs=member, shop-admins=admin@" + project.ID + ", ops=owner")
	if err != nil {
		t.Fatal(err)
	}
	w.config.SignOn = rules
	if w.Broker, err = broker.Open(t.Context(), w.config, func(broker.OwnerKey) error { return errors.New("a second owner key") }); err != nil {
		t.Fatal(err)
	}
	return w, project.ID
}

// alice is a person with groups, who has just proven who she is.
func (w *world) alice(groups ...string) forgecroft.Person {
	return forgecroft.Person{Issuer: "https://login.example.com", Subject: "248289761001", Name: "alice@example.com", Groups: groups, AuthenticatedAt: w.clock.Now()}
}

// mustSignOn signs somebody on and returns the token with the session.
func (w *world) mustSignOn(t *testing.T, p forgecroft.Person) (string, broker.SignedIn) {
	t.Helper()
	token, err := w.SignOn(t.Context(), broker.Call{RequestID: "test", RemoteAddr: "192.0.2.1"}, p, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Session(t.Context(), token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal(), s
}

func TestSignOnRoles(t *testing.T) {
	w, project := signOnWorld(t)
	for _, test := range []struct {
		name   string
		groups []string
		role   forgecroft.Role
		scope  forgecroft.KeyScope
	}{
		{"one group", []string{"readers"}, forgecroft.RoleReader, forgecroft.KeyScope{}},
		{"a project by name", []string{"shop", "unknown"}, forgecroft.RoleMember, forgecroft.KeyScope{ProjectID: project}},
		{"a project by id", []string{"shop-admins"}, forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: project}},
		{"the higher role", []string{"readers", "ops", "devs"}, forgecroft.RoleOwner, forgecroft.KeyScope{}},
		{"the wider scope", []string{"shop", "devs"}, forgecroft.RoleMember, forgecroft.KeyScope{}},
		{"a project that is not there", []string{"gone", "readers"}, forgecroft.RoleReader, forgecroft.KeyScope{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, s := w.mustSignOn(t, w.alice(test.groups...))
			if s.Role != test.role || s.Scope != test.scope || s.KeyName != "alice@example.com" || !s.SignedOn || !s.Session.Fresh(w.clock.Now()) {
				t.Errorf("got %+v", s)
			}
		})
	}
	for name, groups := range map[string][]string{"no group": nil, "unknown groups": {"Ops", "ops "}, "only a project that is not there": {"gone"}} {
		t.Run(name, func(t *testing.T) {
			_, err := w.SignOn(t.Context(), broker.Call{}, w.alice(groups...), "")
			if !errors.Is(err, forgecroft.KindForbidden) {
				t.Errorf("got %v", err)
			}
			if e := w.trail(t)[0]; e.Outcome != forgecroft.OutcomeDenied || e.ActorName != "alice@example.com" || e.Action != "session.create" {
				t.Errorf("the trail: %+v", e)
			}
		})
	}
}

// TestSignOnKeys checks what stands behind the sessions of a person: one key, which opens nothing by itself.
func TestSignOnKeys(t *testing.T) {
	w, _ := signOnWorld(t)
	first, s := w.mustSignOn(t, w.alice("devs"))
	keyID := s.KeyID
	w.clock.Advance(forgecroft.SessionTerm / 2)
	renamed := w.alice("devs")
	renamed.Name = "alice.b@example.com"
	_, s = w.mustSignOn(t, renamed)
	if s.KeyID != keyID || s.KeyName != renamed.Name {
		t.Errorf("a second sign-on got another key or name: %+v", s)
	}
	other := w.alice("devs")
	other.Subject = "another"
	if _, s := w.mustSignOn(t, other); s.KeyID == keyID {
		t.Error("two people share a key")
	}
	sameWords := w.alice("devs")
	sameWords.Issuer, sameWords.Subject = sameWords.Issuer+sameWords.Subject[:1], sameWords.Subject[1:]
	if _, s := w.mustSignOn(t, sameWords); s.KeyID == keyID {
		t.Error("issuer and subject run into one another")
	}

	promoted, s := w.mustSignOn(t, w.alice("ops"))
	if s.KeyID == keyID || s.Role != forgecroft.RoleOwner {
		t.Errorf("after a change of role: %+v", s)
	}
	if w.open(t, first) {
		t.Error("a session goes on with the role of before")
	}
	if err := w.RevokeAPIKey(t.Context(), w.owner, s.KeyID); err != nil || w.open(t, promoted) {
		t.Errorf("revoking the key of a person: %v; the session goes on: %v", err, w.open(t, promoted))
	}
	if _, s := w.mustSignOn(t, w.alice("ops")); s.Role != forgecroft.RoleOwner {
		t.Errorf("signing on again: %+v", s)
	}
	if err := w.RevokeAPIKey(t.Context(), w.owner, w.owner.KeyID); err == nil {
		t.Error("the last owner key that lasts was revoked, because a person is owner for a day")
	}
	for _, e := range w.trail(t) {
		if e.Action == "session.create" && e.Outcome == forgecroft.OutcomeAllowed && !strings.Contains(string(e.Details), `"issuer":"https://login.example.com`) {
			t.Errorf("a sign-on without its issuer: %s", e.Details)
		}
	}
}

// TestSignOnNames checks that the trail names people by what cannot be taken for something else.
func TestSignOnNames(t *testing.T) {
	w, _ := signOnWorld(t)
	for name, kept := range map[string]bool{"Ålice": true, "": false, "a\u202eb": false, "line\nbreak": false, strings.Repeat("x", 300): false} {
		p := w.alice("devs")
		p.Name = name
		if _, s := w.mustSignOn(t, p); (s.KeyName == name) != kept || s.KeyName == "" {
			t.Errorf("%q is called %q", name, s.KeyName)
		}
	}
}

// TestSignOnIsFreshByTheProvider checks that dangerous acts count from the proof, not from the visit here.
func TestSignOnIsFreshByTheProvider(t *testing.T) {
	w, _ := signOnWorld(t)
	for name, test := range map[string]struct {
		at    time.Time
		fresh bool
	}{"just now": {w.clock.Now(), true}, "an hour ago": {w.clock.Now().Add(-time.Hour), false}, "unknown": {time.Time{}, false}} {
		t.Run(name, func(t *testing.T) {
			p := w.alice("ops")
			p.AuthenticatedAt = test.at
			if _, s := w.mustSignOn(t, p); s.Session.Fresh(w.clock.Now()) != test.fresh {
				t.Errorf("fresh: %v", !test.fresh)
			}
		})
	}
}

// TestSignOnWithoutTrail checks that nobody gets in without an entry.
func TestSignOnWithoutTrail(t *testing.T) {
	w, _ := signOnWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if token, err := w.SignOn(ctx, broker.Call{}, w.alice("ops"), ""); err == nil || !token.IsZero() {
		t.Errorf("got a token, or no error: %v", err)
	}
}
