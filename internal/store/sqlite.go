package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
)

// oldestSQLite is the first version without the WAL-reset bug, which could corrupt a database (sqlite.org/wal.html, section 11).
const oldestSQLite = 3_051_003

// sqliteReaders is how many connections read. Each keeps a page cache.
const sqliteReaders = 3

// The page caches, in KiB. They take twice of that in memory, because the allocator of the driver rounds a page with its header up to 8 KiB.
const (
	writerCache = 2048
	readerCache = 1024
)

// pragma is a setting of every connection. They stand in the DSN, because one that is executed holds for one connection only, and are read
// back, because SQLite ignores what it does not know.
type pragma struct{ name, value, reads string }

// sqlitePragmas are the settings of one kind of connection. synchronous=FULL is what makes a commit in WAL mode survive a power cut.
func sqlitePragmas(cacheKiB int) []pragma {
	return []pragma{
		{"journal_mode", "WAL", "wal"},
		{"synchronous", "FULL", "2"},
		{"foreign_keys", "ON", "1"},
		{"busy_timeout", "1500", "1500"}, // milliseconds; below the deadline of an audit entry
		{"temp_store", "MEMORY", "2"},
		{"mmap_size", "0", "0"}, // A failing disk is an error then, not a signal.
		{"cache_size", fmt.Sprint(-cacheKiB), fmt.Sprint(-cacheKiB)},
		{"wal_autocheckpoint", "0", "0"}, // The writer does it, and sees its errors.
		{"journal_size_limit", "67108864", "67108864"},
		{"trusted_schema", "OFF", "0"},
		{"cell_size_check", "ON", "1"},
	}
}

// OpenSQLite opens the store in a SQLite file, makes or migrates its tables, and checks it as far as is cheap. It refuses, without writing, a
// file that a newer version has migrated, one that is damaged ([forgecroft.KindIntegrity]), and one that is not ours.
func OpenSQLite(ctx context.Context, o Options) (*Store, error) {
	o = o.complete()
	s := &Store{alarm: &alarm{tell: o.OnFatal}, caches: newCaches()}
	write, err := prepareSQLite(ctx, o, s.alarm)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", o.Path, err)
	}
	s.writer = newWriter(write, s.alarm, s.caches, o.Now)
	s.pool = newPool(write.dialect, sqliteReaders, func(ctx context.Context) (*conn, error) {
		c, err := connectSQLite(ctx, o.Path, readerCache, true, s.alarm.raise)
		if errors.Is(err, errFatal) {
			s.alarm.raise(err)
		}
		return c, err
	})
	s.reader = reader{s.pool, o.Now}
	s.close = sync.OnceValue(s.shut)
	return s, nil
}

// prepareSQLite makes the file fit for use and returns the connection of the writer.
func prepareSQLite(ctx context.Context, o Options, a *alarm) (*conn, error) {
	before, err := inspectFile(o.Path)
	if err != nil {
		return nil, err
	}
	c, err := connectSQLite(ctx, o.Path, writerCache, false, a.raise)
	if err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, c, o, before); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// prepareSchema checks and migrates an opened file.
func prepareSchema(ctx context.Context, c *conn, o Options, before fileState) error {
	if err := checkVersion(ctx, c); err != nil {
		return err
	}
	if err := checkFile(ctx, c, before, o.Logger); err != nil {
		return err
	}
	return migrateSQLite(ctx, c, o.Path, o.Logger)
}

// sqliteDSN is the address of a connection.
func sqliteDSN(path string, cacheKiB int, readOnly bool) (string, error) {
	query := url.Values{"_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"}}
	for _, p := range sqlitePragmas(cacheKiB) {
		query.Add("_pragma", p.name+"("+p.value+")")
	}
	if readOnly {
		query.Add("_pragma", "query_only(ON)")
	}
	return host.FileURL(path, query)
}

// connectSQLite opens one connection and reads its settings back.
func connectSQLite(ctx context.Context, path string, cacheKiB int, readOnly bool, onFatal func(error)) (*conn, error) {
	dsn, err := sqliteDSN(path, cacheKiB, readOnly)
	if err != nil {
		return nil, err
	}
	raw, err := new(sqlite.Driver).Open(dsn)
	if err != nil {
		return nil, translateSQLite(err)
	}
	c := newConn(raw, sqliteDialect(), onFatal)
	for _, p := range sqlitePragmas(cacheKiB) {
		var got string
		if err := c.query(ctx, "PRAGMA "+p.name, nil, func(r *row) { got = fmt.Sprint(r.take()) }); err != nil {
			return nil, errors.Join(err, c.close())
		}
		if got != p.reads {
			return nil, errors.Join(fmt.Errorf("SQLite did not take the setting %s=%s: it is %s", p.name, p.value, got), c.close())
		}
	}
	return c, nil
}

// checkVersion refuses a SQLite that may corrupt the file.
func checkVersion(ctx context.Context, c *conn) error {
	var version string
	if err := c.query(ctx, "SELECT sqlite_version()", nil, func(r *row) { version = r.text() }); err != nil {
		return err
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return fmt.Errorf("reading the version of SQLite, %q: %w", version, err)
	}
	if major*1_000_000+minor*1_000+patch < oldestSQLite {
		return fmt.Errorf("SQLite %s has a bug that corrupts databases: 3.51.3 or newer is needed", version)
	}
	return nil
}

// sqliteDialect is SQLite's.
func sqliteDialect() *dialect {
	return &dialect{
		begin:      "BEGIN IMMEDIATE",
		beginRead:  "BEGIN",
		commit:     func(change) string { return "COMMIT" },
		checkpoint: "PRAGMA wal_checkpoint(PASSIVE)",
		positional: questionMarks,
		integrity:  integritySQLite,
		translate:  translateSQLite,
	}
}

// questionMarks rewrites $n as ?: SQLite takes $1 for a name, which the driver would look up at every execution.
func questionMarks(text string) (string, []int) {
	var rewritten strings.Builder
	var order []int
	inOrder := true
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			rewritten.WriteByte(text[i])
			continue
		}
		n := 0
		for i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
			i++
			n = n*10 + int(text[i]-'0')
		}
		rewritten.WriteByte('?')
		order = append(order, n-1)
		inOrder = inOrder && n == len(order)
	}
	if inOrder {
		return rewritten.String(), nil
	}
	return rewritten.String(), order
}

// SQLite's result codes that mean something to us (sqlite.org/rescode.html): primary ones, and extended ones where they differ.
const (
	sqliteBusy             = 5
	sqliteLocked           = 6
	sqliteReadOnly         = 8
	sqliteInterrupt        = 9
	sqliteIOErr            = 10
	sqliteCorrupt          = 11
	sqliteFull             = 13
	sqliteCantOpen         = 14
	sqliteNotADB           = 26
	sqliteIOErrShmSize     = sqliteIOErr | 19<<8
	sqliteConstraintFK     = 787
	sqliteConstraintPK     = 1555
	sqliteConstraintTrig   = 1811 // ON DELETE RESTRICT
	sqliteConstraintUnique = 2067
)

// translateSQLite gives SQLite's errors their meaning.
func translateSQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return notInTime(err)
		}
		return err
	}
	switch e.Code() {
	case sqliteConstraintUnique, sqliteConstraintPK:
		return fmt.Errorf("%w: %w", errUnique, err)
	case sqliteConstraintFK, sqliteConstraintTrig:
		return fmt.Errorf("%w: %w", errForeignKey, err)
	case sqliteIOErrShmSize: // The index of the log could not grow.
		return storageFull(err)
	}
	switch e.Code() & 0xff {
	case sqliteBusy, sqliteLocked, sqliteInterrupt, sqliteCantOpen: // The last: no file descriptor is left for a reader.
		return busy(err)
	case sqliteFull:
		return storageFull(err)
	case sqliteIOErr, sqliteReadOnly:
		return &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: "store_failed", Message: "The store cannot use its file.", Cause: fmt.Errorf("%w: %w", errFatal, err)}
	case sqliteCorrupt, sqliteNotADB:
		return &forgecroft.Error{Kind: forgecroft.KindIntegrity, Code: "store_damaged", Message: "The database file is damaged.", Cause: fmt.Errorf("%w: %w", errFatal, err)}
	default:
		return err
	}
}

// busy is the answer when others were in the way for too long.
func busy(cause error) error {
	return &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: "store_busy", Message: "The store is busy.", Cause: cause, RetryAfter: time.Second}
}

// storageFull is the answer when the disk is full. It passes when there is space again.
func storageFull(cause error) error {
	return &forgecroft.Error{Kind: forgecroft.KindStorageFull, Code: "storage_full", Message: "The disk of the store is full.", Cause: cause}
}
