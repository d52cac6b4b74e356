package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/audit"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const org = "0192f3a0-0000-7000-8000-000000000001"

// trail makes a chain of n events.
func trail(n int) ([]forgecroft.AuditEvent, forgecroft.AuditHead) {
	head := forgecroft.AuditHead{OrganizationID: org}
	events := make([]forgecroft.AuditEvent, n)
	for i := range events {
		e := forgecroft.AuditEvent{
			ID: fmt.Sprintf("0192f3a0-0000-7000-8000-%012d", i), OrganizationID: org,
			Time: time.Date(2026, 11, 23, 12, 0, i, 123456000, time.UTC), ActorName: "deploy", Action: "environment.deliver",
			ObjectType: "workspace", ObjectID: fmt.Sprint(i), Outcome: forgecroft.OutcomeAllowed,
			Details: forgecroft.AuditDetails(map[string]any{"variables": []string{"AWS_REGION", "AWS_ACCESS_KEY_ID"}, "version": 3}),
		}
		e.Digest = e.Sum()
		head = head.Next(&e)
		events[i] = e
	}
	return events, head
}

// verify runs a verifier over events and returns the sequence of the first bad one, or 0.
func verify(events []forgecroft.AuditEvent, checkpoints ...forgecroft.AuditCheckpoint) int64 {
	v := audit.NewVerifier(org, checkpoints)
	for _, e := range events {
		if err := v.Next(e); err != nil {
			return broken(err)
		}
	}
	return broken(v.End())
}

func broken(err error) int64 {
	var b *audit.BrokenError
	if errors.As(err, &b) {
		return b.Sequence
	}
	return 0
}

func TestTrail(t *testing.T) {
	events, head := trail(20)
	signer, err := audit.NewSigner(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := signer.Sign(head, time.Now())

	tests := []struct {
		name   string
		change func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent
		want   int64 // sequence of the first bad event, 0: none
	}{
		{"untouched", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { return e }, 0},
		{"edited actor", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { e[4].ActorName = "x"; return e }, 5},
		{"edited details", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { e[4].Details = nil; return e }, 5},
		{"edited time", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent {
			e[6].Time = e[6].Time.Add(time.Microsecond)
			return e
		}, 7},
		{"deleted", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { return slices.Delete(e, 9, 10) }, 10},
		{"first deleted", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { return e[1:] }, 1},
		{"inserted twice", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { return slices.Insert(e, 3, e[2]) }, 3},
		{"swapped", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { e[3], e[4] = e[4], e[3]; return e }, 4},
		{"cut off", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent { return e[:12] }, 13},
		{"built anew", func(e []forgecroft.AuditEvent) []forgecroft.AuditEvent {
			head := forgecroft.AuditHead{OrganizationID: org}
			for i := range e {
				e[i].ActorName = "someone else"
				e[i].Digest = e[i].Sum()
				head = head.Next(&e[i])
			}
			return e
		}, 20},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := verify(test.change(slices.Clone(events)), checkpoint); got != test.want {
				t.Errorf("first bad event: got %d, want %d", got, test.want)
			}
		})
	}
}

// TestRandomMutations edits one byte-sized thing at random places: every edit is found at its own event (AUD-7).
func TestRandomMutations(t *testing.T) {
	events, _ := trail(50)
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		changed := slices.Clone(events)
		at := r.IntN(len(changed))
		e := &changed[at]
		switch r.IntN(5) {
		case 0:
			e.Hash[r.IntN(32)] ^= 1 << r.IntN(8)
		case 1:
			e.Previous[r.IntN(32)] ^= 1 << r.IntN(8)
		case 2:
			e.Outcome += "x"
		case 3:
			e.Sequence += int64(r.IntN(5) + 1)
		case 4:
			e.ObjectID = "y" + e.ObjectID
		}
		if got := verify(changed); got != int64(at+1) {
			t.Fatalf("event %d was changed, the first bad one found is %d", at+1, got)
		}
	}
}

func TestCheckpointSignature(t *testing.T) {
	_, head := trail(3)
	signer, _ := audit.NewSigner(bytes.Repeat([]byte{7}, 32))
	other, _ := audit.NewSigner(bytes.Repeat([]byte{8}, 32))
	good := signer.Sign(head, time.Date(2026, 11, 23, 12, 0, 0, 5, time.UTC))
	if err := audit.VerifyCheckpoint(signer.Public(), good); err != nil {
		t.Fatalf("a good checkpoint: %v", err)
	}
	if err := audit.VerifyCheckpoint(other.Public(), good); err == nil {
		t.Error("a checkpoint of another key was accepted")
	}
	changes := map[string]func(c *forgecroft.AuditCheckpoint){
		"sequence":     func(c *forgecroft.AuditCheckpoint) { c.Sequence++ },
		"hash":         func(c *forgecroft.AuditCheckpoint) { c.Hash[0]++ },
		"time":         func(c *forgecroft.AuditCheckpoint) { c.Time = c.Time.Add(time.Second) },
		"organization": func(c *forgecroft.AuditCheckpoint) { c.OrganizationID = "x" },
		"signature":    func(c *forgecroft.AuditCheckpoint) { c.Signature = append([]byte{1}, c.Signature[1:]...) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bad := good
			change(&bad)
			if err := audit.VerifyCheckpoint(signer.Public(), bad); err == nil {
				t.Error("a changed checkpoint was accepted")
			}
		})
	}
	if _, err := audit.NewSigner([]byte("short")); err == nil {
		t.Error("a short seed was accepted")
	}
}

func BenchmarkVerify(b *testing.B) {
	events, _ := trail(1000)
	for b.Loop() {
		if verify(events) != 0 {
			b.Fatal("broken")
		}
	}
}
