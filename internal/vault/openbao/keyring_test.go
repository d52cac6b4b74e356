package openbao_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// mustRotate makes a new primary key and moves everything to it. It returns the new key's id.
func mustRotate(t testing.TB, v *openbao.Vault) string {
	t.Helper()
	id, err := v.KeyRing().Rotate(t.Context())
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	mustRewrap(t, v)
	return id
}

func mustRewrap(t testing.TB, v *openbao.Vault) {
	t.Helper()
	for rounds := 0; ; rounds++ {
		left, err := v.KeyRing().Rewrap(t.Context(), 7)
		if err != nil {
			t.Fatalf("Rewrap: %v", err)
		}
		if left == 0 {
			return
		}
		if rounds == 1000 {
			t.Fatal("Rewrap does not come to an end")
		}
	}
}

// mustKeys lists the keys of a vault.
func mustKeys(t testing.TB, v *openbao.Vault) []forgecroft.RingKey {
	t.Helper()
	ring, err := v.KeyRing().Keys(t.Context())
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	return ring
}

// mustFill stores some values, and returns them by reference.
func mustFill(t testing.TB, v *openbao.Vault, n int) map[forgecroft.Reference]string {
	t.Helper()
	values := map[forgecroft.Reference]string{}
	for i := range n {
		text := fmt.Sprint("EXAMPLE ", i)
		values[vaulttest.MustPut(t, v, vaulttest.Binding(), text)] = text
	}
	return values
}

func wantValues(t testing.TB, v *openbao.Vault, values map[forgecroft.Reference]string) {
	t.Helper()
	for ref, text := range values {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), text)
	}
}

func TestRotation(t *testing.T) {
	for _, size := range []int64{0, 1} { // of the cache
		t.Run(fmt.Sprint("cache ", size), func(t *testing.T) {
			w := newWorld(t)
			w.options.CacheBytes = size
			v := mustOpen(t, w.options)
			values := mustFill(t, v, 40)
			old := mustKeys(t, v)[0].ID
			fresh, err := v.KeyRing().Rotate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := []forgecroft.RingKey{{ID: fresh, Primary: true}, {ID: old, Secrets: 40}}
			if diff := cmp.Diff(want, mustKeys(t, v)); diff != "" {
				t.Errorf("keys after the rotation (-want +got):\n%s", diff)
			}
			wantCode(t, "removing a key in use", v.KeyRing().RemoveKey(t.Context(), old), forgecroft.KindConflict, "key_in_use")
			wantCode(t, "removing the primary key", v.KeyRing().RemoveKey(t.Context(), fresh), forgecroft.KindConflict, "key_in_use")
			wantCode(t, "removing no key", v.KeyRing().RemoveKey(t.Context(), "0000000000000000"), forgecroft.KindNotFound, "not_found")
			left, err := v.KeyRing().Rewrap(t.Context(), 15)
			if err != nil || left != 25 {
				t.Errorf("Rewrap of 15 of 40: %d left, %v; want 25", left, err)
			}
			wantValues(t, v, values)
			mustRewrap(t, v)
			wantValues(t, v, values)
			for ref := range values {
				if diff := cmp.Diff([]int{2}, w.fake.Versions("", "secret", "forgecroft/secrets/"+string(ref))); diff != "" {
					t.Fatalf("versions with data (-want +got):\n%s", diff)
				}
			}
			if err := v.KeyRing().RemoveKey(t.Context(), old); err != nil {
				t.Fatalf("RemoveKey: %v", err)
			}
			if diff := cmp.Diff([]forgecroft.RingKey{{ID: fresh, Primary: true, Secrets: 40}}, mustKeys(t, v)); diff != "" {
				t.Errorf("keys in the end (-want +got):\n%s", diff)
			}
			mustClose(t, v)
			wantValues(t, mustOpen(t, w.options), values)
		})
	}
}

func wantCode(t testing.TB, what string, err error, kind forgecroft.Kind, code string) {
	t.Helper()
	if !errors.Is(err, kind) || codeOf(err) != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

// TestRewrapGoesOn cuts a move off at each call, and lets another process go on.
func TestRewrapGoesOn(t *testing.T) {
	w := newWorld(t)
	w.options.Timeout = 250 * time.Millisecond
	v := mustOpen(t, w.options)
	values := mustFill(t, v, 12)
	if _, err := v.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.fake.LoseReplies(5)
		_, _ = v.KeyRing().Rewrap(t.Context(), 3) // Whether that is enough to fail is not the point.
		w.fake.LoseReplies(0)
		mustClose(t, v)
		v = mustOpen(t, w.options)
		wantValues(t, v, values)
	}
	mustRewrap(t, v)
	wantValues(t, v, values)
	if got := mustKeys(t, v)[1].Secrets; got != 0 {
		t.Errorf("the old key still seals %d", got)
	}
	for ref := range values {
		if kept := w.fake.Versions("", "secret", "forgecroft/secrets/"+string(ref)); len(kept) != 1 {
			t.Errorf("the versions %v still have data, want one", kept)
		}
	}
}

// TestRewrapAmongOthers moves while values are stored, read and destroyed.
func TestRewrapAmongOthers(t *testing.T) {
	w := newWorld(t)
	v := mustOpen(t, w.options)
	kept, doomed := mustFill(t, v, 60), mustFill(t, v, 60)
	if _, err := v.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for ref := range doomed {
			if err := v.Destroy(t.Context(), ref); err != nil {
				t.Errorf("Destroy: %v", err)
			}
		}
	})
	group.Go(func() { wantValues(t, v, kept) })
	group.Go(func() { mustFill(t, v, 20) })
	for {
		left, err := v.KeyRing().Rewrap(t.Context(), 5)
		if err != nil {
			t.Errorf("Rewrap: %v", err)
			break
		}
		if left == 0 {
			break
		}
	}
	group.Wait()
	wantValues(t, v, kept)
	for ref := range doomed {
		if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); !errors.Is(err, forgecroft.KindNotFound) {
			t.Errorf("what was destroyed during the move: got %v, want not found", err)
		}
	}
	keys := mustKeys(t, v)
	if keys[0].Secrets != 80 || keys[1].Secrets != 0 {
		t.Errorf("got %+v, want 80 secrets under the primary key alone", keys)
	}
}

// TestRewrapLeavesTheDamaged moves everything but what fails authentication.
func TestRewrapLeavesTheDamaged(t *testing.T) {
	w := newWorld(t)
	v := mustOpen(t, w.options)
	values := mustFill(t, v, 10)
	damaged := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	path := "forgecroft/secrets/" + string(damaged)
	text, _ := w.fake.Stored("", "secret", path)
	w.fake.Tamper("", "secret", path, []byte(strings.Replace(string(text), "cc_EXAMPLE", "cc_EXAMPLF", 1)))
	if _, err := v.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := v.KeyRing().Rewrap(t.Context(), 100)
	if left != 1 || !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("got %d left, %v; want 1 and an integrity failure", left, err)
	}
	wantValues(t, v, values)
	if keys := mustKeys(t, v); keys[0].Secrets != 10 || keys[1].Secrets != 1 {
		t.Errorf("got %+v, want 10 and 1", keys)
	}
}

func TestRotationOfAReadOnlySource(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	v := mustOpen(t, w.options)
	values := mustFill(t, v, 3)
	source.readOnly = true
	_, err := v.KeyRing().Rotate(t.Context())
	wantCode(t, "Rotate", err, forgecroft.KindUnprocessable, "key_source_read_only")
	if keys := mustKeys(t, v); len(keys) != 1 {
		t.Errorf("the ring has %d keys, want 1", len(keys))
	}

	// The operator puts a key in front, starts again, and takes the old one out when it seals nothing.
	ring, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	both, err := ring.WithNewPrimary()
	if err != nil {
		t.Fatal(err)
	}
	source.text = both.Format()
	mustClose(t, v)
	v = mustOpen(t, w.options)
	if left, err := v.KeyRing().Rewrap(t.Context(), 2); left != 1 || err != nil {
		t.Errorf("Rewrap: %d left, %v", left, err)
	}
	one, err := both.Without(ring.Primary())
	if err != nil {
		t.Fatal(err)
	}
	source.text = one.Format()
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "seals 1 secret versions") {
		t.Errorf("without a key that is needed: got %v", err)
	}
	mustRewrap(t, v)
	mustClose(t, v)
	wantValues(t, mustOpen(t, w.options), values)
}

// TestReplicas lets one replica rotate the key, and another one, which has the same key file, find out.
func TestReplicas(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	first, second := mustOpen(t, w.options), mustOpen(t, w.options)
	before := mustFill(t, first, 5)
	wantValues(t, second, before)
	fresh := mustRotate(t, first)
	after := mustFill(t, first, 5)
	wantValues(t, second, after) // It looks into the key file when it meets the key.
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if got := mustKeys(t, second)[0].ID; got != fresh {
		t.Errorf("the second replica seals with %s, want %s", got, fresh)
	}
	old := mustKeys(t, first)[1].ID
	if err := first.KeyRing().RemoveKey(t.Context(), old); err != nil {
		t.Fatalf("RemoveKey: %v", err)
	}
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check after the old key was removed: %v", err)
	}
	wantValues(t, second, before)
	for ref := range before {
		if err := first.Destroy(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if err := second.Destroy(t.Context(), ref); err != nil {
			t.Errorf("Destroy of what another replica destroyed: %v", err)
		}
	}
}

func TestKeySourceThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	v := mustOpen(t, w.options)
	mustFill(t, v, 1)
	right := source.text
	source.text = newRing(t)
	if err := v.Check(t.Context()); codeOf(err) != "vault_key_mismatch" {
		t.Errorf("Check: got %v, want vault_key_mismatch", err)
	}
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "wrong key") {
		t.Errorf("Open: got %v, want that the key is wrong", err)
	}
	source.text = nil
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "is sealed with the keys") {
		t.Errorf("Open without keys: got %v", err)
	}
	source.text = right
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check with the right keys again: %v", err)
	}
}

func TestKeyRingOfASealedServer(t *testing.T) {
	w := newWorld(t)
	v := mustOpen(t, w.options)
	mustFill(t, v, 3)
	old := mustKeys(t, v)[0].ID
	if _, err := v.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.fake.SetState(bao.Sealed)
	_, err := v.KeyRing().Keys(t.Context())
	wantCode(t, "Keys", err, forgecroft.KindUnavailable, "vault_sealed")
	_, err = v.KeyRing().Rotate(t.Context())
	wantCode(t, "Rotate", err, forgecroft.KindUnavailable, "vault_sealed")
	_, err = v.KeyRing().Rewrap(t.Context(), 10)
	wantCode(t, "Rewrap", err, forgecroft.KindUnavailable, "vault_sealed")
	wantCode(t, "RemoveKey", v.KeyRing().RemoveKey(t.Context(), old), forgecroft.KindUnavailable, "vault_sealed")
	w.fake.SetState(bao.Active)
	if err := v.Check(t.Context()); err != nil {
		t.Fatalf("Check: %v", err)
	}
	if keys := mustKeys(t, v); len(keys) != 2 {
		t.Errorf("the ring has %d keys, want 2: the rotation that was refused made none", len(keys))
	}
	mustRewrap(t, v)
	mustClose(t, v)
	mustOpen(t, w.options)
}
