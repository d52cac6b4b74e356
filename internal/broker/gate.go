package broker

import (
	"context"
	"errors"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// act is one thing that a caller wants to do.
type act struct {
	name   string // the audit action: noun.verb
	needs  forgecroft.Permission
	object string // the type of the object
	id     string // the object's id as the client gave it; empty for acts on no single object
}

// entry collects what the audit entry of a mutation says beside the act.
type entry struct {
	objectID string
	details  map[string]any // names, ids and counts; never a value
}

// note adds one detail.
func (e *entry) note(name string, value any) {
	if e.details == nil {
		e.details = map[string]any{}
	}
	e.details[name] = value
}

// authorise checks the caller's role and the grammar of the id, before any store is asked. A denial is recorded.
func (b *Broker) authorise(ctx context.Context, call Call, a act) error {
	if call.OrganizationID == "" || !call.Role.Allows(a.needs) {
		return b.deny(ctx, call, a, forgecroft.Errorf(forgecroft.KindForbidden, "forbidden",
			"The role %s of this API key does not allow this.", call.Role))
	}
	if a.id != "" && !forgecroft.ValidID(a.id) {
		return b.deny(ctx, call, a, forgecroft.NotFound(noun(a.object)))
	}
	return nil
}

// noun is how a person reads an object type.
func noun(object string) string {
	switch object {
	case "credential_config":
		return "credential config"
	case "api_key":
		return "API key"
	default:
		return object
	}
}

// visible refuses an object outside of what the caller may read as if it were not there.
func (c Call) visible(object string, l forgecroft.Location) error {
	if !c.Sees(l) {
		return forgecroft.NotFound(noun(object))
	}
	return nil
}

// changeable refuses what the caller may not even read as absent, and what it inherits from above its scope as forbidden.
func (c Call) changeable(object string, l forgecroft.Location) error {
	if err := c.visible(object, l); err != nil {
		return err
	}
	if !c.Reaches(l) {
		return forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope",
			"This %s lies above the scope of this API key: it may be used, not changed.", noun(object))
	}
	return nil
}

// fresh checks If-Match.
func (c Call) fresh(revision int64) error {
	if c.IfMatch != 0 && c.IfMatch != revision {
		return forgecroft.Errorf(forgecroft.KindStale, "stale", "It has changed meanwhile: it is at revision %d now. Read it again, then repeat the change.", revision)
	}
	return nil
}

// read authorises, runs fn, and records a denial. An id that is absent and one that is out of reach take the same path, so that
// neither the answer nor its timing tells them apart.
func read[T any](ctx context.Context, b *Broker, call Call, a act, fn func() (T, error)) (T, error) {
	var none T
	if err := b.authorise(ctx, call, a); err != nil {
		return none, err
	}
	result, err := fn()
	if err != nil {
		return none, b.settle(ctx, call, a, err)
	}
	return result, nil
}

// mutate authorises and runs fn in one transaction with its audit entry. fn reports a refusal as an error, which undoes everything.
func mutate[T any](ctx context.Context, b *Broker, call Call, a act, fn func(tx forgecroft.Tx, e *entry) (T, error)) (T, error) {
	var result, none T
	if err := b.authorise(ctx, call, a); err != nil {
		return none, err
	}
	err := b.store.Update(ctx, func(tx forgecroft.Tx) (err error) {
		e := &entry{objectID: a.id}
		if result, err = fn(tx, e); err != nil {
			return err
		}
		return b.append(ctx, tx, call, a, forgecroft.OutcomeAllowed, e)
	})
	if err != nil {
		return none, b.settle(ctx, call, a, err)
	}
	return result, nil
}

// settle records a denial that shows only while working, and passes every other failure on.
func (b *Broker) settle(ctx context.Context, call Call, a act, err error) error {
	if errors.Is(err, forgecroft.KindNotFound) || errors.Is(err, forgecroft.KindForbidden) {
		return b.deny(ctx, call, a, err)
	}
	return err
}

// deny records a denial and returns it. If it cannot be recorded, the caller learns nothing but that.
func (b *Broker) deny(ctx context.Context, call Call, a act, denial error) error {
	if call.OrganizationID == "" {
		return denial // No organization, no trail: the edge counts these.
	}
	e := &entry{objectID: a.id}
	if a.id != "" && !forgecroft.ValidID(a.id) {
		e.objectID = "" // A client's text has no place in the trail.
		e.note("malformed_id", true)
	}
	var known *forgecroft.Error
	if errors.As(denial, &known) {
		e.note("code", known.Code)
	}
	if err := b.record(ctx, call, a, forgecroft.OutcomeDenied, e, nil); err != nil {
		return err
	}
	return denial
}

// record writes one entry by itself, together with what also does. It is durable when record returns nil, and given up after two
// seconds: then the caller must release nothing.
func (b *Broker) record(ctx context.Context, call Call, a act, outcome string, e *entry, also func(ctx context.Context, tx forgecroft.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditDeadline)
	defer cancel()
	event := b.event(call, a, outcome, e)
	event.Digest = event.Sum() // Here, not in the transaction: it is the costly half.
	err := b.store.Update(ctx, func(tx forgecroft.Tx) error {
		if also != nil { // First: what it refuses has written nothing yet.
			if err := also(ctx, tx); err != nil {
				return err
			}
		}
		linked := event
		return tx.AppendAudit(ctx, &linked)
	})
	if err != nil {
		return &forgecroft.Error{
			Kind: kindOfAuditFailure(err), Code: "audit_unavailable", Cause: err, RetryAfter: time.Second,
			Message: "The audit entry could not be written, so nothing was released.",
		}
	}
	return nil
}

// kindOfAuditFailure keeps a full disk apart, because its remedy differs.
func kindOfAuditFailure(err error) forgecroft.Kind {
	if errors.Is(err, forgecroft.KindStorageFull) {
		return forgecroft.KindStorageFull
	}
	return forgecroft.KindUnavailable
}

// append adds the entry of a mutation to its transaction.
func (b *Broker) append(ctx context.Context, tx forgecroft.Tx, call Call, a act, outcome string, e *entry) error {
	event := b.event(call, a, outcome, e)
	event.Digest = event.Sum()
	return tx.AppendAudit(ctx, &event)
}

// event makes an audit event of a call.
func (b *Broker) event(call Call, a act, outcome string, e *entry) forgecroft.AuditEvent {
	return forgecroft.AuditEvent{
		ID:             b.newID(),
		OrganizationID: call.OrganizationID,
		Time:           b.instant(),
		ActorKeyID:     call.KeyID,
		ActorName:      call.KeyName,
		Action:         a.name,
		ObjectType:     a.object,
		ObjectID:       e.objectID,
		Outcome:        outcome,
		RequestID:      call.RequestID,
		RemoteAddr:     call.RemoteAddr,
		Details:        forgecroft.AuditDetails(e.details),
	}
}

// fail records that an act which was allowed could not be done, and returns the reason.
func (b *Broker) fail(ctx context.Context, call Call, a act, e *entry, reason error) error {
	code := "internal"
	var known *forgecroft.Error
	if errors.As(reason, &known) {
		code = known.Code
	}
	e.note("code", code)
	if err := b.record(ctx, call, a, forgecroft.OutcomeFailed, e, nil); err != nil {
		return err
	}
	return reason
}
