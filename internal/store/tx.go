package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

var _ forgecroft.Tx = (*tx)(nil)

// maxRemembered bounds the writer's memory of chains and of touches: beyond, it starts afresh.
const maxRemembered = 10_000

// tx is one update inside of the writer's transaction.
type tx struct {
	reader
	writer *writer
	saves  bool // it makes a savepoint before it writes, to be undone without the others
	saved  bool // the savepoint is there
	wrote  bool // something is there to undo
	over   bool

	changed  change
	gathered []forgecroft.AuditEvent         // not written yet
	heads    map[string]forgecroft.AuditHead // organization → end of its chain after this update
	touched  map[string]int64                // object id → when its use was noted
}

// query implements [session].
func (t *tx) query(ctx context.Context, text string, args []any, each func(*row)) error {
	if err := t.usable(ctx); err != nil {
		return err
	}
	if strings.Contains(text, "audit_events") {
		if err := t.settle(); err != nil {
			return t.check(err)
		}
	}
	return t.check(t.writer.conn.query(context.Background(), text, args, each))
}

// exec runs a statement that writes, and returns how many rows it changed.
func (t *tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	if err := t.usable(ctx); err != nil {
		return 0, err
	}
	if err := t.save(); err != nil {
		return 0, t.check(err)
	}
	t.writer.unmerged++
	// The statement ignores ctx, as an interrupt would roll back the others' work; it takes microseconds.
	n, err := t.step(func() (int64, error) { return t.writer.conn.exec(context.Background(), text, args...) })
	t.wrote = t.wrote || err == nil
	return n, t.check(err)
}

// save makes the savepoint before the first thing that is written, if there is to be one. What others have appended stays, should this update be
// undone.
func (t *tx) save() error {
	if !t.saves || t.saved {
		return nil
	}
	if err := t.writer.insertGathered(context.Background()); err != nil {
		return err
	}
	t.saved = true
	return t.writer.conn.control(context.Background(), "SAVEPOINT one")
}

// settle writes the gathered events, so that the transaction reads what it has appended.
func (t *tx) settle() error {
	if len(t.gathered) > 0 {
		if err := t.save(); err != nil {
			return err
		}
		t.wrote = true
	}
	t.writer.gathered = append(t.writer.gathered, t.gathered...)
	t.gathered = nil
	return t.writer.insertGathered(context.Background())
}

// step runs a statement so that fn can carry on after a violated constraint, whatever the database does then.
func (t *tx) step(run func() (int64, error)) (int64, error) {
	if !t.saves || !t.writer.conn.dialect.aborts {
		return run()
	}
	if err := t.writer.conn.control(context.Background(), "SAVEPOINT step"); err != nil {
		return 0, err
	}
	n, err := run()
	if violates(err) {
		t.finish("ROLLBACK TO step")
	}
	if err == nil || violates(err) {
		t.finish("RELEASE step")
	}
	return n, err
}

// usable refuses a transaction that has ended or must end.
func (t *tx) usable(ctx context.Context) error {
	switch {
	case t.over:
		return errors.New("the transaction has ended")
	case t.writer.doomed != nil:
		return t.writer.doomed
	case ctx.Err() != nil:
		return notInTime(ctx.Err())
	default:
		return nil
	}
}

// check notes a failure after which the database may have rolled back by itself. The violation of a constraint undoes its statement only.
func (t *tx) check(err error) error {
	switch {
	case err == nil:
	case !violates(err):
		t.writer.doomed = err
	case t.writer.conn.dialect.aborts && !t.saves:
		t.writer.doomed = errAborted
	}
	return err
}

// end keeps or undoes what the update did, and returns its result.
func (t *tx) end(result error) error {
	t.over = true
	w := t.writer
	if w.doomed != nil {
		if result == nil {
			result = w.doomed // fn overlooked it.
		}
		return result
	}
	if result == nil {
		if t.saved {
			t.finish("RELEASE one")
		}
		w.gathered = append(w.gathered, t.gathered...)
		t.remember()
		return w.doomed
	}
	t.changed = 0
	switch {
	case t.saved:
		t.finish("ROLLBACK TO one")
		t.finish("RELEASE one")
	case t.wrote:
		w.doomed = errUndone
	}
	return result
}

// errUndone rolls the whole transaction back because an update without a savepoint failed after it had written.
var errUndone = errors.New("an update failed after it had written")

// errAborted rolls the whole transaction back because a violated constraint has made it useless, though its update might have carried on.
var errAborted = errors.New("a violated constraint has taken the transaction down")

// finish runs a statement that ends a savepoint.
func (t *tx) finish(text string) {
	if err := t.writer.conn.control(context.Background(), text); err != nil && t.writer.doomed == nil {
		t.writer.doomed = fmt.Errorf("ending an update: %w", err)
	}
}

// remember hands what the update knows on to the next ones.
func (t *tx) remember() {
	if len(t.writer.heads) > maxRemembered {
		clear(t.writer.heads)
	}
	if len(t.writer.touched) > maxRemembered {
		clear(t.writer.touched)
	}
	for organizationID, head := range t.heads {
		t.writer.heads[organizationID] = head
	}
	for id, at := range t.touched {
		t.writer.touched[id] = at
	}
}
