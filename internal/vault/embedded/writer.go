package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const (
	// maxBatch bounds the changes that share a commit.
	maxBatch = 256
	// mergeEvery is after how many statements the log is carried over into the database file. It is then written from its beginning, which costs
	// half of what it costs to let it grow.
	mergeEvery = 1000
	// clearEvery is at which of these times a log that holds destroyed versions is truncated, if the writer was never idle.
	clearEvery = 8
	// idleTime is how long the writer must have nothing to do before it clears the log of what was destroyed.
	idleTime = 50 * time.Millisecond
)

// The states of a change.
const (
	stateWaiting int32 = iota
	stateTaken         // the writer has begun: the outcome is the writer's
	stateLeft          // the caller gave up before that: nothing happens
)

// change is one caller's part of a transaction.
type change struct {
	// apply runs inside of the transaction, perhaps twice. A refusal is the caller's result and leaves the transaction as it was; a failure
	// undoes all of it.
	apply func(s *statements) (refusal, failure error)
	// committed runs in the writer's goroutine between the commit and the acknowledgement, unless the change was refused. It may be nil.
	committed func()
	// erases says that the log then holds sealed bytes that are to go.
	erases bool

	state atomic.Int32
	err   error // set before done is closed
	done  chan struct{}
}

// statements are the writer's connection and what is prepared on it.
type statements struct {
	conn                                    *sql.Conn
	begin, commit, rollback                 *sql.Stmt
	insert, remove, update, setKey, dropKey *sql.Stmt

	unmerged int // statements that wrote since the log was carried over
}

// exec runs a statement that writes and returns how many rows it changed. It takes no context, as an interrupt would roll back the others'
// work; it takes microseconds.
func (s *statements) exec(statement *sql.Stmt, args ...any) (int64, error) {
	s.unmerged++
	result, err := statement.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// writer is the goroutine that owns the only connection that writes.
type writer struct {
	statements *statements
	alarm      *alarm
	wake       chan struct{}
	stopped    chan struct{}

	mu      sync.Mutex
	waiting []*change
	closing bool

	// The following belong to the goroutine.
	erased bool // the log holds what is to go
	merges int  // since it was truncated
}

// prepare prepares the writer's statements. On failure it returns those that there are, to be closed.
func prepare(ctx context.Context, conn *sql.Conn) (*statements, error) {
	s := &statements{conn: conn}
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.insert, sqlInsertSecret},
		{&s.remove, sqlDeleteSecret},
		{&s.update, sqlUpdateSealed},
		{&s.setKey, sqlInsertKey},
		{&s.dropKey, sqlDeleteKey},
	} {
		var err error
		if *p.to, err = conn.PrepareContext(ctx, p.text); err != nil {
			return s, fmt.Errorf("preparing a statement: %w", translate(err))
		}
	}
	return s, nil
}

// close closes the connection. SQLite keeps the file open, and does not carry the log over, as long as a statement is left; and database/sql
// does not close those of a [*sql.Conn].
func (s *statements) close() error {
	for _, statement := range []*sql.Stmt{s.begin, s.commit, s.rollback, s.insert, s.remove, s.update, s.setKey, s.dropKey} {
		if statement != nil {
			_ = statement.Close() // It repeats the error of the last execution, which was reported.
		}
	}
	return s.conn.Close()
}

func newWriter(s *statements, a *alarm) *writer {
	w := &writer{statements: s, alarm: a, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go w.loop()
	return w
}

// do makes a change and returns when it is durable, was refused, has failed, or ctx ends.
func (w *writer) do(ctx context.Context, c *change) error {
	if ctx.Err() != nil {
		return notInTime(ctx.Err())
	}
	c.done = make(chan struct{})
	if err := w.enqueue(c); err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		if c.state.CompareAndSwap(stateWaiting, stateLeft) {
			return notInTime(ctx.Err())
		}
		return outcomeUnknown(ctx.Err())
	}
}

// enqueue hands a change to the goroutine.
func (w *writer) enqueue(c *change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return closed()
	}
	w.waiting = append(w.waiting, c)
	w.signal()
	return nil
}

// signal wakes the goroutine, now or when it next looks.
func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// loop runs batches until the writer closes, and clears the log in between.
func (w *writer) loop() {
	defer close(w.stopped)
	idle := time.NewTimer(idleTime)
	defer idle.Stop()
	for {
		batch, last := w.take()
		switch {
		case len(batch) > 0:
			w.run(batch)
			if w.statements.unmerged >= mergeEvery {
				w.merges++
				w.merge(w.erased && w.merges >= clearEvery)
			}
			continue
		case last:
			return
		}
		idle.Stop()
		if w.erased {
			idle.Reset(idleTime)
		}
		select {
		case <-w.wake:
		case <-idle.C:
			w.merge(true)
		}
	}
}

// take removes the changes that wait, at most [maxBatch].
func (w *writer) take() (batch []*change, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch = w.waiting
	if len(batch) > maxBatch {
		w.waiting = append([]*change(nil), batch[maxBatch:]...)
		return batch[:maxBatch:maxBatch], false
	}
	w.waiting = nil
	return batch, w.closing
}

// run brings every change of a batch to its end. What does not fit on the disk together may fit one by one; a destruction does nearly always.
func (w *writer) run(batch []*change) {
	err := w.alarm.err()
	if err == nil {
		err = w.attempt(batch)
	}
	if len(batch) > 1 && errors.Is(err, forgecroft.KindStorageFull) {
		for i := range batch {
			w.run(batch[i : i+1])
		}
		return
	}
	for _, c := range batch {
		if err != nil {
			c.err = err
		}
		close(c.done)
	}
}

// attempt runs a batch in one transaction.
func (w *writer) attempt(batch []*change) error {
	ctx := context.Background() // One caller's end must not interrupt the others.
	if _, err := w.statements.begin.ExecContext(ctx); err != nil {
		return fmt.Errorf("beginning a transaction: %w", w.fault(err))
	}
	for _, c := range batch {
		if !c.take() {
			continue
		}
		refusal, failure := c.apply(w.statements)
		if failure != nil {
			failure = w.fault(failure)
			w.rollback()
			return failure
		}
		c.err = refusal
	}
	if _, err := w.statements.commit.ExecContext(ctx); err != nil {
		err = w.fault(err)
		w.rollback()
		if errors.Is(err, forgecroft.KindStorageFull) {
			return err
		}
		return outcomeUnknown(err)
	}
	for _, c := range batch {
		w.acknowledge(c)
	}
	return nil
}

// take reports whether the caller still waits, and keeps it from leaving unnoticed.
func (c *change) take() bool {
	return c.state.CompareAndSwap(stateWaiting, stateTaken) || c.state.Load() == stateTaken
}

// acknowledge makes a committed change take effect outside of the database.
func (w *writer) acknowledge(c *change) {
	if c.err != nil || c.state.Load() != stateTaken {
		return
	}
	w.erased = w.erased || c.erases
	if c.committed != nil {
		c.committed()
	}
}

// rollback undoes the running transaction. Some failures have rolled back already; then this one fails, and that is fine.
func (w *writer) rollback() { _, _ = w.statements.rollback.ExecContext(context.Background()) }

// fault translates a driver's error, and raises the alarm if it is fatal.
func (w *writer) fault(err error) error {
	err = translate(err)
	if errors.Is(err, errFatal) {
		w.alarm.raise(err)
	}
	return err
}

// merge carries the log over into the database file, and truncates it on demand. It runs between batches, and not inside a commit, because SQLite
// drops the errors of a checkpoint that a commit triggers; and the first failed sync must stop us.
func (w *writer) merge(truncate bool) {
	w.statements.unmerged = 0
	if w.alarm.err() != nil {
		w.erased = false
		return
	}
	text := "PRAGMA wal_checkpoint(PASSIVE)"
	if truncate {
		text = "PRAGMA wal_checkpoint(TRUNCATE)"
	}
	var busy, frames, merged int64
	err := w.statements.conn.QueryRowContext(context.Background(), text).Scan(&busy, &frames, &merged)
	if err != nil {
		// A failure that matters raises the alarm; a full disk only delays the merge.
		_ = w.fault(err)
		return
	}
	if truncate && busy == 0 {
		w.erased, w.merges = false, 0
	}
}

// close lets the changes that wait finish, and ends the goroutine. The connection stays open.
func (w *writer) close() {
	w.mu.Lock()
	w.closing = true
	w.signal()
	w.mu.Unlock()
	<-w.stopped
}
