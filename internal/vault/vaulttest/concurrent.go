package vaulttest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// callers is how many goroutines the concurrent tests use.
const callers = 64

// together runs a function in many goroutines and waits for them.
func together(run func(i int)) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { run(i) })
	}
	wg.Wait()
}

func testManyAtOnce(t *testing.T, f Fixture) {
	var mu sync.Mutex
	var left []forgecroft.Reference
	together(func(i int) {
		b := forgecroft.Binding{OrganizationID: fmt.Sprint("org", i), CredentialConfigID: "cc", Version: int64(i)}
		for n := range 6 {
			ref, value := NewReference(), fmt.Sprint("EXAMPLE ", i, n)
			if err := f.Vault.Put(t.Context(), ref, b, forgecroft.NewSecret(value)); err != nil {
				t.Errorf("Put: %v", err)
				return
			}
			WantValue(t, f.Vault, ref, b, value)
			if n%2 == 0 {
				mu.Lock()
				left = append(left, ref)
				mu.Unlock()
				continue
			}
			if err := f.Vault.Destroy(t.Context(), ref); err != nil {
				t.Errorf("Destroy: %v", err)
			}
			if _, err := f.Vault.Get(t.Context(), ref, b); !errors.Is(err, forgecroft.KindNotFound) {
				t.Errorf("Get after Destroy: got %v, want not found", err)
			}
		}
	})
	wantReferences(t, f.Vault, left)
}

// testOneReference lets many store under one reference: one wins, and its value stays.
func testOneReference(t *testing.T, f Fixture) {
	ref := NewReference()
	var winners atomic.Int64
	var winner atomic.Value
	together(func(i int) {
		value := fmt.Sprint("EXAMPLE ", i)
		switch err := f.Vault.Put(t.Context(), ref, Binding(), forgecroft.NewSecret(value)); {
		case err == nil:
			winners.Add(1)
			winner.Store(value)
		case !errors.Is(err, forgecroft.KindConflict):
			t.Errorf("got %v, want a conflict", err)
		}
	})
	if winners.Load() != 1 {
		t.Fatalf("%d callers stored under one reference, want 1", winners.Load())
	}
	WantValue(t, f.Vault, ref, Binding(), winner.Load().(string))
}

// testDestroyedWhileRead reads a value all the time while it is destroyed: what is gone stays gone, for everybody who knows.
func testDestroyedWhileRead(t *testing.T, f Fixture) {
	for range 20 {
		ref := MustPut(t, f.Vault, Binding(), "EXAMPLE")
		var destroyed atomic.Bool
		together(func(i int) {
			if i == callers/2 {
				if err := f.Vault.Destroy(t.Context(), ref); err != nil {
					t.Errorf("Destroy: %v", err)
				}
				destroyed.Store(true)
				return
			}
			gone := destroyed.Load()
			got, err := f.Vault.Get(t.Context(), ref, Binding())
			switch {
			case err == nil && gone:
				t.Error("a destroyed value was read")
			case err == nil && !isValue(got, "EXAMPLE"):
				t.Error("another value was read")
			case err != nil && !errors.Is(err, forgecroft.KindNotFound):
				t.Errorf("Get: %v", err)
			}
		})
	}
}
