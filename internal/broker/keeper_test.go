package broker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// another opens a second replica on the same stores.
func (w *world) another(t *testing.T) *broker.Broker {
	t.Helper()
	b, err := broker.Open(t.Context(), w.config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustLeave deletes n configs while the vault is down, so that the sweeper has something to destroy.
func (w *world) mustLeave(t *testing.T, n int) {
	t.Helper()
	w.vault.set(func(v *faultyVault) { v.destroy = func(forgecroft.Reference) error { return errLost } })
	for i := range n {
		c := w.mustConfig(t, string(rune('a'+i)), "plain", "", "A", "x-EXAMPLE")
		if err := w.DeleteCredentialConfig(t.Context(), w.owner, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.vault.set(func(v *faultyVault) { v.destroy = nil })
	w.clock.Advance(time.Hour)
}

// TestSleeperIsSucceeded freezes a sweeper in the middle of its work until another replica has done all of it: what the first then tries to write is refused (CON-7).
func TestSleeperIsSucceeded(t *testing.T) {
	tests := []struct {
		name string
		more time.Duration // the first sleeps on, after the second has finished
		want string
	}{
		{"while the other holds the lease", 0, "lease_held"},
		{"after the other's lease, too", 2 * time.Minute, "lease_lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			before := w.references(t)
			w.mustLeave(t, 3)
			second := broker.NewKeeper(w.another(t))
			slept := false
			w.vault.set(func(v *faultyVault) {
				v.destroy = func(forgecroft.Reference) error {
					if slept {
						return nil
					}
					slept = true
					if err := second.Sweep(t.Context()); !errors.Is(err, forgecroft.KindConflict) {
						t.Errorf("the second sweeps beside the first: %v", err)
					}
					w.clock.Advance(2 * time.Minute)
					if err := second.Sweep(t.Context()); err != nil {
						t.Errorf("the second does not succeed the first: %v", err)
					}
					w.clock.Advance(tt.more)
					return nil
				}
			})
			if err := broker.NewKeeper(w.Broker).Sweep(t.Context()); codeOf(err) != tt.want {
				t.Errorf("the first went on: got %v, want %s", err, tt.want)
			}
			if got := w.references(t); got != before {
				t.Errorf("%d entries in the vault, want %d", got, before)
			}
			w.mustBeClean(t)
		})
	}
}

// TestOneDestructionFails checks that it is not in the way of the others, is tried again, and that its age can be seen meanwhile (DUR-10).
func TestOneDestructionFails(t *testing.T) {
	w := newWorld(t)
	before := w.references(t)
	w.mustLeave(t, 3)
	var tried []forgecroft.Reference
	w.vault.set(func(v *faultyVault) {
		v.destroy = func(ref forgecroft.Reference) error {
			tried = append(tried, ref)
			if ref == tried[0] {
				return forgecroft.Errorf(forgecroft.KindIntegrity, "broken", "This one fails.")
			}
			return nil
		}
	})
	keeper := broker.NewKeeper(w.Broker)
	for range 2 { // The second finds the failing one put off.
		if err := keeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.references(t); got != before+1 || len(tried) != 3 {
		t.Errorf("%d entries in the vault after %d attempts, want %d after 3", got, len(tried), before+1)
	}
	if err := keeper.NoteOverdue(t.Context()); err != nil || keeper.Overdue() != time.Hour {
		t.Errorf("it has been waiting for %v, %v; want an hour", keeper.Overdue(), err)
	}
	w.clock.Advance(time.Minute)
	if err := keeper.Sweep(t.Context()); err != nil || !slices.Equal(tried[3:], tried[:1]) {
		t.Errorf("a minute later: error %v, tried %v", err, tried[3:])
	}
	w.vault.set(func(v *faultyVault) { v.destroy = nil })
	w.sweep(t)
	if err := keeper.NoteOverdue(t.Context()); err != nil || keeper.Overdue() != 0 {
		t.Errorf("when all is gone: %v, %v", keeper.Overdue(), err)
	}
	if got := w.references(t); got != before {
		t.Errorf("%d entries in the vault, want %d", got, before)
	}
	w.mustBeClean(t)
}

// TestKeysAreChangedByOne has another replica at the key ring, which the two may share: this one waits, for a minute at most if the other has died.
func TestKeysAreChangedByOne(t *testing.T) {
	w := newWorld(t)
	err := w.store.Update(t.Context(), func(tx forgecroft.Tx) error {
		_, err := tx.AcquireLease(t.Context(), "keys", "another", w.clock.Now(), w.clock.Now().Add(time.Minute))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RotateVaultKey(t.Context(), w.owner); codeOf(err) != "keys_being_changed" {
		t.Errorf("rotating meanwhile: %v", err)
	}
	if err := w.RemoveVaultKey(t.Context(), w.owner, "0123456789abcdef"); codeOf(err) != "keys_being_changed" {
		t.Errorf("removing a key meanwhile: %v", err)
	}
	w.clock.Advance(time.Minute)
	for range 2 {
		if _, err := w.RotateVaultKey(t.Context(), w.owner); err != nil {
			t.Errorf("rotating afterwards: %v", err)
		}
	}
}

// TestNoKeyGoesDuringARotation has another replica move secrets from key to key.
func TestNoKeyGoesDuringARotation(t *testing.T) {
	w := newWorld(t)
	old := w.mustKeyRing(t).Keys[0].ID
	if _, err := w.config.KeyRing.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		if left, err := w.config.KeyRing.Rewrap(t.Context(), 100); err != nil {
			t.Fatal(err)
		} else if left == 0 {
			break
		}
	}
	err := w.store.Update(t.Context(), func(tx forgecroft.Tx) error {
		_, err := tx.AcquireLease(t.Context(), "rotation", "another", w.clock.Now(), w.clock.Now().Add(time.Minute))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RemoveVaultKey(t.Context(), w.owner, old); codeOf(err) != "key_in_use" {
		t.Errorf("meanwhile: got %v, want key_in_use", err)
	}
	if err := w.RemoveVaultKey(t.Context(), w.owner, "0123456789abcdef"); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("a key that never was, meanwhile: got %v, want that there is none", err)
	}
	w.clock.Advance(time.Minute)
	if err := w.RemoveVaultKey(t.Context(), w.owner, old); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// mustKeyRing returns the keys of the vault.
func (w *world) mustKeyRing(t *testing.T) broker.KeyRing {
	t.Helper()
	ring, err := w.ListVaultKeys(t.Context(), w.owner)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestRotationIsTakenOver lets a replica die in the middle of a rotation: others show it, and one brings it to its end when the lease of the dead is over.
func TestRotationIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.mustConfig(t, "c", "plain", "", "A", "x-EXAMPLE")
	keeper := broker.NewKeeper(w.Broker)
	if _, err := w.config.KeyRing.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := w.store.Update(t.Context(), func(tx forgecroft.Tx) error {
		_, err := tx.AcquireLease(t.Context(), "rotation", "the dead", w.clock.Now(), w.clock.Now().Add(time.Minute))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	older := func() (rotating bool, secrets int64) {
		ring, err := w.ListVaultKeys(t.Context(), w.owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range ring.Keys {
			if !key.Primary {
				secrets += key.Secrets
			}
		}
		return ring.Rotating, secrets
	}
	if err := keeper.TakeOverRotation(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rotating, secrets := older(); !rotating || secrets == 0 {
		t.Errorf("before the lease is over: rotating %t, %d secrets under the older key", rotating, secrets)
	}
	w.clock.Advance(time.Minute)
	if err := keeper.TakeOverRotation(t.Context()); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		if rotating, secrets := older(); !rotating {
			if secrets != 0 {
				t.Errorf("after the rotation: %d secrets under the older key", secrets)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the rotation does not end")
		}
	}
	if lease, err := w.store.Lease(t.Context(), "rotation"); err != nil || lease.Expires.After(w.clock.Now()) {
		t.Errorf("the lease was not released: %+v, %v", lease, err)
	}
}
