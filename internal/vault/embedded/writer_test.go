//go:build unix

package embedded_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// waitFor lets other goroutines run until so many changes wait.
func waitFor(waiting func() int, n int) {
	for waiting() < n {
		runtime.Gosched()
	}
}

// TestCallerLeaves ends a caller's context while its change waits, and while the writer is at it.
func TestCallerLeaves(t *testing.T) {
	v := mustOpen(t, newHome(t).options())
	ref := vaulttest.NewReference()
	release := v.Hold(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- v.Put(ctx, ref, vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE")) }()
	waitFor(v.Waiting, 1)
	cancel()
	err := <-result
	release()
	if !errors.Is(err, forgecroft.KindUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want unavailable because of the context", err)
	}
	vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE, which waits for what was before it")
	if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("the change of a caller who left was made: %v", err)
	}
}

// TestCloseFinishesWhatWaits closes a vault while changes wait: each is acknowledged and durable.
func TestCloseFinishesWhatWaits(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	release := v.Hold(t.Context())
	results := make(chan error)
	const puts = 64
	var refs []forgecroft.Reference
	for range puts {
		ref := vaulttest.NewReference()
		refs = append(refs, ref)
		go func() { results <- v.Put(t.Context(), ref, vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE")) }()
	}
	waitFor(v.Waiting, puts)
	closing := make(chan error)
	go func() { closing <- v.Close() }()
	release()
	for range puts {
		if err := <-results; err != nil {
			t.Errorf("Put: %v", err)
		}
	}
	if err := <-closing; err != nil {
		t.Errorf("Close: %v", err)
	}
	mustClose(t, v)
	v = mustOpen(t, h.options())
	for _, ref := range refs {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	}
}

// TestSealedBeforeRotation stores what was sealed under the key of before, in the commit of the rotation and after it: only the former keeps
// that key.
func TestSealedBeforeRotation(t *testing.T) {
	v := mustOpen(t, newHome(t).options())
	release := v.Hold(t.Context())
	results := make(chan error)
	go func() {
		_, err := v.Rotate(t.Context())
		results <- err
	}()
	waitFor(v.Waiting, 1)
	const puts = 300 // more than share a commit
	var refs []forgecroft.Reference
	for range puts {
		ref := vaulttest.NewReference()
		refs = append(refs, ref)
		go func() { results <- v.Put(t.Context(), ref, vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE")) }()
	}
	waitFor(v.Waiting, 1+puts)
	release()
	for range 1 + puts {
		if err := <-results; err != nil {
			t.Errorf("Rotate or Put: %v", err)
		}
	}
	keys, err := v.Keys(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Secrets == 0 || keys[1].Secrets == 0 {
		t.Fatalf("got keys %+v, %v, want both to seal something", keys, err)
	}
	mustRewrap(t, v, 100)
	if err := v.RemoveKey(t.Context(), keys[1].ID); err != nil {
		t.Errorf("RemoveKey: %v", err)
	}
	for _, ref := range refs {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	}
}

// TestDestroyedWhileFetched destroys what is being read from the file into the cache: nothing of it stays there.
func TestDestroyedWhileFetched(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	var refs []forgecroft.Reference
	for range 500 {
		refs = append(refs, vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE"))
	}
	mustClose(t, v)
	v = mustOpen(t, h.options())
	for _, ref := range refs {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); err != nil && !errors.Is(err, forgecroft.KindNotFound) {
					t.Errorf("Get: %v", err)
				}
			})
		}
		if err := v.Destroy(t.Context(), ref); err != nil {
			t.Errorf("Destroy: %v", err)
		}
		wg.Wait()
		if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); !errors.Is(err, forgecroft.KindNotFound) {
			t.Fatalf("Get after Destroy: got %v, want not found", err)
		}
	}
}

func TestMalformedReference(t *testing.T) {
	v := mustOpen(t, newHome(t).options())
	for _, ref := range []forgecroft.Reference{"", "short", "../../../../../../../etc/passwd00", forgecroft.Reference(make([]byte, 32)), vaulttest.NewReference() + "0"} {
		if err := v.Put(t.Context(), ref, vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE")); err == nil {
			t.Errorf("Put under %q went through", ref)
		}
		if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); err == nil || errors.Is(err, forgecroft.KindNotFound) {
			t.Errorf("Get of %q: got %v, want a failure of the program", ref, err)
		}
	}
}
