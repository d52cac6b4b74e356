package broker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// tamperedStore is a store whose audit trail somebody has changed.
type tamperedStore struct {
	forgecroft.Store
	event      func(e *forgecroft.AuditEvent) (gone bool)
	checkpoint func(c *forgecroft.AuditCheckpoint)
}

func (s tamperedStore) AuditEvents(ctx context.Context, organizationID string, f forgecroft.AuditFilter, p forgecroft.Page) ([]forgecroft.AuditEvent, error) {
	all, err := s.Store.AuditEvents(ctx, organizationID, f, p)
	var left []forgecroft.AuditEvent
	for _, e := range all {
		if s.event == nil || !s.event(&e) {
			left = append(left, e)
		}
	}
	return left, err
}

func (s tamperedStore) AuditCheckpoints(ctx context.Context, organizationID string, limit int) ([]forgecroft.AuditCheckpoint, error) {
	all, err := s.Store.AuditCheckpoints(ctx, organizationID, limit)
	if s.checkpoint != nil {
		for i := range all {
			s.checkpoint(&all[i])
		}
	}
	return all, err
}

// TestCheckAudit checks the trail after each way of changing it.
func TestCheckAudit(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		w.mustProject(t, name)
	}
	if _, err := w.CreateAuditCheckpoint(t.Context(), w.owner); err != nil {
		t.Fatal(err)
	}
	last := w.trail(t)[0].Sequence // the checkpoint's own entry, which it does not sign
	gone := func(from, to int64) func(*forgecroft.AuditEvent) bool {
		return func(e *forgecroft.AuditEvent) bool { return e.Sequence >= from && e.Sequence <= to }
	}
	tests := []struct {
		name     string
		store    tamperedStore
		broken   string
		verified int64
	}{
		{"untouched", tamperedStore{}, "", last},
		{"an event is gone", tamperedStore{event: gone(3, 3)}, "broken at event 3: events are missing", 2},
		{"the beginning is gone", tamperedStore{event: gone(1, 2)}, "broken at event 1: events are missing", 0},
		{"the end is gone", tamperedStore{event: gone(last-2, last)}, "the trail ends here, but a checkpoint has seen", last - 3},
		{"all of it is gone", tamperedStore{event: gone(1, last)}, "broken at event 1: the trail ends here", 0},
		{"an event was edited", tamperedStore{event: func(e *forgecroft.AuditEvent) bool {
			if e.Sequence == 2 {
				e.ActorName = "somebody else"
			}
			return false
		}}, "broken at event 2: its content", 1},
		{"a checkpoint was forged", tamperedStore{checkpoint: func(c *forgecroft.AuditCheckpoint) { c.Hash[0]++ }}, "the signature of the checkpoint", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := w.config
			tt.store.Store = config.Store
			config.Store = tt.store
			b, err := broker.Open(t.Context(), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			check, err := b.CheckAudit(t.Context(), w.owner, time.Time{})
			if err != nil || !strings.Contains(check.Broken, tt.broken) || (tt.broken == "") != (check.Broken == "") || check.Verified != tt.verified {
				t.Errorf("got %+v, %v; want %q after %d events", check, err, tt.broken, tt.verified)
			}
			if tt.broken == "" && (!check.Complete || check.Signed != last-1) {
				t.Errorf("got %+v, want it complete and signed up to %d", check, last-1)
			}
		})
	}
}

// TestCheckAuditInTime lets the deadline pass: what was read is told, and that it was not all.
func TestCheckAuditInTime(t *testing.T) {
	w := newWorld(t)
	for range broker.MaxPage {
		if _, err := w.CreateAuditCheckpoint(t.Context(), w.owner); err != nil {
			t.Fatal(err)
		}
	}
	check, err := w.CheckAudit(t.Context(), w.owner, w.clock.Now().Add(-time.Second))
	if err != nil || check.Complete || check.Verified != broker.MaxPage || check.Broken != "" {
		t.Errorf("got %+v, %v", check, err)
	}
	if check, err = w.CheckAudit(t.Context(), w.owner, w.clock.Now()); err != nil || !check.Complete || check.Verified <= broker.MaxPage {
		t.Errorf("in time: got %+v, %v", check, err)
	}
}
