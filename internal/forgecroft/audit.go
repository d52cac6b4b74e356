package forgecroft

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"
)

// The outcomes of an audited act.
const (
	OutcomeAllowed = "allowed"
	OutcomeDenied  = "denied" // the principal may not
	OutcomeFailed  = "failed" // it may, but it could not be done
)

// AuditEvent is one line of an organization's append-only record. Sequence, Previous and Hash are given by [AuditHead.Next].
type AuditEvent struct {
	ID             string
	OrganizationID string
	Sequence       int64 // from 1, without gaps
	Time           time.Time
	ActorKeyID     string // API key id; empty: the system itself
	ActorName      string
	Action         string // noun.verb: credential_config.create, environment.deliver
	ObjectType     string
	ObjectID       string
	Outcome        string
	RequestID      string
	RemoteAddr     string
	Details        json.RawMessage // an object in canonical form, see [AuditDetails]: names, ids and counts, never a value
	Digest         [32]byte        // of all of the above but Sequence, see [AuditEvent.Sum]
	Previous       [32]byte        // Hash of the event before; zero for the first
	Hash           [32]byte
}

// AuditDetails writes details in canonical form: JSON as encoding/json writes a map, with sorted keys.
func AuditDetails(details map[string]any) json.RawMessage {
	if len(details) == 0 {
		return json.RawMessage("{}")
	}
	text, err := json.Marshal(details)
	if err != nil { // Details hold strings, numbers and lists of them.
		panic(err)
	}
	return text
}

// auditTime is how an event's time is written in the digest and on the wire: RFC 3339, UTC, microseconds.
const auditTime = "2006-01-02T15:04:05.000000Z"

// Sum computes the digest over the event's content. It is done before the chain's lock is taken, because it is the costly half. The
// digest is SHA-256 over "forgecroft audit event v1\n" and a JSON object with the members below in this order, strings escaped as
// encoding/json does, without white space. It is written by hand because every delivery waits for it.
func (e AuditEvent) Sum() [32]byte {
	var space [1024]byte
	text := append(space[:0], "forgecroft audit event v1\n{"...)
	text = appendMember(text, "id", e.ID)
	text = appendMember(text, "organization_id", e.OrganizationID)
	text = append(text, `"time":"`...)
	text = e.Time.UTC().AppendFormat(text, auditTime)
	text = append(text, `",`...)
	text = appendMember(text, "actor_key_id", e.ActorKeyID)
	text = appendMember(text, "actor_name", e.ActorName)
	text = appendMember(text, "action", e.Action)
	text = appendMember(text, "object_type", e.ObjectType)
	text = appendMember(text, "object_id", e.ObjectID)
	text = appendMember(text, "outcome", e.Outcome)
	text = appendMember(text, "request_id", e.RequestID)
	text = appendMember(text, "remote_addr", e.RemoteAddr)
	text = append(text, `"details":`...)
	text = append(text, e.Details...)
	text = append(text, '}')
	return sha256.Sum256(text)
}

// appendMember writes one member with a comma behind it.
func appendMember(text []byte, name, value string) []byte {
	text = append(text, '"')
	text = append(text, name...)
	text = append(text, `":`...)
	return append(appendString(text, value), ',')
}

// appendString writes a JSON string. Most need no escape.
func appendString(text []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(value) // A string always marshals.
			return append(text, quoted...)
		}
	}
	text = append(text, '"')
	text = append(text, value...)
	return append(text, '"')
}

// AuditHead is the end of an organization's chain.
type AuditHead struct {
	OrganizationID string
	Sequence       int64
	Hash           [32]byte
}

// Next appends an event whose Digest is computed, and returns the new head. The hash is SHA-256 over "forgecroft audit
// link v1\n", the sequence (8 bytes, big-endian), the previous hash and the digest.
func (h AuditHead) Next(e *AuditEvent) AuditHead {
	e.Sequence = h.Sequence + 1
	e.Previous = h.Hash
	e.Hash = e.Link()
	return AuditHead{OrganizationID: h.OrganizationID, Sequence: e.Sequence, Hash: e.Hash}
}

// Link computes the event's hash from its sequence, the previous hash and its digest.
func (e AuditEvent) Link() [32]byte {
	const context = "forgecroft audit link v1\n"
	var message [len(context) + 8 + 32 + 32]byte
	copy(message[:], context)
	binary.BigEndian.PutUint64(message[len(context):], uint64(e.Sequence))
	copy(message[len(context)+8:], e.Previous[:])
	copy(message[len(context)+40:], e.Digest[:])
	return sha256.Sum256(message[:])
}

// AuditCheckpoint is a signed statement about the head of a chain at one time. Kept off the machine, it proves later that
// nothing before it was changed or cut off.
type AuditCheckpoint struct {
	OrganizationID string
	Sequence       int64
	Hash           [32]byte
	Time           time.Time
	KeyID          string // first 8 bytes of SHA-256 of the public key, hex
	Signature      []byte // Ed25519 (RFC 8032) over the text that internal/audit defines
}

// AuditFilter narrows a list of audit events. Zero values do not filter.
type AuditFilter struct {
	ActorKeyID string
	Action     string // exactly, or a noun with a trailing dot: credential_config.
	ObjectType string
	ObjectID   string
	Outcome    string
	Since      time.Time // inclusive
	Until      time.Time // exclusive
	Ascending  bool      // the oldest first; otherwise the newest first
}

// Validate checks that both ends of the range can be written.
func (f AuditFilter) Validate() error {
	var fields []FieldError
	for _, end := range []struct {
		field string
		at    time.Time
	}{{"since", f.Since}, {"until", f.Until}} {
		if !writable(end.at) {
			fields = append(fields, FieldError{end.field, "out_of_range", "The year lies between 0 and 9999, in UTC."})
		}
	}
	return Invalid(fields)
}

// writable reports whether a time can be written in UTC. A client's time, in a zone, may lie before the year 0 or after 9999 there, and RFC 3339 has no such timestamps (section 1).
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return 0 <= year && year <= 9999
}

// ActionDeliver is what deliveries are called in the trail.
const ActionDeliver = "environment.deliver"

// DeliveryFilter narrows the deliveries of the trail, those that were refused or failed included. Zero values do not filter.
type DeliveryFilter struct {
	ProjectID          string // to the workspaces that this project has now
	WorkspaceID        string
	CredentialConfigID string // of a config, or of what could not be had of it
	ActorKeyID         string
	Outcome            string
	Since              time.Time // inclusive
	Until              time.Time // exclusive
	Window             int64     // how many of the newest events, of whatever kind, are looked at; it must be set: no index finds deliveries
}

// DeliveryCount is how many deliveries of an hour ended how.
type DeliveryCount struct {
	Hour    time.Time // its beginning
	Outcome string
	Count   int64
}
