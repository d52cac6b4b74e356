package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxStatements bounds the prepared statements of one connection. Filters combine to more texts than this, but rarely in one place.
const maxStatements = 128

// conn is one connection with its prepared statements. It uses the driver without database/sql, whose locks, conversions and copies cost more
// than most of the statements here. It serves one goroutine at a time.
type conn struct {
	raw        driver.Conn
	dialect    *dialect
	statements map[string]*statement // text → prepared
	args       []driver.NamedValue   // reused by every call
	row        row                   // reused by every call
	onFatal    func(error)

	used   bool   // it has answered before
	tenant string // the organization that the connection is set to; empty: it has to be set
}

// statement is a prepared statement.
type statement struct {
	driver.Stmt
	order []int // the arguments that its parameters take, from 0; nil: in order
	reach reach
}

func newConn(raw driver.Conn, d *dialect, onFatal func(error)) *conn {
	return &conn{raw: raw, dialect: d, statements: map[string]*statement{}, onFatal: onFatal}
}

// exec runs a statement and returns how many rows it changed. Arguments are string, int64, []byte or nil.
func (c *conn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	s, err := c.prepare(ctx, text)
	if err != nil {
		return 0, err
	}
	if err := c.enter(ctx, s.reach, args); err != nil {
		return 0, err
	}
	result, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, c.bind(s, args))
	if err != nil {
		return 0, c.fault(err)
	}
	return result.RowsAffected()
}

// control runs what begins or ends a transaction.
func (c *conn) control(ctx context.Context, text string) error {
	if !c.dialect.direct {
		_, err := c.exec(ctx, text)
		return err
	}
	if strings.HasPrefix(text, "ROLLBACK") {
		c.tenant = "" // It takes back what the connection was set to.
	}
	if _, err := c.raw.(driver.ExecerContext).ExecContext(ctx, text, nil); err != nil {
		return c.fault(err)
	}
	return nil
}

// lost reports whether the connection is good for nothing any more.
func (c *conn) lost() bool { return c.dialect.broken != nil && c.dialect.broken(c.raw) }

// query runs a statement and calls each for every row. The row is valid during the call only.
func (c *conn) query(ctx context.Context, text string, args []any, each func(*row)) error {
	s, err := c.prepare(ctx, text)
	if err != nil {
		return err
	}
	if err := c.enter(ctx, s.reach, args); err != nil {
		return err
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, c.bind(s, args))
	if err != nil {
		return c.fault(err)
	}
	err = c.scan(rows, each)
	if closing := rows.Close(); err == nil && closing != nil {
		err = c.fault(closing)
	}
	return err
}

// scan reads all rows.
func (c *conn) scan(rows driver.Rows, each func(*row)) error {
	r := &c.row
	width := len(rows.Columns())
	if cap(r.values) < width {
		r.values = make([]driver.Value, width)
	}
	r.values = r.values[:width]
	for {
		switch err := rows.Next(r.values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.fault(err)
		}
		r.next, r.err = 0, nil
		each(r)
		if r.err != nil {
			return r.err
		}
	}
}

// prepare returns the statement for text, prepared once for each connection.
func (c *conn) prepare(ctx context.Context, text string) (*statement, error) {
	if s, ok := c.statements[text]; ok {
		return s, nil
	}
	if len(c.statements) >= maxStatements {
		c.closeStatements()
	}
	rewritten, order := text, []int(nil)
	if c.dialect.positional != nil {
		rewritten, order = c.dialect.positional(text)
	}
	s, err := c.raw.(driver.ConnPrepareContext).PrepareContext(ctx, rewritten)
	if err != nil {
		return nil, fmt.Errorf("preparing a statement: %w", c.fault(err))
	}
	c.statements[text] = &statement{s, order, reachOf(text)}
	return c.statements[text], nil
}

// bind lays out the arguments for the driver.
func (c *conn) bind(s *statement, args []any) []driver.NamedValue {
	c.args = c.args[:0]
	if s.order == nil {
		for i, arg := range args {
			c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
		}
		return c.args
	}
	for i, from := range s.order {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: args[from]})
	}
	return c.args
}

// fault gives a driver's error its meaning, and raises the alarm if it is fatal.
func (c *conn) fault(err error) error {
	err = c.dialect.translate(err)
	if errors.Is(err, errFatal) {
		c.onFatal(err)
	}
	return err
}

func (c *conn) closeStatements() {
	for _, s := range c.statements {
		_ = s.Close() // It repeats the error of the last execution, which was reported.
	}
	clear(c.statements)
}

// close ends the connection.
func (c *conn) close() error {
	c.closeStatements()
	return c.raw.Close()
}
