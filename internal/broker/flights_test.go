package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
)

// TestDeadlineOutlastsProviders holds the limit of a verification against those of what it does: a provider that hangs must end by its own limit, a
// source's before that of what builds on it, so that there is an answer to give.
func TestDeadlineOutlastsProviders(t *testing.T) {
	if inner := 2 * provider.Budget; verifyDeadline <= inner {
		t.Errorf("a verification ends after %v, before its source and its own provider have (%v)", verifyDeadline, inner)
	}
}

// TestOneFlight lets many callers want the same verification at once: the provider is asked once, also when the first caller goes away (CON-6).
// It stands inside the package because only there the moment is known at which all wait.
func TestOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		calls := 0
		slow := func(ctx context.Context) (forgecroft.Verification, error) {
			calls++
			time.Sleep(time.Second) // Of the bubble's clock.
			return forgecroft.Verification{Valid: true, Identity: "someone"}, ctx.Err()
		}
		first, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := f.do(first, "key", slow); !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that went away got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			group.Go(func() {
				if v, err := f.do(t.Context(), "key", slow); err != nil || v.Identity != "someone" {
					t.Errorf("got %+v, %v", v, err)
				}
			})
		}
		synctest.Wait()
		leave()
		group.Wait()
		if calls != 1 {
			t.Errorf("the provider was asked %d times, want once", calls)
		}
		if _, err := f.do(t.Context(), "key", slow); err != nil || calls != 2 {
			t.Errorf("a later caller: %v after %d calls, want a call of its own", err, calls)
		}
	})
}

// TestFlightEnds bounds a verification whose provider never answers.
func TestFlightEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		began := time.Now()
		_, err := f.do(t.Context(), "key", func(ctx context.Context) (forgecroft.Verification, error) {
			<-ctx.Done()
			return forgecroft.Verification{}, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != verifyDeadline {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}
