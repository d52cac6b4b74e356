package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// noticeChannel is where replicas tell each other what they have changed.
const noticeChannel = "forgecroft_changes"

// A replica that hears nothing for noticeTerm, not even that its connection lives, forgets its answers: so a key that is revoked at one replica
// is refused at every other one within that time, whatever happens to the network.
const (
	noticeTerm   = time.Second
	noticePing   = 250 * time.Millisecond
	noticeRepeat = 500 * time.Millisecond // between attempts to connect
)

// ears listen to what other replicas change.
type ears struct {
	id     string // of this replica; its own notices are no news
	config *pgx.ConnConfig
	caches *caches
	logger *slog.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// listen connects and goes on listening until close. From now on answers from memory hold only while the ears hear.
func listen(ctx context.Context, config *pgx.ConnConfig, c *caches, logger *slog.Logger) (*ears, error) {
	e := &ears{id: uuid.NewString(), config: config, caches: c, logger: logger}
	c.bound()
	raw, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.done.Go(func() { e.run(background, raw) })
	return e, nil
}

// connect opens a connection that gets notices.
func (e *ears) connect(ctx context.Context) (*pgconn.PgConn, error) {
	config := e.config.Config.Copy()
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { e.hear(n.Payload) }
	raw, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, translatePostgres(err)
	}
	if _, err := raw.Exec(ctx, "LISTEN "+noticeChannel).ReadAll(); err != nil {
		return nil, errors.Join(translatePostgres(err), raw.Close(context.Background()))
	}
	e.caches.invalidate(changedPlans | changedKeys) // What was said before nobody heard.
	return raw, nil
}

// run waits for notices, and connects again when the connection is lost.
func (e *ears) run(ctx context.Context, raw *pgconn.PgConn) {
	for ctx.Err() == nil {
		err := e.attend(ctx, raw)
		_ = raw.Close(context.Background()) // It is lost, or the store closes.
		for ctx.Err() == nil {
			e.logger.WarnContext(ctx, "the database does not say what other replicas change; nothing is answered from memory", "error", err)
			if raw, err = e.connect(ctx); err == nil {
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(noticeRepeat):
			}
		}
	}
}

// attend waits for notices until the connection fails. An answer to a ping proves that every notice that was sent before it has been heard.
func (e *ears) attend(ctx context.Context, raw *pgconn.PgConn) error {
	for {
		asked := time.Now()
		limited, cancel := context.WithTimeout(ctx, noticeTerm)
		_, err := raw.Exec(limited, "SELECT 1").ReadAll()
		cancel()
		if err != nil {
			return fmt.Errorf("asking the database: %w", err)
		}
		e.caches.extend(asked.Add(noticeTerm))
		limited, cancel = context.WithTimeout(ctx, noticePing)
		err = raw.WaitForNotification(limited)
		cancel()
		if err != nil && (ctx.Err() != nil || !pgconn.Timeout(err)) {
			return fmt.Errorf("waiting for notices: %w", err)
		}
	}
}

// hear takes a notice: who changed something, and what.
func (e *ears) hear(payload string) {
	replica, bits, _ := strings.Cut(payload, " ")
	if replica == e.id && !e.caches.doubtful.Load() {
		return
	}
	what, err := strconv.ParseUint(bits, 10, 8)
	if err != nil {
		what = uint64(changedPlans | changedKeys) // A newer version's, perhaps: better forget too much.
	}
	e.caches.invalidate(change(what))
}

// close stops listening.
func (e *ears) close() error {
	e.stop()
	e.done.Wait()
	return nil
}
