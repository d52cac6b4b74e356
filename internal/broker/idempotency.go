package broker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// errReplayed ends a transaction whose result is already remembered.
var errReplayed = errors.New("the result is remembered")

// once is one use of an Idempotency-Key. The zero value stands for a request without one.
type once struct {
	record forgecroft.IdempotencyRecord
}

// begin claims the call's Idempotency-Key, if it has one, for as long as the request runs; done gives it back. request is what the
// fingerprint covers; it may hold secrets, because the fingerprint is keyed.
func (b *Broker) begin(call Call, route string, request any) (o once, done func(), err error) {
	if call.IdempotencyKey == "" {
		return once{}, func() {}, nil
	}
	text, err := json.Marshal([]any{"idempotency v1", route, request})
	if err != nil {
		return once{}, nil, fmt.Errorf("encoding the request for its fingerprint: %w", err)
	}
	mac := hmac.New(sha256.New, b.mac)
	mac.Write(text)
	o.record = forgecroft.IdempotencyRecord{
		OrganizationID: call.OrganizationID, APIKeyID: call.KeyID, Route: route, Key: call.IdempotencyKey, Fingerprint: mac.Sum(nil),
	}
	claim := [4]string{call.OrganizationID, call.KeyID, route, call.IdempotencyKey}
	if _, busy := b.inFlight.LoadOrStore(claim, struct{}{}); busy {
		return once{}, nil, forgecroft.Errorf(forgecroft.KindConflict, "idempotency_in_flight", "A request with this Idempotency-Key is being worked on. Repeat it in a moment.")
	}
	return o, func() { b.inFlight.Delete(claim) }, nil
}

// replay looks for a remembered result. It returns errReplayed with the result decoded into to, nil if there is none, and a
// refusal if the same key came with another request.
func (o once) replay(ctx context.Context, b *Broker, r forgecroft.Reader, to any) error {
	if o.record.Key == "" {
		return nil
	}
	found, err := r.IdempotencyRecord(ctx, o.record, b.now())
	if errors.Is(err, forgecroft.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !hmac.Equal(found.Fingerprint, o.record.Fingerprint) {
		return forgecroft.Errorf(forgecroft.KindUnprocessable, "idempotency_key_reused", "This Idempotency-Key was used for another request. Use a new one.")
	}
	if err := json.Unmarshal(found.Result, to); err != nil {
		return fmt.Errorf("decoding a remembered result: %w", err)
	}
	return errReplayed
}

// remember stores the result in the transaction that makes it.
func (o once) remember(ctx context.Context, b *Broker, tx forgecroft.Tx, result any) error {
	if o.record.Key == "" {
		return nil
	}
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encoding a result to remember: %w", err)
	}
	record := o.record
	record.Result, record.CreatedAt = text, b.instant()
	return tx.CreateIdempotencyRecord(ctx, record)
}

// create is mutate for what makes an object: repeated with the same Idempotency-Key, it returns the first result again.
func create[T any](ctx context.Context, b *Broker, call Call, a act, request any, fn func(tx forgecroft.Tx, e *entry) (T, error)) (T, error) {
	var none, remembered T
	once, done, err := b.begin(call, a.name, request)
	if err != nil {
		return none, err
	}
	defer done()
	result, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (T, error) {
		if err := once.replay(ctx, b, tx, &remembered); err != nil {
			return none, err
		}
		result, err := fn(tx, e)
		if err != nil {
			return none, err
		}
		return result, once.remember(ctx, b, tx, result)
	})
	if errors.Is(err, errReplayed) {
		return remembered, nil
	}
	return result, err
}
