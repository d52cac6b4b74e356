package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// signIn begins a session of the owner key and returns its token.
func (w *world) signIn(t *testing.T) string {
	t.Helper()
	token, err := w.SignIn(t.Context(), broker.Call{RequestID: "test", RemoteAddr: "192.0.2.1"}, w.raw, "")
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// open reports whether a token still opens its session.
func (w *world) open(t *testing.T, token string) bool {
	t.Helper()
	_, err := w.Session(t.Context(), token)
	if err != nil && !errors.Is(err, forgecroft.KindUnauthenticated) {
		t.Fatal(err)
	}
	return err == nil
}

func TestSessionEndsWhenIdle(t *testing.T) {
	w := newWorld(t)
	used, idle := w.signIn(t), w.signIn(t)
	for range 5 {
		w.clock.Advance(forgecroft.SessionIdle - 2*time.Minute)
		if !w.open(t, used) {
			t.Fatal("a session that is used ended")
		}
	}
	if w.open(t, idle) {
		t.Error("an idle session goes on")
	}
	w.clock.Advance(forgecroft.SessionIdle)
	if w.open(t, used) {
		t.Error("a session goes on after half an hour without use")
	}
}

func TestSessionEndsAfterItsTerm(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(t)
	for spent := time.Duration(0); spent < forgecroft.SessionTerm-10*time.Minute; spent += 10 * time.Minute {
		if !w.open(t, token) {
			t.Fatalf("a busy session ended after %s", spent)
		}
		w.clock.Advance(10 * time.Minute)
	}
	w.clock.Advance(10 * time.Minute)
	if w.open(t, token) {
		t.Error("a busy session goes on after twelve hours")
	}
}

func TestSessionOfAKeyThatExpires(t *testing.T) {
	w := newWorld(t)
	created, err := w.CreateAPIKey(t.Context(), w.owner, broker.KeyRequest{Name: "short", Role: forgecroft.RoleReader, ExpiresAt: w.clock.Now().Add(10 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.SignIn(t.Context(), broker.Call{}, created.Raw.Reveal(), "")
	if err != nil || !w.open(t, token.Reveal()) {
		t.Fatalf("signing in: %v", err)
	}
	w.clock.Advance(10 * time.Minute)
	if w.open(t, token.Reveal()) {
		t.Error("a session outlives its API key")
	}
}

func TestSessionTokens(t *testing.T) {
	w := newWorld(t)
	first, second := w.signIn(t), w.signIn(t)
	if first == second || len(first) != 43 {
		t.Errorf("tokens: %q and %q", first, second)
	}
	for _, forged := range []string{"", "x", first[:42], first + "=", first[:42] + "!"} {
		if w.open(t, forged) {
			t.Errorf("%q opens a session", forged)
		}
	}
}

func TestConfirmSession(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(t)
	other, err := w.CreateAPIKey(t.Context(), w.owner, broker.KeyRequest{Name: "other", Role: forgecroft.RoleOwner})
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() bool {
		s, err := w.Session(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		return s.Session.Fresh(w.clock.Now())
	}
	if !fresh() {
		t.Error("right after signing in the session is not fresh")
	}
	w.clock.Advance(forgecroft.SessionFresh)
	if fresh() {
		t.Error("after five minutes the session is fresh")
	}
	s, err := w.Session(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"none": "", "another key": other.Raw.Reveal()} {
		if err := w.ConfirmSession(t.Context(), w.owner, s.Session, key); !errors.Is(err, forgecroft.KindUnauthenticated) || fresh() {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := w.ConfirmSession(t.Context(), w.owner, s.Session, w.raw); err != nil || !fresh() {
		t.Errorf("the key itself: got %v", err)
	}
}
