package storetest

import (
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// session makes a session of a key that begins at the given time.
func (f *fixture) session(k forgecroft.APIKey, begins time.Time) forgecroft.Session {
	f.Helper()
	s := forgecroft.Session{ID: f.id(), OrganizationID: org, APIKeyID: k.ID, CreatedAt: begins, SeenAt: begins, ConfirmedAt: begins}
	s.Hash = []byte("hash of EXAMPLE " + s.ID)
	f.update(func(tx forgecroft.Tx) error { return tx.CreateSession(f.Context(), s) })
	return s
}

func testSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	k := f.key("deploy", forgecroft.RoleMember, nil)
	s, second := f.session(k, start), f.session(k, start)
	same(t, must(f.store.Session(ctx, s.Hash))(t), s)
	_, err := f.store.Session(ctx, []byte("hash of another EXAMPLE"))
	is(t, err, forgecroft.KindNotFound)

	touch := func(at time.Time) time.Time {
		f.update(func(tx forgecroft.Tx) error { return tx.TouchSession(ctx, s.Hash, at) })
		return must(f.store.Session(ctx, s.Hash))(t).SeenAt
	}
	same(t, touch(start.Add(time.Second)), start) // Uses are exact to a minute.
	same(t, touch(start.Add(2*time.Minute)), start.Add(2*time.Minute))
	f.update(func(tx forgecroft.Tx) error { return tx.TouchSession(ctx, []byte("absent"), start) })

	f.update(func(tx forgecroft.Tx) error { return tx.ConfirmSession(ctx, s.Hash, start.Add(time.Minute)) })
	same(t, must(f.store.Session(ctx, s.Hash))(t).ConfirmedAt, start.Add(time.Minute))
	same(t, must(f.store.Session(ctx, second.Hash))(t), second)
	is(t, f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.ConfirmSession(ctx, []byte("absent"), start) }), forgecroft.KindNotFound)

	f.update(func(tx forgecroft.Tx) error { return tx.DeleteSession(ctx, s.Hash) })
	_, err = f.store.Session(ctx, s.Hash)
	is(t, err, forgecroft.KindNotFound)
	is(t, f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.DeleteSession(ctx, s.Hash) }), forgecroft.KindNotFound)
}

func testSessionEnds(t *testing.T, f *fixture) {
	ctx := t.Context()
	k := f.key("deploy", forgecroft.RoleMember, nil)
	now := start.Add(forgecroft.SessionTerm)
	busy := f.session(k, start) // used until now, and yet at its end
	f.update(func(tx forgecroft.Tx) error { return tx.TouchSession(ctx, busy.Hash, now) })
	idle := f.session(k, now.Add(-forgecroft.SessionIdle))
	live := f.session(k, now.Add(-forgecroft.SessionIdle).Add(time.Microsecond))
	f.update(func(tx forgecroft.Tx) error { return tx.DropSessions(ctx, now) })
	for _, ended := range []forgecroft.Session{busy, idle} {
		_, err := f.store.Session(ctx, ended.Hash)
		is(t, err, forgecroft.KindNotFound)
	}
	same(t, must(f.store.Session(ctx, live.Hash))(t), live)
}

func testSubjectKeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	of := func(subject string) func(k *forgecroft.APIKey) {
		return func(k *forgecroft.APIKey) { k.Subject = subject }
	}
	f.key("deploy", forgecroft.RoleMember, nil)
	alice, bob := f.key("alice", forgecroft.RoleOwner, of("a")), f.key("bob", forgecroft.RoleReader, of("b"))
	same(t, must(f.store.SubjectKey(ctx, org, "a"))(t), alice)
	same(t, must(f.store.SubjectKey(ctx, org, "b"))(t), bob)
	for _, absent := range []string{"c", ""} {
		_, err := f.store.SubjectKey(ctx, org, absent)
		is(t, err, forgecroft.KindNotFound)
	}
	same(t, must(f.store.LiveOwners(ctx, org, start))(t), 0) // People come and go with their provider.

	expires := start.Add(time.Hour)
	f.update(func(tx forgecroft.Tx) error { return tx.ExtendAPIKey(ctx, org, alice.ID, "alice b", expires) })
	alice.Name, alice.ExpiresAt = "alice b", expires
	same(t, must(f.store.SubjectKey(ctx, org, "a"))(t), alice)
	same(t, *must(f.store.Authenticate(ctx, alice.ID))(t), alice)
	is(t, f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.ExtendAPIKey(ctx, org, f.id(), "x", expires) }), forgecroft.KindNotFound)

	f.update(func(tx forgecroft.Tx) error { return tx.RevokeAPIKey(ctx, org, alice.ID, start) })
	_, err := f.store.SubjectKey(ctx, org, "a")
	is(t, err, forgecroft.KindNotFound)
	next := f.key("alice", forgecroft.RoleReader, of("a"))
	same(t, must(f.store.SubjectKey(ctx, org, "a"))(t), next)
	second := next
	second.ID = f.id()
	is(t, f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.CreateAPIKey(ctx, second) }), forgecroft.KindConflict)
}
