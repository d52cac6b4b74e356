package broker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TestVerifyWithoutAnAnswer checks that a provider that does not answer in time is a result, wherever in a verification it is asked, and that it leaves the
// last conclusive result alone.
func TestVerifyWithoutAnAnswer(t *testing.T) {
	w := newWorld(t)
	plain := w.mustConfig(t, "plain", "plain", "", "A", "1")
	source := w.mustConfig(t, "source", "lease", "", "B", "1")
	built := w.mustConfig(t, "built", "lease", "", "C", "1", "source", source.ID)
	for _, id := range []string{plain.ID, built.ID} {
		if v, err := w.Verify(t.Context(), w.owner, id); err != nil || !v.Valid {
			t.Fatalf("before: %+v, %v", v, err)
		}
	}
	late := fmt.Errorf("asking: %w", context.DeadlineExceeded)
	w.types.set(func(s *types) {
		s.verify = func(forgecroft.Resolution) (forgecroft.Verification, error) { return forgecroft.Verification{}, late }
		s.deliver = func(forgecroft.Resolution) (forgecroft.Contribution, error) { return forgecroft.Contribution{}, late }
	})
	for _, id := range []string{plain.ID, built.ID} {
		v, err := w.Verify(t.Context(), w.owner, id)
		if err != nil || v.Valid || v.Conclusive || v.Error != "provider_unreachable" || v.Detail == "" || v.SecretVersion != 1 || v.CheckedAt.IsZero() {
			t.Errorf("got %+v, %v", v, err)
		}
		if c, err := w.GetCredentialConfig(t.Context(), w.owner, id); err != nil || c.Verification == nil || !c.Verification.Valid {
			t.Errorf("the last conclusive result is %+v, %v", c.Verification, err)
		}
	}
}

// TestFreshUntil tells types until when what they ask about is new: by the type's own rule, and by the source's.
func TestFreshUntil(t *testing.T) {
	w := newWorld(t)
	source := w.mustConfig(t, "source", "plain", "", "A", "1")
	built := w.mustConfig(t, "built", "lease", "", "B", "1", "source", source.ID)
	var got time.Time
	w.types.set(func(s *types) {
		s.deliver = func(r forgecroft.Resolution) (forgecroft.Contribution, error) {
			got = r.FreshUntil
			return forgecroft.Contribution{Variables: []forgecroft.Variable{{Name: "B"}}}, nil
		}
	})
	stored, runs := w.clock.Now(), 0
	deliver := func() {
		t.Helper()
		runs++
		p := w.mustProject(t, fmt.Sprint("p", runs))
		ws := w.mustWorkspace(t, "of "+p.Name, p.ID, built.ID)
		if _, err := w.Deliver(t.Context(), w.owner, ws.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	deliver()
	if want := stored.Add(leaseSettles); !got.Equal(want) {
		t.Errorf("a config is new until %v, want %v", got, want)
	}
	if v, err := w.Verify(t.Context(), w.owner, built.ID); err != nil || !v.Valid {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := w.Verify(t.Context(), w.owner, source.ID); err != nil {
		t.Fatal(err)
	}
	if deliver(); !got.IsZero() {
		t.Errorf("a config that its provider has called valid is new until %v", got)
	}
	w.clock.Advance(time.Hour)
	if _, err := w.StoreSecrets(t.Context(), w.owner, source.ID, data("A", "2")); err != nil {
		t.Fatal(err)
	}
	deliver()
	if want := w.clock.Now().Add(plainSettles); !got.Equal(want) {
		t.Errorf("a config with a new source is new until %v, want %v", got, want)
	}
}
