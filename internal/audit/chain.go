package audit

import (
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// BrokenError names the first place where a trail does not hold.
type BrokenError struct {
	Sequence int64 // of the first bad event
	Reason   string
}

// Error implements error.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("the audit trail is broken at event %d: %s", e.Sequence, e.Reason)
}

// Verifier checks the events of one organization one after the other, the oldest first. The zero value is not ready; use [NewVerifier].
type Verifier struct {
	head        forgecroft.AuditHead
	checkpoints map[int64]forgecroft.AuditCheckpoint // sequence → what was signed about it
	furthest    int64
}

// NewVerifier starts a verification that also holds the trail against checkpoints whose signatures are already verified.
func NewVerifier(organizationID string, checkpoints []forgecroft.AuditCheckpoint) *Verifier {
	v := &Verifier{
		head:        forgecroft.AuditHead{OrganizationID: organizationID},
		checkpoints: make(map[int64]forgecroft.AuditCheckpoint, len(checkpoints)),
	}
	for _, c := range checkpoints {
		v.checkpoints[c.Sequence] = c
		v.furthest = max(v.furthest, c.Sequence)
	}
	return v
}

// Head is the last event that was verified.
func (v *Verifier) Head() forgecroft.AuditHead { return v.head }

// Next verifies the event that follows. The failure is a [*BrokenError].
func (v *Verifier) Next(e forgecroft.AuditEvent) error {
	expected := v.head.Sequence + 1
	switch {
	case e.OrganizationID != v.head.OrganizationID:
		return &BrokenError{expected, "the event belongs to another organization"}
	case e.Sequence > expected:
		return &BrokenError{expected, fmt.Sprintf("events are missing: the next one here is %d", e.Sequence)}
	case e.Sequence < expected:
		return &BrokenError{e.Sequence, "the event stands twice or out of order"}
	case e.Previous != v.head.Hash:
		return &BrokenError{expected, "its link does not fit the event before"}
	}
	e.Digest = e.Sum()
	if e.Link() != e.Hash {
		return &BrokenError{expected, "its content does not fit its hash"}
	}
	if c, signed := v.checkpoints[e.Sequence]; signed && c.Hash != e.Hash {
		return &BrokenError{expected, fmt.Sprintf("its hash differs from the checkpoint of %s", c.Time.Format("2006-01-02 15:04:05 MST"))}
	}
	v.head = forgecroft.AuditHead{OrganizationID: v.head.OrganizationID, Sequence: e.Sequence, Hash: e.Hash}
	return nil
}

// End verifies that the trail reaches as far as every checkpoint says it did.
func (v *Verifier) End() error {
	if v.head.Sequence < v.furthest {
		return &BrokenError{v.head.Sequence + 1, fmt.Sprintf("the trail ends here, but a checkpoint has seen event %d", v.furthest)}
	}
	return nil
}
