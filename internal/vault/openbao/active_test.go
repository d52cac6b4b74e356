package openbao_test

import (
	"slices"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// lags are the ways in which a vault is reached through a standby.
var lags = map[string]func(w *world){
	"the active node can be reached":    func(w *world) { w.atStandby(w.server.URL, 5) },
	"the active node cannot be reached": func(w *world) { w.atStandby("http://127.0.0.1:1", 5) },
}

// TestFirstStartAtAStandby makes a vault through a standby that does not see yet what was just written.
func TestFirstStartAtAStandby(t *testing.T) {
	for name, arrange := range lags {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			arrange(w)
			v := mustOpen(t, w.options)
			if err := v.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

// TestLag stores, reads and destroys through a standby that lags, again and again: nothing that was stored is missing, and nothing that was destroyed is
// called present.
func TestLag(t *testing.T) {
	for name, arrange := range lags {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			arrange(w)
			v := mustOpen(t, w.options)
			for range 5 {
				ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
				if got, err := v.Get(t.Context(), ref, vaulttest.Binding()); err != nil || got.Reveal() != "EXAMPLE" {
					t.Errorf("right after the store: %v, %v", got, err)
				}
				if err := v.Destroy(t.Context(), ref); err != nil {
					t.Errorf("Destroy: %v", err)
				}
			}
		})
	}
}

// TestKeysThroughAStandby rotates and removes a key through a standby: the census and the marker are the active node's, so that no key goes that seals something.
func TestKeysThroughAStandby(t *testing.T) {
	w := newWorld(t)
	direct := w.options
	w.atStandby(w.server.URL, 50)
	v := mustOpen(t, w.options)
	other := direct
	other.Keys = w.options.Keys
	elsewhere := mustOpen(t, other) // another replica, at the active node
	old := mustKeys(t, v)[0].ID
	if _, err := v.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	ref := vaulttest.MustPut(t, elsewhere, vaulttest.Binding(), "EXAMPLE")
	if err := v.KeyRing().RemoveKey(t.Context(), old); err == nil {
		if got, err := elsewhere.Get(t.Context(), ref, vaulttest.Binding()); err != nil || got.Reveal() != "EXAMPLE" {
			t.Errorf("a key was removed that seals a secret: %v, %v", got, err)
		}
	} else if codeOf(err) != "key_in_use" {
		t.Errorf("RemoveKey: %v", err)
	}
	if got, err := v.Get(t.Context(), ref, vaulttest.Binding()); err != nil || got.Reveal() != "EXAMPLE" {
		t.Errorf("through the standby: %v, %v", got, err)
	}
}

// TestNoQuorum checks that a standby's answers do not make a cluster ready that has no active node.
func TestNoQuorum(t *testing.T) {
	w := newWorld(t)
	w.atStandby(w.server.URL, 0)
	v := mustOpen(t, w.options)
	w.fake.LoseQuorum(true)
	if err := v.Check(t.Context()); codeOf(err) != "vault_standby" {
		t.Errorf("without a quorum: %v, want vault_standby", err)
	}
	w.fake.LoseQuorum(false)
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("with a quorum again: %v", err)
	}
	w.fake.Reelect() // What was read from it before may be a standby's.
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("after an election: %v", err)
	}
}

// TestAbsentEverywhere checks that what was destroyed is absent for the active node, too: then it is not a matter of lag.
func TestAbsentEverywhere(t *testing.T) {
	w := newWorld(t)
	w.atStandby(w.server.URL, 0)
	v := mustOpen(t, w.options)
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	if err := v.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); codeOf(err) != codeOf(forgecroft.NotFound("secret version")) {
		t.Errorf("got %v, want not found", err)
	}
}

// TestLostRights takes one right after the other from the policy: the vault is not ready, and says what is missing. Reading goes on all the while.
func TestLostRights(t *testing.T) {
	for path, capabilities := range documentedPolicy() {
		if path == "secret/config" {
			continue // It is looked at once, at the start, if that is allowed.
		}
		for _, lost := range capabilities {
			t.Run(lost+" on "+path, func(t *testing.T) {
				w := newWorld(t)
				w.fake.AddPolicy("", "forgecroft", documentedPolicy())
				w.fake.AddToken("", "s.EXAMPLElimited", bao.Life{}, "forgecroft")
				w.options.Auth = openbao.Token(forgecroft.NewSecret("s.EXAMPLElimited"))
				v := mustOpen(t, w.options)
				if err := v.Check(t.Context()); err != nil {
					t.Fatalf("with all rights: %v", err)
				}
				policy := documentedPolicy()
				policy[path] = slices.DeleteFunc(policy[path], func(c string) bool { return c == lost })
				w.fake.AddPolicy("", "forgecroft", policy)
				w.advance(time.Minute)
				if err := v.Check(t.Context()); codeOf(err) != "vault_denied" {
					t.Errorf("without it: %v, want vault_denied", err)
				}
				w.fake.AddPolicy("", "forgecroft", documentedPolicy())
				if err := v.Check(t.Context()); err != nil {
					t.Errorf("with all rights again: %v", err)
				}
			})
		}
	}
}
