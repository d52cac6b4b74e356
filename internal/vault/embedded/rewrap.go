package embedded

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// rewrapState is how far a pass over the file has come. It only saves work: a pass that begins anew finds the same rows.
type rewrapState struct {
	after   int64 // the id of the last row that was looked at
	damaged int64 // the rows of this pass that could not be moved
}

// outdated is a row that an older key seals.
type outdated struct {
	id      int64
	ref     forgecroft.Reference
	binding forgecroft.Binding
	keyID   string
	blob    []byte
	moved   []byte // the same under the primary key
}

// Rewrap implements [forgecroft.KeyRing]. What fails authentication stays where it is and is not in the way of the others; when a pass over the file ends
// and such versions are left, that is [forgecroft.KindIntegrity].
func (v *Vault) Rewrap(ctx context.Context, limit int) (left int64, err error) {
	if err := v.ready(ctx); err != nil {
		return 0, err
	}
	defer v.endTurn()
	if left, err = v.left(ctx); left == 0 || limit < 1 || err != nil {
		return left, err
	}
	rows, err := v.outdated(ctx, limit)
	if err != nil {
		return left, err
	}
	moves := v.moved(ctx, rows)
	if err := v.store(ctx, moves); err != nil {
		return left, fmt.Errorf("moving secret versions to the primary key: %w", err)
	}
	passed := len(rows) < limit
	if !passed {
		v.rewrap.after = rows[len(rows)-1].id
	}
	v.rewrap.damaged += int64(len(rows) - len(moves))
	if left, err = v.left(ctx); err != nil || !passed {
		return left, err
	}
	damaged := v.rewrap.damaged
	v.rewrap = rewrapState{}
	if damaged > 0 && left > 0 {
		return left, unsealable(fmt.Errorf("%d secret versions cannot be moved to the primary key", damaged))
	}
	return left, nil
}

// left counts what older keys seal.
func (v *Vault) left(ctx context.Context) (left int64, err error) {
	err = v.read.QueryRowContext(ctx, sqlCountOutdated, v.ring.Primary()).Scan(&left)
	if err != nil {
		return 0, fmt.Errorf("counting what older keys seal: %w", v.fault(err))
	}
	return left, nil
}

// outdated reads the next rows that older keys seal.
func (v *Vault) outdated(ctx context.Context, limit int) ([]outdated, error) {
	var rows []outdated
	err := each(ctx, v.read, sqlSelectOutdated, []any{v.rewrap.after, v.ring.Primary(), limit}, func(row *sql.Rows) error {
		var o outdated
		err := row.Scan(&o.id, &o.ref, &o.binding.OrganizationID, &o.binding.CredentialConfigID, &o.binding.Version, &o.keyID, &o.blob)
		rows = append(rows, o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what older keys seal: %w", v.fault(err))
	}
	return rows, nil
}

// moved wraps the data keys of rows by the primary key, as far as they are sound.
func (v *Vault) moved(ctx context.Context, rows []outdated) []outdated {
	moves := make([]outdated, 0, len(rows))
	for _, o := range rows {
		moved, _, err := v.ring.Rewrap(bound(o.binding), o.blob)
		if err != nil {
			v.logger.ErrorContext(ctx, "a secret version cannot be moved to the primary key", "reference", string(o.ref), "error", err)
			continue
		}
		o.moved = moved
		moves = append(moves, o)
	}
	return moves
}

// store writes moved blobs, in one commit. A row that was destroyed meanwhile stays destroyed: rows are never changed but here, and ids are
// unique as long as a row is there.
func (v *Vault) store(ctx context.Context, moves []outdated) error {
	if len(moves) == 0 {
		return nil
	}
	primary, err := envelope.KeyID(moves[0].moved)
	if err != nil {
		return err
	}
	return v.writer.do(context.WithoutCancel(ctx), &change{
		apply: func(s *statements) (refusal, failure error) {
			for _, o := range moves {
				if _, err := s.exec(s.update, primary, o.moved, o.id, string(o.ref), o.keyID); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		committed: func() {
			for _, o := range moves {
				v.cache.Replace(o.ref, o.moved)
			}
		},
		erases: true,
	})
}
