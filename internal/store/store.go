package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

var _ forgecroft.Store = (*Store)(nil)

// Options configure a store.
type Options struct {
	Path    string            // of the SQLite file, which is made if it is missing
	URL     forgecroft.Secret // of the PostgreSQL database: postgres://user:password@host:port/database?sslmode=…
	Now     func() time.Time  // nil: [time.Now]
	Logger  *slog.Logger      // nil: nothing is logged
	OnFatal func(error)       // told once of the failure after which every write is refused; it must neither block nor use the store
}

// complete fills in what was left out.
func (o Options) complete() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store implements [forgecroft.Store] on a SQL database. Open one with [OpenSQLite] or [OpenPostgres].
type Store struct {
	reader
	pool   *pool
	writer *writer
	caches *caches
	alarm  *alarm
	close  func() error
}

// Update implements [forgecroft.Store]. A caller whose ctx ends while the disk hangs gets [forgecroft.KindUnavailable] with code outcome_unknown.
func (s *Store) Update(ctx context.Context, fn func(tx forgecroft.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return notInTime(err)
	}
	return s.writer.do(ctx, fn)
}

// Check implements [forgecroft.Store]: it passes both ways through the store without changing anything.
func (s *Store) Check(ctx context.Context) error {
	if err := s.alarm.err(); err != nil {
		return err
	}
	if err := s.query(ctx, "SELECT count(*) FROM instance", nil, func(*row) {}); err != nil {
		return err
	}
	return s.Update(ctx, func(forgecroft.Tx) error { return nil })
}

// Integrity checks the whole database as thoroughly as its engine can be asked to, and compares every checksum. It may take long; other reads and writes go on. Damage is
// [forgecroft.KindIntegrity].
func (s *Store) Integrity(ctx context.Context) error {
	if err := s.checkEngine(ctx); err != nil {
		return err
	}
	return s.Snapshot(ctx, func(snapshot Snapshot) error { return compareChecksums(ctx, snapshot.session) })
}

// checkEngine asks the database to check itself.
func (s *Store) checkEngine(ctx context.Context) error {
	c, err := s.pool.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.pool.release(c)
	return s.pool.dialect.integrity(ctx, c)
}

// Close finishes what waits and closes the database; once more, it returns the same. The store cannot be used afterwards.
func (s *Store) Close() error { return s.close() }

// shut is Close, the first time.
func (s *Store) shut() error {
	s.writer.close()
	err := s.pool.close()
	if s.alarm.err() != nil {
		// Closing would sync once more, and that might even succeed. The process is about to end anyway.
		return err
	}
	return errors.Join(err, s.writer.conn.close())
}
