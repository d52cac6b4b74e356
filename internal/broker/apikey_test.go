package broker_test

import (
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TestKeysEndWithTheirMaker makes keys with a key that ends, and with those that it made.
func TestKeysEndWithTheirMaker(t *testing.T) {
	w := newWorld(t)
	end := w.clock.Now().Add(24 * time.Hour)
	make := func(call broker.Call, name string, expires time.Time) (broker.Call, forgecroft.APIKey, error) {
		made, err := w.CreateAPIKey(t.Context(), call, broker.KeyRequest{Name: name, Role: forgecroft.RoleAdmin, ExpiresAt: expires})
		call.Principal = made.Principal()
		return call, made.APIKey, err
	}
	first, key, err := make(w.owner, "first", end)
	if err != nil || !key.ExpiresAt.Equal(end) {
		t.Fatalf("of a key that never ends: %v, %v", key.ExpiresAt, err)
	}
	second, key, err := make(first, "without an end", time.Time{})
	if err != nil || !key.ExpiresAt.Equal(end) {
		t.Errorf("without an end: ends at %v, %v, want %v", key.ExpiresAt, err, end)
	}
	if _, key, err = make(second, "of that one", time.Time{}); err != nil || !key.ExpiresAt.Equal(end) {
		t.Errorf("made by a key that was capped: ends at %v, %v, want %v", key.ExpiresAt, err, end)
	}
	if _, key, err = make(first, "earlier", end.Add(-time.Hour)); err != nil || !key.ExpiresAt.Equal(end.Add(-time.Hour)) {
		t.Errorf("an earlier end: %v, %v", key.ExpiresAt, err)
	}
	if _, _, err = make(first, "later", end.Add(time.Second)); codeOf(err) != "invalid_input" {
		t.Errorf("a later end: %v, want a refusal", err)
	}
	if _, key, err = make(w.owner, "for ever", time.Time{}); err != nil || !key.ExpiresAt.IsZero() {
		t.Errorf("of a key that never ends: %v, %v", key.ExpiresAt, err)
	}
}
