package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// maxBatch bounds how many updates share one commit, and so how long the first of them waits for the last.
const maxBatch = 256

// checkpointEvery is how many statements may write before the log is carried over into the database file. More make the log longer and
// a start after a crash slower; fewer sync more often.
const checkpointEvery = 2000

// maxJitter is how long the writer waits at most before it repeats a transaction that the database has broken off for another one. Forgecroft's own never meet: it
// takes somebody else who writes.
const maxJitter = 20 * time.Millisecond

// update is one transaction on its way through the writer.
type update struct {
	ctx  context.Context
	fn   func(tx forgecroft.Tx) error
	done chan struct{} // closed when err is final

	mu   sync.Mutex // held while fn runs
	ran  bool       // fn has run at least once
	left bool       // the caller has given up: fn must not run any more
	err  error
}

// writer is the only one that writes: one goroutine with one connection. Updates that wait at the same moment run in one transaction of the
// database and share its commit. One that fails is undone alone: if it has written, the transaction is run again with savepoints.
type writer struct {
	conn   *conn
	reopen func(ctx context.Context) (*conn, error) // makes another connection when one is lost; nil: none is ever lost
	alarm  *alarm
	caches *caches
	now    func() time.Time

	mu      sync.Mutex
	waiting []*update
	closing bool
	wake    chan struct{} // holds one token when there may be work
	stopped chan struct{} // closed when the goroutine has ended

	// The rest belongs to the goroutine.
	heads    map[string]forgecroft.AuditHead // organization → end of its chain, as of the running transaction
	touched  map[string]int64                // object id → when its last use was noted, in microseconds
	doomed   error                           // why the running transaction must be rolled back as a whole
	changed  change                          // by the running transaction so far
	gathered []forgecroft.AuditEvent         // appended by the running transaction, not written yet
	counter  int64                           // of changes by all replicas, as last seen; see dialect.enter
	unmerged int                             // writing statements since the last checkpoint
}

func newWriter(c *conn, a *alarm, caches *caches, now func() time.Time) *writer {
	w := &writer{
		conn: c, alarm: a, caches: caches, now: now, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		heads: map[string]forgecroft.AuditHead{}, touched: map[string]int64{},
	}
	go w.loop()
	return w
}

// do runs fn in a transaction and returns when it is durable, has failed, or ctx ends.
func (w *writer) do(ctx context.Context, fn func(tx forgecroft.Tx) error) error {
	u := &update{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := w.enqueue(u); err != nil {
		return err
	}
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
		return u.leave()
	}
}

// enqueue hands an update to the goroutine.
func (w *writer) enqueue(u *update) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return errClosed()
	}
	w.waiting = append(w.waiting, u)
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

// leave gives up waiting. It waits for fn if that is running, because fn uses the caller's variables; it does not wait for the disk.
func (u *update) leave() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left = true
	select {
	case <-u.done:
		return u.err
	default:
	}
	if !u.ran {
		return notInTime(u.ctx.Err())
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindUnavailable, Code: "outcome_unknown", Cause: u.ctx.Err(),
		Message: "The store did not confirm the change in time: it may or may not have happened.",
	}
}

// loop runs batches until the writer closes.
func (w *writer) loop() {
	defer close(w.stopped)
	for range w.wake {
		for {
			batch, last := w.take()
			if len(batch) > 0 {
				w.run(batch)
				w.checkpoint()
				continue
			}
			if last {
				return
			}
			break
		}
	}
}

// take removes the updates that wait, at most maxBatch.
func (w *writer) take() (batch []*update, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch = w.waiting
	if len(batch) > maxBatch {
		w.waiting = append([]*update(nil), batch[maxBatch:]...)
		return batch[:maxBatch:maxBatch], false
	}
	w.waiting = nil
	return batch, w.closing
}

// run brings every update of a batch to its end.
func (w *writer) run(batch []*update) {
	if err := w.alarm.err(); err != nil {
		finish(batch, err)
		return
	}
	victim, err := w.attempt(batch, false)
	for tries := 0; tries < 3 && (errors.Is(w.doomed, errAgain) || errors.Is(err, errAgain)); tries++ {
		time.Sleep(rand.N(maxJitter)) // Whoever we failed over may be trying again as well.
		victim, err = w.attempt(batch, false)
	}
	if victim >= 0 && (len(batch) > 1 && errors.Is(w.doomed, errUndone) || errors.Is(w.doomed, errAborted)) {
		// Savepoints cost a tenth of the throughput, and updates rarely fail after they have written: so they come at the second attempt.
		victim, err = w.attempt(batch, true)
	}
	switch {
	case victim < 0:
		// Also those that were refused learn of a failed commit, because the refusal may rest on what was not kept.
		finish(batch, err)
	case len(batch) == 1:
		finish(batch, nil)
	default:
		// One statement failed in a way that takes the transaction down. The others are innocent: each gets one of its own.
		finish(batch[victim:victim+1], nil)
		for i, u := range batch {
			if i != victim {
				w.run([]*update{u})
			}
		}
	}
}

// finish acknowledges updates: with err if there is one, otherwise each with its own result.
func finish(batch []*update, err error) {
	for _, u := range batch {
		if err != nil {
			u.err = err
		}
		close(u.done)
	}
}

// attempt runs a batch in one transaction, with a savepoint for each update if saves is set. victim is the index of the update that took the
// transaction down, or -1; err is a failure to begin or commit.
func (w *writer) attempt(batch []*update, saves bool) (victim int, err error) {
	ctx := context.Background() // One caller's end must not interrupt the others.
	if err := w.begin(ctx); err != nil {
		return -1, fmt.Errorf("beginning a transaction: %w", err)
	}
	w.doomed, w.changed = nil, 0
	for i, u := range batch {
		t := &tx{writer: w, saves: saves}
		t.reader = reader{t, w.now}
		u.err = u.run(t)
		u.err = t.end(u.err)
		if w.doomed != nil {
			w.rollback()
			return i, nil
		}
		w.changed |= t.changed
	}
	if err := w.insertGathered(ctx); err != nil {
		w.rollback()
		return -1, fmt.Errorf("writing audit events: %w", err)
	}
	if err := w.conn.control(ctx, w.conn.dialect.commit(w.changed)); err != nil {
		w.rollback()
		w.caches.doubt(w.changed)
		return -1, uncertain(err)
	}
	if w.changed != 0 {
		w.counter++
	}
	w.caches.invalidate(w.changed)
	return -1, nil
}

// begin starts a transaction, on another connection if the old one is lost.
func (w *writer) begin(ctx context.Context) error {
	for again := true; ; again = false {
		if w.conn.lost() {
			fresh, err := w.reopen(ctx)
			if err != nil {
				return err
			}
			_ = w.conn.close() // It is lost.
			w.conn = fresh
		}
		err := w.enter(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errLost) || !again {
			w.rollback()
			return err
		}
	}
}

// enter starts a transaction. Where others write too, it forgets what they may have changed since the last one.
func (w *writer) enter(ctx context.Context) error {
	d := w.conn.dialect
	if d.enter == nil {
		return w.conn.control(ctx, d.begin)
	}
	counter, err := d.enter(ctx, w.conn)
	if err != nil {
		return err
	}
	clear(w.heads)
	if counter != w.counter {
		w.counter = counter
		w.caches.invalidate(changedPlans | changedKeys)
	}
	w.caches.doubtful.Store(false) // The counter tells what became of every commit before.
	return nil
}

// run runs fn, unless the caller has left. A panic is fn's failure, not the writer's.
func (u *update) run(t *tx) (err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left || u.ctx.Err() != nil {
		return notInTime(u.ctx.Err())
	}
	u.ran = true
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a transaction panicked: %v", p)
		}
	}()
	return u.fn(t)
}

// notInTime is the answer to a caller whose context ended before anything was done.
func notInTime(cause error) error {
	return &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: "store_busy", Message: "The store did not answer in time.", Cause: cause}
}

// uncertain says of a failed commit what is known: a disk that is full kept nothing; after any other failure nobody knows.
func uncertain(err error) error {
	if errors.Is(err, forgecroft.KindStorageFull) {
		return err
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindUnavailable, Code: "outcome_unknown", Cause: err, RetryAfter: time.Second,
		Message: "The store could not confirm the change: it may or may not have happened.",
	}
}

// rollback undoes the running transaction with all that is remembered of it.
func (w *writer) rollback() {
	// Some failures have rolled back already; then this one fails, and that is fine.
	_ = w.conn.control(context.Background(), "ROLLBACK")
	w.gathered = w.gathered[:0]
	clear(w.heads)
	clear(w.touched)
}

// checkpoint carries the log over into the database file now and then. It runs here, after the acknowledgement, and not inside a commit,
// because SQLite drops the errors of a checkpoint that a commit triggers; and the first failed sync must stop us.
func (w *writer) checkpoint() {
	if w.unmerged < checkpointEvery || w.conn.dialect.checkpoint == "" || w.alarm.err() != nil {
		return
	}
	w.unmerged = 0
	// A failure that matters raises the alarm by itself; a full disk or a reader in the way only delays the merge.
	_ = w.conn.query(context.Background(), w.conn.dialect.checkpoint, nil, func(*row) {})
}

// close lets the updates that wait finish, and ends the goroutine. The connection stays open.
func (w *writer) close() {
	w.mu.Lock()
	w.closing = true
	w.signal()
	w.mu.Unlock()
	<-w.stopped
}
