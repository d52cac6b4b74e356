package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// sweep lets the leases and graces pass, and the keeper finish what is due.
func (w *world) sweep(t *testing.T) {
	t.Helper()
	w.clock.Advance(time.Hour)
	if err := broker.NewKeeper(w.Broker).Sweep(t.Context()); err != nil {
		t.Fatalf("sweeping: %v", err)
	}
}

func TestReplacingSecrets(t *testing.T) {
	w := newWorld(t)
	p := w.mustProject(t, "p")
	c := w.mustConfig(t, "c", "plain", p.ID, "A", "one-EXAMPLE", "B", "two-EXAMPLE")
	ws := w.mustWorkspace(t, "w", p.ID, c.ID)
	before := w.references(t)
	v, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", "three-EXAMPLE"))
	if err != nil {
		t.Fatal(err)
	}
	if v.Version != 2 || !cmp.Equal(v.Fields, []string{"A"}) {
		t.Errorf("the new version is %+v", v)
	}
	d, err := w.Deliver(t.Context(), w.owner, ws.ID, "run-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "three-EXAMPLE"}, env(d)); diff != "" {
		t.Errorf("a version is never merged with the last (-want +got):\n%s", diff)
	}
	if got := w.references(t); got != before+1 {
		t.Errorf("the replaced version outlives deliveries that have begun: %d entries, want %d", got, before+1)
	}
	w.sweep(t)
	if got := w.references(t); got != before {
		t.Errorf("after the sweep: %d entries, want %d", got, before)
	}
	history, err := w.ListSecretVersions(t.Context(), w.owner, c.ID)
	if err != nil || len(history) != 2 || history[0].Version != 2 {
		t.Errorf("history: %+v, %v", history, err)
	}
	w.mustBeClean(t)
}

// TestVaultFailures lets the vault fail at the put in each way: nothing dangles, and nothing is left after the sweep (DUR-7, DUR-8).
func TestVaultFailures(t *testing.T) {
	down := forgecroft.Errorf(forgecroft.KindUnavailable, "vault_unreachable", "The vault does not answer.")
	for name, fault := range map[string]error{"down": down, "reply lost": errLost} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.mustProject(t, "p")
			c := w.mustConfig(t, "c", "plain", p.ID, "A", "old-EXAMPLE")
			ws := w.mustWorkspace(t, "w", p.ID, c.ID)
			before := w.references(t)
			w.vault.set(func(v *faultyVault) { v.put = func(forgecroft.Reference) error { return fault } })
			if _, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", "new-EXAMPLE")); !errors.Is(err, forgecroft.KindUnavailable) {
				t.Fatalf("storing: %v", err)
			}
			d, err := w.Deliver(t.Context(), w.owner, ws.ID, "")
			if err != nil || env(d)["A"] != "old-EXAMPLE" {
				t.Errorf("the old version: %v, %v", env(d), err)
			}
			w.vault.set(func(v *faultyVault) { v.put = nil })
			w.sweep(t)
			if got := w.references(t); got != before {
				t.Errorf("%d entries in the vault, want %d", got, before)
			}
			w.mustBeClean(t)
			if _, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", "new-EXAMPLE")); err != nil {
				t.Errorf("storing again: %v", err)
			}
		})
	}
}

// TestSweeperBeforeCommit lets the lease run out and the sweeper come between the put and the commit: the version is stored under a
// new reference, and the old one is gone.
func TestSweeperBeforeCommit(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "")
	before := w.references(t)
	var once sync.Once
	w.vault.set(func(v *faultyVault) {
		v.put = func(forgecroft.Reference) error {
			once.Do(func() { w.sweep(t) })
			return nil
		}
	})
	if _, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", "x-EXAMPLE")); err != nil {
		t.Fatal(err)
	}
	w.sweep(t)
	if got := w.references(t); got != before+1 {
		t.Errorf("%d entries in the vault, want %d", got, before+1)
	}
	w.mustBeClean(t)
}

// TestStoringTogether stores into one config from many sides: every version is whole, and the versions count up.
func TestStoringTogether(t *testing.T) {
	w := newWorld(t)
	p := w.mustProject(t, "p")
	c := w.mustConfig(t, "c", "plain", p.ID, "A", "0", "B", "0")
	ws := w.mustWorkspace(t, "w", p.ID, c.ID)
	var group sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for i := range 8 {
		group.Go(func() {
			for j := range 5 {
				value := fmt.Sprintf("%d-%d", i, j)
				_, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", value, "B", value))
				if err == nil {
					mu.Lock()
					stored++
					mu.Unlock()
				} else if codeOf(err) != "stored_concurrently" {
					t.Errorf("storing: %v", err)
				}
				d, err := w.Deliver(t.Context(), w.owner, ws.ID, "")
				if got := env(d); err != nil || got["A"] != got["B"] {
					t.Errorf("a torn version was delivered: %v, %v", got, err)
				}
			}
		})
	}
	group.Wait()
	got, err := w.GetCredentialConfig(t.Context(), w.owner, c.ID)
	if err != nil || got.SecretVersion != int64(stored+1) {
		t.Errorf("version %d after %d stores, %v", got.SecretVersion, stored, err)
	}
	w.sweep(t)
	if refs := w.references(t); refs != 2 { // the config's and the instance keys
		t.Errorf("%d entries in the vault, want 2", refs)
	}
	w.mustBeClean(t)
}

// TestDeletionOutlivesTheVault deletes while the vault is down: the config is gone at once, its secrets as soon as the vault answers.
func TestDeletionOutlivesTheVault(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "", "A", "x-EXAMPLE")
	before := w.references(t)
	w.vault.set(func(v *faultyVault) { v.destroy = func(forgecroft.Reference) error { return errLost } })
	if err := w.DeleteCredentialConfig(t.Context(), w.owner, c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.GetCredentialConfig(t.Context(), w.owner, c.ID); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("after the deletion: %v", err)
	}
	if got := w.references(t); got != before {
		t.Fatalf("the vault was not down: %d entries", got)
	}
	w.vault.set(func(v *faultyVault) { v.destroy = nil })
	w.sweep(t)
	if got := w.references(t); got != before-1 {
		t.Errorf("%d entries in the vault, want %d", got, before-1)
	}
	w.mustBeClean(t)
}

func TestDeletionWhileInUse(t *testing.T) {
	w := newWorld(t)
	p := w.mustProject(t, "p")
	c := w.mustConfig(t, "base", "plain", "", "A", "x")
	role := w.mustConfig(t, "role", "lease", "", "source", c.ID)
	ws := w.mustWorkspace(t, "w", p.ID, c.ID)
	err := w.DeleteCredentialConfig(t.Context(), w.owner, c.ID)
	var known *forgecroft.Error
	if !errors.As(err, &known) || known.Kind != forgecroft.KindConflict {
		t.Fatalf("got %v, want a conflict", err)
	}
	want := []forgecroft.Related{{Type: "workspace", ID: ws.ID, Name: "w"}, {Type: "credential_config", ID: role.ID, Name: "role"}}
	if diff := cmp.Diff(want, known.Related); diff != "" {
		t.Errorf("who stands in the way (-want +got):\n%s", diff)
	}
}

func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	call := w.owner
	call.IdempotencyKey = "once"
	make := func(name string) (forgecroft.CredentialConfig, error) {
		return w.CreateCredentialConfig(t.Context(), call, forgecroft.CredentialConfig{Name: name, Type: "plain"})
	}
	first, err := make("a")
	if err != nil {
		t.Fatal(err)
	}
	again, err := make("a")
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("repeated: %v (-first +again):\n%s", err, diff)
	}
	if _, err := make("b"); codeOf(err) != "idempotency_key_reused" {
		t.Errorf("another request under the same key: %v", err)
	}
	v1, err := w.StoreSecrets(t.Context(), call, first.ID, data("A", "x"))
	if err != nil {
		t.Fatal(err)
	}
	v2, err := w.StoreSecrets(t.Context(), call, first.ID, data("A", "x"))
	if diff := cmp.Diff(v1, v2); err != nil || diff != "" {
		t.Errorf("storing repeated: %v (-first +again):\n%s", err, diff)
	}
	if _, err := w.StoreSecrets(t.Context(), call, first.ID, data("A", "y")); codeOf(err) != "idempotency_key_reused" {
		t.Errorf("other secrets under the same key: %v", err)
	}
	if _, err := w.CreateAPIKey(t.Context(), call, broker.KeyRequest{Name: "k", Role: "reader"}); err != nil {
		t.Fatal(err)
	}
	if k, err := w.CreateAPIKey(t.Context(), call, broker.KeyRequest{Name: "k", Role: "reader"}); codeOf(err) != "key_already_shown" {
		t.Errorf("an API key was shown twice: %v, %v", k.APIKey, err)
	}
	w.clock.Advance(25 * time.Hour)
	if _, err := make("c"); err != nil {
		t.Errorf("after a day the key is new: %v", err)
	}
}

// TestIdempotencyInFlight repeats a request while the first one is still being worked on.
func TestIdempotencyInFlight(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "")
	call := w.owner
	call.IdempotencyKey = "once"
	w.vault.set(func(v *faultyVault) {
		v.put = func(forgecroft.Reference) error {
			if _, err := w.StoreSecrets(t.Context(), call, c.ID, data("A", "x")); codeOf(err) != "idempotency_in_flight" {
				t.Errorf("a repetition in flight: %v", err)
			}
			return nil
		}
	})
	if _, err := w.StoreSecrets(t.Context(), call, c.ID, data("A", "x")); err != nil {
		t.Fatal(err)
	}
}

// TestIdempotencyInFlightElsewhere repeats a request at another replica while the first one is still being worked on: one version comes of it, and both learn of it (I7).
func TestIdempotencyInFlightElsewhere(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "")
	other := w.another(t)
	call := w.owner
	call.IdempotencyKey = "once"
	var there forgecroft.SecretVersion
	puts := 0
	w.vault.set(func(v *faultyVault) {
		v.put = func(forgecroft.Reference) (err error) {
			if puts++; puts == 1 {
				there, err = other.StoreSecrets(t.Context(), call, c.ID, data("A", "x"))
			}
			return err
		}
	})
	here, err := w.StoreSecrets(t.Context(), call, c.ID, data("A", "x"))
	if diff := cmp.Diff(there, here); err != nil || diff != "" || here.Version != 1 {
		t.Errorf("got %+v, %v (-there +here):\n%s", here, err, diff)
	}
	versions, err := w.ListSecretVersions(t.Context(), w.owner, c.ID)
	if err != nil || len(versions) != 1 {
		t.Errorf("%d versions, %v; want 1", len(versions), err)
	}
	if _, err := w.StoreSecrets(t.Context(), call, c.ID, data("A", "y")); codeOf(err) != "idempotency_key_reused" {
		t.Errorf("other secrets under the same key: %v", err)
	}
	w.sweep(t)
	w.mustBeClean(t)
	if n := w.references(t); n != 2 { // the config's, and that of the instance's keys
		t.Errorf("the vault holds %d references, want 2", n)
	}
}

// TestClientGone cancels the request in the vault's put: the version is stored all the same, or not at all (OVL-8).
func TestClientGone(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "")
	ctx, cancel := context.WithCancel(t.Context())
	w.vault.set(func(v *faultyVault) { v.put = func(forgecroft.Reference) error { cancel(); return nil } })
	if _, err := w.StoreSecrets(ctx, w.owner, c.ID, data("A", "x")); err != nil {
		t.Errorf("storing for a client that went away: %v", err)
	}
	w.sweep(t)
	w.mustBeClean(t)
}
