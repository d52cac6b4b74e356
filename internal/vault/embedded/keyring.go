package embedded

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// takeTurn waits until nobody else works with the key ring as a whole.
func (v *Vault) takeTurn(ctx context.Context) error {
	select {
	case v.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return notInTime(ctx.Err())
	}
}

func (v *Vault) endTurn() { <-v.turn }

// Keys implements [forgecroft.KeyRing].
func (v *Vault) Keys(ctx context.Context) ([]forgecroft.RingKey, error) {
	if v.closing.Load() {
		return nil, closed()
	}
	counts := map[string]int64{} // key id → secret versions
	err := each(ctx, v.read, sqlCountByKey, nil, func(row *sql.Rows) error {
		var id string
		var n int64
		err := row.Scan(&id, &n)
		counts[id] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("counting what the keys seal: %w", v.fault(err))
	}
	var keys []forgecroft.RingKey
	for i, id := range v.ring.IDs() {
		keys = append(keys, forgecroft.RingKey{ID: id, Primary: i == 0, Secrets: counts[id]})
	}
	return keys, nil
}

// Rotate implements [forgecroft.KeyRing]. The key source has the new key before the file knows of it, and the file before it is used: wherever a
// crash cuts this off, the next start finds every key that seals something.
func (v *Vault) Rotate(ctx context.Context) (string, error) {
	if err := v.ready(ctx); err != nil {
		return "", err
	}
	defer v.endTurn()
	next, err := v.ring.WithNewPrimary()
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	if _, err := envelope.ParseRing(next.Format()); err != nil {
		return "", &forgecroft.Error{
			Kind: forgecroft.KindUnprocessable, Code: "key_ring_full", Cause: err,
			Message: "The key ring takes no more keys. Remove those that seal nothing.",
		}
	}
	if err := v.saveKeys(next); err != nil {
		return "", fmt.Errorf("writing the new key to %s: %w", v.keys, err)
	}
	if err := v.notePrimary(ctx, next); err != nil {
		return "", fmt.Errorf("noting the new key: %w", err)
	}
	return next.Primary(), nil
}

// RemoveKey implements [forgecroft.KeyRing]. The file forgets the key before the source does: the file refuses as long as anything needs the key. After
// a crash or a failure in between the key is still in the ring, and the next start, or removal, goes on from there.
func (v *Vault) RemoveKey(ctx context.Context, id string) error {
	if err := v.ready(ctx); err != nil {
		return err
	}
	defer v.endTurn()
	switch {
	case !v.ring.Has(id):
		return forgecroft.NotFound("key")
	case id == v.ring.Primary():
		return forgecroft.Errorf(forgecroft.KindConflict, "key_in_use", "The key %s is the primary key: it seals every new secret version. Rotate the key first.", id)
	}
	next, err := v.ring.Without(id)
	if err != nil {
		return fmt.Errorf("taking a key out of the ring: %w", err)
	}
	if _, readOnly := v.keys.(textKeys); readOnly {
		return v.saveKeys(next)
	}
	if err := v.forgetKey(ctx, id); err != nil {
		return err
	}
	if err := v.saveKeys(next); err != nil {
		return fmt.Errorf("taking the key out of %s: %w", v.keys, err)
	}
	v.ring.Replace(next)
	return nil
}

// saveKeys puts a ring into the key source. This process is the only one that has the vault open, so that nobody else changes it meanwhile.
func (v *Vault) saveKeys(ring *envelope.Ring) error {
	return v.keys.Update(func(*envelope.Ring) (*envelope.Ring, error) { return ring, nil })
}

// ready takes the turn of an operation that changes the ring.
func (v *Vault) ready(ctx context.Context) error {
	if v.closing.Load() {
		return closed()
	}
	if err := v.alarm.err(); err != nil {
		return err
	}
	return v.takeTurn(ctx)
}

// notePrimary stores the canary of a ring's primary key, and then lets everybody use the ring. Once begun it ignores the end of ctx, because
// nobody must be in doubt about what was stored.
func (v *Vault) notePrimary(ctx context.Context, next *envelope.Ring) error {
	id := next.Primary()
	canary, err := next.Canary(id)
	if err != nil {
		return err
	}
	return v.writer.do(context.WithoutCancel(ctx), &change{
		apply: func(s *statements) (refusal, failure error) {
			_, err := s.exec(s.setKey, id, canary)
			return nil, err
		},
		committed: func() { v.ring.Replace(next) },
	})
}

// forgetKey drops the canary of a key that seals nothing.
func (v *Vault) forgetKey(ctx context.Context, id string) error {
	return v.writer.do(context.WithoutCancel(ctx), &change{
		apply: func(s *statements) (refusal, failure error) {
			n, err := s.exec(s.dropKey, id)
			if err != nil || n > 0 {
				return nil, err
			}
			var secrets int64
			if err := s.conn.QueryRowContext(context.Background(), sqlCountOfKey, id).Scan(&secrets); err != nil {
				return nil, err
			}
			if secrets == 0 {
				return nil, nil // The file did not know the key.
			}
			return forgecroft.Errorf(forgecroft.KindConflict, "key_in_use",
				"The key %s still seals %d secret versions. Let the rotation finish first.", id, secrets), nil
		},
	})
}
