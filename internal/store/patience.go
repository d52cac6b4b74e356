package store

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// patience is how long a connection waits for the next bytes of an answer. A server that is frozen, or behind a network that drops everything, would
// otherwise be waited for as long as TCP does, which is many minutes. The limits of the session end whatever a healthy server is at before.
const patience = 5 * time.Second

// patientConn is a connection whose reads end in time.
type patientConn struct {
	net.Conn
	boundless atomic.Bool
}

// Read implements [net.Conn].
func (c *patientConn) Read(p []byte) (int, error) {
	if !c.boundless.Load() {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// patiently makes a dialler's connections end their reads in time.
func patiently(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: c}, nil
	}
}

// wait lets a connection wait for ever, or no more. With TLS the connection that we dialled lies beneath the one that is seen here.
func wait(c *conn, forEver bool) {
	raw := c.raw.(*stdlib.Conn).Conn().PgConn().Conn()
	if under, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = under.NetConn()
	}
	if patient, ok := raw.(*patientConn); ok {
		patient.boundless.Store(forEver)
		if forEver {
			_ = patient.SetReadDeadline(time.Time{}) // A dead connection shows at the next read.
		}
	}
}
