package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// oldestPostgres is the first version that is supported, as server_version_num has it.
const oldestPostgres = 150_000

// postgresReaders is how many connections of a replica read. It has one more to write, and one that listens.
const postgresReaders = 8

// writerLock is the advisory lock that the writing transaction of a replica holds: "Fcft" in ASCII. All replicas together are one writer, as all
// goroutines of one are. So what holds for SQLite holds here: a transaction sees everything that was committed before it began, the
// chain of the audit trail is one chain, and no two transactions fail each other.
const writerLock = 0x46636674

// The time limits of a session. A replica that stops in the middle of a transaction, frozen perhaps, loses it after the first, and the
// others, who wait for its lock for a little longer at most, go on. All are below the deadline of an audit entry.
const (
	idleInTransaction = time.Second
	lockTimeout       = 1500 * time.Millisecond
	statementTimeout  = 4 * time.Second
	connectTimeout    = 5 * time.Second
)

// OpenPostgres opens the store in a PostgreSQL database, 15 or newer, and makes or migrates its tables; of replicas that start together one
// does that, and the others wait. It refuses, without writing, a database that a newer version has migrated, a server that does
// not keep what it has committed, and one on another machine unless sslmode says how it is to be reached.
func OpenPostgres(ctx context.Context, o Options) (*Store, error) {
	o = o.complete()
	config, err := postgresConfig(o.URL.Reveal())
	if err != nil {
		return nil, err
	}
	place := placeOf(config)
	if err := preparePostgres(ctx, config, o.Logger); err != nil {
		return nil, fmt.Errorf("opening the database at %s: %w", place, err)
	}
	s := &Store{alarm: &alarm{tell: o.OnFatal}, caches: newCaches()}
	config.DialFunc = patiently(config.DialFunc)
	ears, err := listen(ctx, config, s.caches, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("listening to the database at %s: %w", place, err)
	}
	d := postgresDialect(ears.id)
	connect := func(ctx context.Context) (*conn, error) { return connectPostgres(ctx, config, d) }
	write, err := connect(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the database at %s: %w", place, err), ears.close())
	}
	s.writer = newWriter(write, s.alarm, s.caches, o.Now)
	s.writer.reopen = connect
	s.pool = newPool(d, postgresReaders, connect)
	s.reader = reader{s.pool, o.Now}
	s.close = sync.OnceValue(func() error { return errors.Join(s.shut(), ears.close()) })
	return s, nil
}

// postgresConfig reads the address. Its failures never repeat the address, which holds a password.
func postgresConfig(address string) (*pgx.ConnConfig, error) {
	if u, err := url.Parse(address); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("the address of the database is not of the form postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address of the database is not one that PostgreSQL knows, or names a file that cannot be read, such as sslrootcert; see its documentation of connection URIs (libpq, 34.1.1.2)")
	}
	if err := checkTransport(config); err != nil {
		return nil, err
	}
	config.ConnectTimeout = connectTimeout
	for name, value := range map[string]string{
		"application_name":                    "forgecroft",
		"client_encoding":                     "UTF8",
		"synchronous_commit":                  "on",
		"default_transaction_isolation":       "read committed",
		"lock_timeout":                        milliseconds(lockTimeout),
		"statement_timeout":                   milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTransaction),
	} {
		config.RuntimeParams[name] = value
	}
	return config, nil
}

// checkTransport refuses to reach another machine with TLS or without, as it comes, which is what the driver does unless sslmode is given: whoever is on
// the network in between decides. The driver has read the address, PGSSLMODE and the like by now; sslmode=disable is the operator's word, as the driver
// never assumes it.
func checkTransport(c *pgx.ConnConfig) error {
	attempts := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	plain, encrypted := map[string]bool{}, map[string]bool{} // host and port → the driver tries it so
	for _, a := range attempts {
		network, place := pgconn.NetworkAddress(a.Host, a.Port)
		if network == "unix" || loopback(a.Host) {
			continue
		}
		if a.TLSConfig == nil {
			plain[place] = true
		} else {
			encrypted[place] = true
		}
		if plain[place] && encrypted[place] {
			return fmt.Errorf("the database at %s is on another machine, and without TLS whoever is in between reads and changes everything: add sslmode=verify-full to its address, "+
				"and sslrootcert=FILE if its certificate is of a CA of your own; sslmode=disable says that the network is trusted", place)
		}
	}
	return nil
}

// loopback reports whether a host names this machine alone.
func loopback(host string) bool {
	host, _, _ = strings.Cut(host, "%") // the zone of an IPv6 address
	ip := net.ParseIP(host)
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || (ip != nil && ip.IsLoopback())
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// placeOf names the server without its password.
func placeOf(c *pgx.ConnConfig) string { return fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database) }

// connectPostgres opens one connection.
func connectPostgres(ctx context.Context, config *pgx.ConnConfig, d *dialect) (*conn, error) {
	raw, err := stdlib.GetConnector(*config).Connect(ctx)
	if err != nil {
		return nil, d.translate(err)
	}
	return newConn(raw, d, func(error) {}), nil // The disk is the database server's matter.
}

// preparePostgres checks the server and migrates the tables.
func preparePostgres(ctx context.Context, config *pgx.ConnConfig, logger *slog.Logger) error {
	c, err := connectPostgres(ctx, config, postgresDialect(""))
	if err != nil {
		return err
	}
	version, err := inspectPostgres(ctx, c, logger)
	if err = errors.Join(err, c.close()); err != nil {
		return err
	}
	patient := config.Copy() // The others wait while one migrates.
	for _, name := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		delete(patient.RuntimeParams, name)
	}
	patient.RuntimeParams["lock_timeout"] = milliseconds(migrationLock)
	db := sql.OpenDB(watched(stdlib.GetConnector(*patient)))
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(writerLock+1), lock.WithLockTimeout(1, 120))
	if err != nil {
		return errors.Join(err, db.Close())
	}
	for tries := 1; ; tries++ {
		err = migrate(ctx, db, goose.DialectPostgres, "migrations/postgres", version, logger, goose.WithSessionLocker(locker))
		if !inTheWay(err) || tries == migrationTries {
			return errors.Join(err, db.Close())
		}
		time.Sleep(rand.N(migrationLock))
	}
}

// A migration that alters tables waits for everybody who uses them, and everybody else for it. It gives way before the replicas at work lose their patience, or the database finds that it waits for
// somebody who waits for it, and tries again: each migration is one transaction.
const (
	migrationLock  = 500 * time.Millisecond
	migrationTries = 100
)

// inTheWay reports whether a migration was broken off for somebody else's sake.
func inTheWay(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && slices.Contains([]string{"55P03", "40P01", "40001"}, e.Code)
}

// PostgresSchema tells which migration a database has seen last, without changing anything; 0: it has none of our tables.
func PostgresSchema(ctx context.Context, o Options) (int64, error) {
	o = o.complete()
	config, err := postgresConfig(o.URL.Reveal())
	if err != nil {
		return 0, err
	}
	c, err := connectPostgres(ctx, config, postgresDialect(""))
	if err != nil {
		return 0, fmt.Errorf("connecting to the database at %s: %w", placeOf(config), err)
	}
	version, err := inspectPostgres(ctx, c, o.Logger)
	return version, errors.Join(err, c.close())
}

// inspectPostgres refuses a server that is too old or forgets, and returns the version of the schema.
func inspectPostgres(ctx context.Context, c *conn, logger *slog.Logger) (schema int64, err error) {
	settings := map[string]string{} // name → value
	err = c.query(ctx, `SELECT name, setting FROM pg_settings
		WHERE name IN ('server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit', 'data_sync_retry', 'server_encoding')`,
		nil, func(r *row) { settings[r.text()] = r.text() })
	if err != nil {
		return 0, err
	}
	if version, _ := strconv.Atoi(settings["server_version_num"]); version < oldestPostgres {
		return 0, fmt.Errorf("PostgreSQL %s is too old: 15 or newer is needed", settings["server_version_num"])
	}
	for name, wanted := range map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_sync_retry": "off", "server_encoding": "UTF8"} {
		if got := settings[name]; got != wanted {
			return 0, fmt.Errorf("the server's setting %s is %s and has to be %s: what Forgecroft acknowledges must survive a crash", name, got, wanted)
		}
	}
	bypasses := false
	err = c.query(ctx, "SELECT count(*) FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)", nil, func(r *row) { bypasses = r.int() > 0 })
	if err != nil {
		return 0, err
	}
	if bypasses {
		logger.WarnContext(ctx, "the role of the database bypasses row-level security, the second wall between organizations; give Forgecroft a role of its own")
	}
	known := false
	if err := c.query(ctx, "SELECT count(*) FROM pg_class WHERE oid = to_regclass('goose_db_version')", nil, func(r *row) { known = r.int() > 0 }); err != nil || !known {
		return 0, err
	}
	err = c.query(ctx, "SELECT max(version_id) FROM goose_db_version", nil, func(r *row) { schema = r.int() })
	return schema, err
}

// postgresDialect is PostgreSQL's. replica names who commits, for the notices.
func postgresDialect(replica string) *dialect {
	return &dialect{
		enter:     enterPostgres,
		beginRead: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
		lasting:   "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
		commit: func(what change) string {
			if what == 0 {
				return "COMMIT"
			}
			return fmt.Sprintf("UPDATE changes SET counter = counter + 1; SELECT pg_notify('%s', '%s %d'); COMMIT", noticeChannel, replica, what)
		},
		direct: true, aborts: true, gathers: true,
		scope:     "SELECT set_config('forgecroft.organization_id', $1, FALSE)",
		integrity: integrityPostgres,
		translate: translatePostgres,
		broken: func(raw driver.Conn) bool {
			c, ok := raw.(*stdlib.Conn)
			return !ok || c.Conn().IsClosed()
		},
	}
}

// enterPostgres starts a transaction, waits until it is the only one that writes, and reads the counter of changes, all in one round trip. The
// statement after the lock sees what was committed while it waited.
func enterPostgres(ctx context.Context, c *conn) (int64, error) {
	text := fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock(%d); SELECT counter FROM changes", writerLock)
	results, err := c.raw.(*stdlib.Conn).Conn().PgConn().Exec(ctx, text).ReadAll()
	if err != nil {
		return 0, c.fault(err)
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		return 0, errors.New("the counter of changes is missing from the database")
	}
	return strconv.ParseInt(string(last.Rows[0][0]), 10, 64)
}

// integrityPostgres reads every row, with which the server checks its pages if the cluster has checksums. More is a matter of pg_amcheck.
func integrityPostgres(ctx context.Context, c *conn) error {
	var tables []string
	err := c.query(ctx, "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace", nil, func(r *row) { tables = append(tables, r.text()) })
	if err != nil {
		return err
	}
	if _, err := c.exec(ctx, c.dialect.scope, everyTenant); err != nil {
		return err
	}
	c.tenant = everyTenant
	wait(c, true)
	defer wait(c, false)
	if err := c.control(ctx, "SET statement_timeout = 0"); err != nil {
		return err
	}
	defer func() { _ = c.control(context.Background(), "SET statement_timeout = "+milliseconds(statementTimeout)) }() // At worst a read has no limit.
	for _, table := range tables {
		read := "SELECT count(t) FROM " + pgx.Identifier{table}.Sanitize() + " t"
		if err := c.query(ctx, read, nil, func(*row) {}); err != nil {
			return fmt.Errorf("reading the table %s: %w", table, err)
		}
	}
	return nil
}

// translatePostgres gives PostgreSQL's errors their meaning (its documentation, appendix A).
func translatePostgres(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return notInTime(err)
		}
		return unreachable(err)
	}
	switch e.Code {
	case "23505":
		return fmt.Errorf("%w: %w", errUnique, err)
	case "23503", "23001":
		return fmt.Errorf("%w: %w", errForeignKey, err)
	case "40001", "40P01": // serialization failure, deadlock
		return fmt.Errorf("%w: %w", errAgain, busy(err))
	case "55P03", "57014", "53300": // lock not available, query cancelled, too many connections
		return busy(err)
	case "53100":
		return storageFull(err)
	case "25P03", "57P01", "57P02", "57P03", "57P05", "25006", "58030": // timeouts of the session, shutdown, crash, start, standby, I/O error
		return unreachable(err)
	}
	switch e.Code[:2] {
	case "08":
		return unreachable(err)
	case "XX":
		return &forgecroft.Error{Kind: forgecroft.KindIntegrity, Code: "store_damaged", Message: "The database reports damage.", Cause: err}
	}
	return err
}

// unreachable is the answer while the database cannot be asked.
func unreachable(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindUnavailable, Code: "store_unreachable", Message: "The database cannot be reached.", Cause: fmt.Errorf("%w: %w", errLost, cause),
		RetryAfter: time.Second,
	}
}
