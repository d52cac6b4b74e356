//go:build unix

package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

func mustRotate(t testing.TB, v *embedded.Vault) string {
	t.Helper()
	id, err := v.Rotate(t.Context())
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	return id
}

// mustRewrap moves everything to the primary key in small steps.
func mustRewrap(t testing.TB, v *embedded.Vault, limit int) {
	t.Helper()
	for before := int64(-1); ; {
		left, err := v.Rewrap(t.Context(), limit)
		if err != nil {
			t.Fatalf("Rewrap: %v", err)
		}
		if left == 0 {
			return
		}
		if before >= 0 && left > before {
			t.Fatalf("%d are left, after %d", left, before)
		}
		before = left
	}
}

// wantKeys compares the ring with ids and counts, the primary first.
func wantKeys(t testing.TB, v *embedded.Vault, want ...forgecroft.RingKey) {
	t.Helper()
	got, err := v.Keys(t.Context())
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Keys (-want +got):\n%s", diff)
	}
}

func TestRotation(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	keys, err := v.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := keys[0].ID
	refs := map[forgecroft.Reference]string{} // reference → value
	put := func(n int) {
		for i := range n {
			value := fmt.Sprint("EXAMPLE ", len(refs), i)
			refs[vaulttest.MustPut(t, v, vaulttest.Binding(), value)] = value
		}
	}
	put(5)
	second := mustRotate(t, v)
	put(3)
	wantKeys(t, v, forgecroft.RingKey{ID: second, Primary: true, Secrets: 3}, forgecroft.RingKey{ID: first, Secrets: 5})

	err = v.RemoveKey(t.Context(), first)
	wantCode(t, err, forgecroft.KindConflict, "key_in_use")
	if !strings.Contains(err.Error(), "5 secret versions") {
		t.Errorf("got %q, want it to say how many (KEY-7)", err)
	}
	wantCode(t, v.RemoveKey(t.Context(), second), forgecroft.KindConflict, "key_in_use")
	if err := v.RemoveKey(t.Context(), "0123456789abcdef"); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("removing an unknown key: got %v", err)
	}

	if left, err := v.Rewrap(t.Context(), 2); left != 3 || err != nil {
		t.Errorf("the first step left %d, %v, want 3", left, err)
	}
	if left, err := v.Rewrap(t.Context(), 0); left != 3 || err != nil {
		t.Errorf("a step of nothing left %d, %v, want 3", left, err)
	}
	mustRewrap(t, v, 2)
	wantKeys(t, v, forgecroft.RingKey{ID: second, Primary: true, Secrets: 8}, forgecroft.RingKey{ID: first})
	if err := v.RemoveKey(t.Context(), first); err != nil {
		t.Fatalf("RemoveKey: %v", err)
	}
	wantKeys(t, v, forgecroft.RingKey{ID: second, Primary: true, Secrets: 8})
	for range 2 {
		for ref, want := range refs {
			vaulttest.WantValue(t, v, ref, vaulttest.Binding(), want)
		}
		if err := v.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		if err := v.Integrity(t.Context()); err != nil {
			t.Errorf("Integrity: %v", err)
		}
		mustClose(t, v)
		v = mustOpen(t, h.options())
	}
}

// TestRotationUnderLoad is KEY-3 and KEY-4: five rotations while secrets are stored, read and destroyed.
func TestRotationUnderLoad(t *testing.T) {
	o := newHome(t).options()
	o.CacheBytes = 20_000 // so that reads come from memory and from the file
	v := mustOpen(t, o)
	var over atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	kept := map[forgecroft.Reference]string{} // reference → value
	for range 200 {
		kept[vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE before")] = "EXAMPLE before"
	}
	for i := range 8 {
		wg.Go(func() {
			for n := 0; !over.Load(); n++ {
				value := fmt.Sprint("EXAMPLE ", i, n)
				ref := vaulttest.MustPut(t, v, vaulttest.Binding(), value)
				vaulttest.WantValue(t, v, ref, vaulttest.Binding(), value)
				if n%3 == 0 {
					if err := v.Destroy(t.Context(), ref); err != nil {
						t.Errorf("Destroy: %v", err)
					}
					continue
				}
				mu.Lock()
				kept[ref] = value
				mu.Unlock()
			}
		})
		wg.Go(func() {
			for !over.Load() {
				mu.Lock()
				sample := map[forgecroft.Reference]string{} // reference → value
				for ref, value := range kept {
					if sample[ref] = value; len(sample) == 50 {
						break
					}
				}
				mu.Unlock()
				for ref, value := range sample {
					vaulttest.WantValue(t, v, ref, vaulttest.Binding(), value)
				}
			}
		})
	}
	for range 5 {
		keys, err := v.Keys(t.Context())
		if err != nil {
			t.Error(err)
		}
		mustRotate(t, v)
		mustRewrap(t, v, 20)
		if err := v.RemoveKey(t.Context(), keys[0].ID); err != nil {
			t.Errorf("RemoveKey: %v", err)
		}
		if err := v.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	}
	over.Store(true)
	wg.Wait()
	for ref, value := range kept {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), value)
	}
	keys, err := v.Keys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Secrets != int64(len(kept)) {
		t.Errorf("after all: keys %v, %v, want one that seals %d", keys, err, len(kept))
	}
}

// TestRotationCutOff opens the vault after each point at which a crash can cut a rotation off (KEY-5).
func TestRotationCutOff(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	before := h.snapshot(t)
	mustRotate(t, v)
	after := h.snapshot(t)
	oldKeys, newKeys := mustRead(t, before.key()), mustRead(t, after.key())

	for _, test := range []struct {
		name     string
		database home
		keys     []byte
		unfinish []byte // what lies in the new key file that was not renamed yet
		keyCount int
	}{
		{"new key file begun", before, oldKeys, newKeys[:len(newKeys)/2], 1},
		{"new key file written", before, oldKeys, newKeys, 1},
		{"key file replaced", before, newKeys, nil, 2},
		{"key noted", after, newKeys, nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			crashed := test.database.snapshot(t)
			mustWrite(t, crashed.key(), test.keys, 0o600)
			if test.unfinish != nil {
				mustWrite(t, crashed.key()+".new", test.unfinish, 0o600)
			}
			for range 2 {
				v := mustOpen(t, crashed.options())
				vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
				if keys, err := v.Keys(t.Context()); err != nil || len(keys) != test.keyCount {
					t.Errorf("the ring has %v, %v, want %d keys", keys, err, test.keyCount)
				}
				if err := v.Check(t.Context()); err != nil {
					t.Errorf("Check: %v", err)
				}
				mustClose(t, v)
			}
			v := mustOpen(t, crashed.options())
			mustRotate(t, v)
			mustRewrap(t, v, 10)
			vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
		})
	}
}

// TestRemovalCutOff opens the vault after the file has forgotten a key that the source still has.
func TestRemovalCutOff(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	keys, err := v.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old, primary := keys[0].ID, mustRotate(t, v)
	mustRewrap(t, v, 10)
	ring := mustRead(t, h.key())
	if err := v.RemoveKey(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	crashed := h.snapshot(t)
	mustWrite(t, crashed.key(), ring, 0o600)
	v = mustOpen(t, crashed.options())
	wantKeys(t, v, forgecroft.RingKey{ID: primary, Primary: true, Secrets: 1}, forgecroft.RingKey{ID: old})
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	if err := v.RemoveKey(t.Context(), old); err != nil {
		t.Errorf("removing it again: %v", err)
	}
}

// TestKeyFileThatCannotBeWritten leaves the ring as it was.
func TestKeyFileThatCannotBeWritten(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	keys, err := v.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old, primary := keys[0].ID, mustRotate(t, v)
	obstacle := filepath.Join(h.key()+".new", "in the way")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Rotate(t.Context()); err == nil {
		t.Error("a rotation went through that could not write the key")
	}
	if err := v.RemoveKey(t.Context(), old); err == nil {
		t.Error("a removal went through that could not write the key")
	}
	want := []forgecroft.RingKey{{ID: primary, Primary: true}, {ID: old}}
	wantKeys(t, v, want...)
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := os.RemoveAll(h.key() + ".new"); err != nil {
		t.Fatal(err)
	}
	if err := v.RemoveKey(t.Context(), old); err != nil {
		t.Errorf("removing it when the way is free: %v", err)
	}
}

// TestSourceChangedByHand rotates a source that the server cannot write: the operator does, and starts the server anew.
func TestSourceChangedByHand(t *testing.T) {
	h := newHome(t)
	oldText, oldID := newRingText(t)
	newText, newID := newRingText(t)
	open := func(text string) *embedded.Vault {
		return mustOpen(t, embedded.Options{Path: h.vault(), Keys: embedded.TextKeys(text)})
	}
	v := open(oldText)
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	mustClose(t, v)

	v = open(newText + oldText)
	wantKeys(t, v, forgecroft.RingKey{ID: newID, Primary: true}, forgecroft.RingKey{ID: oldID, Secrets: 1})
	wantCode(t, v.RemoveKey(t.Context(), oldID), forgecroft.KindUnprocessable, "key_source_read_only")
	mustClose(t, v)
	mustRefuse(t, h, embedded.Options{Path: h.vault(), Keys: embedded.TextKeys(newText)}, "wrong key", oldID)

	v = open(newText + oldText)
	mustRewrap(t, v, 10)
	mustClose(t, v)

	v = open(newText)
	wantKeys(t, v, forgecroft.RingKey{ID: newID, Primary: true, Secrets: 1})
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	mustClose(t, v)
	mustRefuse(t, h, embedded.Options{Path: h.vault(), Keys: embedded.TextKeys(oldText)}, "wrong key", oldID, newID)
}

// TestCheckSeesAnotherKey is KEY-6.
func TestCheckSeesAnotherKey(t *testing.T) {
	wrong, _ := newRingText(t)
	for _, test := range []struct {
		name   string
		change func(t *testing.T, path string)
	}{
		{"exchanged", func(t *testing.T, path string) { mustWrite(t, path, []byte(wrong), 0o600) }},
		{"emptied", func(t *testing.T, path string) { mustWrite(t, path, nil, 0o600) }},
		{"readable by others", func(t *testing.T, path string) { mustWrite(t, path, mustRead(t, path), 0o644) }},
		{"removed", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			v := mustOpen(t, h.options())
			ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
			right := mustRead(t, h.key())
			test.change(t, h.key())
			wantCode(t, v.Check(t.Context()), forgecroft.KindUnavailable, "vault_key_mismatch")
			vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
			mustWrite(t, h.key(), right, 0o600)
			if err := v.Check(t.Context()); err != nil {
				t.Errorf("with the right file again: %v", err)
			}
		})
	}
}

func TestFullRing(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	for {
		_, err := v.Rotate(t.Context())
		if err != nil {
			wantCode(t, err, forgecroft.KindUnprocessable, "key_ring_full")
			break
		}
	}
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	keys, err := v.Keys(t.Context())
	if err != nil || len(keys) < 10 {
		t.Fatalf("the ring holds %d keys, %v", len(keys), err)
	}
	if err := v.RemoveKey(t.Context(), keys[3].ID); err != nil {
		t.Fatal(err)
	}
	mustRotate(t, v)
}
