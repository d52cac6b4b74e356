package store

import (
	"context"
	"database/sql/driver"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// CheckAddress reads the address of a PostgreSQL database without reaching for it.
func CheckAddress(address string) error {
	_, err := postgresConfig(address)
	return err
}

// AcrossTenants begins the statements that are for all organizations.
const AcrossTenants = acrossTenants

// Count runs a statement that counts, as the package runs its own.
func (s *Store) Count(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = s.pool.query(ctx, text, args, func(r *row) { n = r.int() })
	return n, err
}

// CountIn is Count in a transaction.
func CountIn(ctx context.Context, ftx forgecroft.Tx, text string, args ...any) (n int64, err error) {
	err = ftx.(*tx).query(ctx, text, args, func(r *row) { n = r.int() })
	return n, err
}

// Reads is how often the store could not answer for a key from memory.
func (s *Store) Reads() int64 { return s.caches.keys.loads.Load() }

// WatchMigrations calls see before every statement of a migration, and before what begins and ends its transaction.
func WatchMigrations(see func()) {
	watched = func(c driver.Connector) driver.Connector { return watchedConnector{c, see} }
}

// watchedConnector makes watched connections.
type watchedConnector struct {
	driver.Connector
	see func()
}

func (c watchedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	return watchedConn{raw, c.see}, err
}

// watchedConn is a connection of which every statement is seen.
type watchedConn struct {
	driver.Conn
	see func()
}

func (c watchedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	c.see()
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
}

func (c watchedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	c.see()
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
}

func (c watchedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.see()
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return watchedTx{tx, c.see}, err
}

// watchedTx is a transaction of which the end is seen.
type watchedTx struct {
	driver.Tx
	see func()
}

func (t watchedTx) Commit() error {
	t.see()
	return t.Tx.Commit()
}
