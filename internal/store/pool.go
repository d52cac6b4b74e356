package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// pool is a fixed number of connections for reading, opened when they are first needed. Each place in the channel holds a connection, or nil
// for one that is not open.
type pool struct {
	dialect *dialect
	open    func(ctx context.Context) (*conn, error)
	places  chan *conn
	closed  chan struct{}
}

func newPool(d *dialect, size int, open func(ctx context.Context) (*conn, error)) *pool {
	p := &pool{dialect: d, open: open, places: make(chan *conn, size), closed: make(chan struct{})}
	for range size {
		p.places <- nil
	}
	return p
}

// query implements [session]: each call sees the newest committed state.
func (p *pool) query(ctx context.Context, text string, args []any, each func(*row)) error {
	for {
		c, err := p.acquire(ctx)
		if err != nil {
			return err
		}
		seen := false
		err = c.query(ctx, text, args, func(r *row) { seen = true; each(r) })
		stale := errors.Is(err, errLost) && !seen && c.used // It was lost while it lay idle: the server has restarted, perhaps.
		c.used = true
		p.release(c)
		if !stale || ctx.Err() != nil {
			return err
		}
	}
}

// snapshot runs fn on one consistent state.
func (p *pool) snapshot(ctx context.Context, fn func(s session) error) error {
	c, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	// The transaction's ends ignore ctx: a connection that goes back must not be inside of one.
	if err := c.control(context.Background(), p.dialect.beginRead); err != nil {
		p.drop(c)
		return err
	}
	err = fn(c)
	if ending := c.control(context.Background(), "ROLLBACK"); ending != nil {
		p.drop(c)
		return errors.Join(err, ending)
	}
	p.release(c)
	return err
}

// acquire takes a connection for one goroutine.
func (p *pool) acquire(ctx context.Context) (*conn, error) {
	select {
	case <-p.closed:
		return nil, errClosed()
	default:
	}
	select {
	case c := <-p.places:
		if c != nil {
			return c, nil
		}
		c, err := p.open(ctx)
		if err != nil {
			p.places <- nil
			return nil, fmt.Errorf("opening a connection for reading: %w", err)
		}
		return c, nil
	case <-p.closed:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, notInTime(ctx.Err())
	}
}

// release gives a connection back.
func (p *pool) release(c *conn) {
	if c.lost() {
		p.drop(c)
		return
	}
	p.places <- c
}

// drop gives the place of a connection back that cannot be used any more.
func (p *pool) drop(c *conn) {
	_ = c.close() // It failed already; that error is the one to report.
	p.places <- nil
}

// close waits for running reads and closes all connections.
func (p *pool) close() error {
	close(p.closed)
	var errs []error
	for range cap(p.places) {
		if c := <-p.places; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// errClosed is the answer of a store after Close.
func errClosed() error {
	return forgecroft.Errorf(forgecroft.KindUnavailable, "store_closed", "The store is closed.")
}
