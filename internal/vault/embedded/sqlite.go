package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // registers the driver with database/sql

	"github.com/forgecroft/forgecroft/internal/host"
)

// The page caches of one connection, in KiB. Rows are read by key, so a small one serves well.
const (
	writerCache = 2048
	readerCache = 512
)

// readers is how many connections answer what the cache cannot.
const readers = 4

// pragma is a setting of every connection. They stand in the DSN, because one that is executed holds for one connection only, and are read
// back, because SQLite ignores what it does not know.
type pragma struct{ name, value, reads string }

// pragmas are the settings of one kind of connection. synchronous=FULL is what makes a commit in WAL mode survive a power cut.
func pragmas(cacheKiB int) []pragma {
	return []pragma{
		{"journal_mode", "WAL", "wal"},
		{"synchronous", "FULL", "2"},
		{"foreign_keys", "ON", "1"},
		{"secure_delete", "ON", "1"}, // What is deleted is overwritten with zeros.
		{"busy_timeout", "1500", "1500"},
		{"temp_store", "MEMORY", "2"},
		{"mmap_size", "0", "0"}, // A failing disk is an error then, not a signal.
		{"cache_size", fmt.Sprint(-cacheKiB), fmt.Sprint(-cacheKiB)},
		{"wal_autocheckpoint", "0", "0"}, // The writer does it, and sees its errors.
		{"trusted_schema", "OFF", "0"},
		{"cell_size_check", "ON", "1"},
	}
}

// address is the DSN of a connection that changes the file, or of one that only reads it.
func address(path, mode string, cacheKiB int, readOnly bool) (string, error) {
	query := url.Values{"mode": {mode}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"}}
	for _, p := range pragmas(cacheKiB) {
		query.Add("_pragma", p.name+"("+p.value+")")
	}
	if readOnly {
		query.Add("_pragma", "query_only(ON)")
	}
	return host.FileURL(path, query)
}

// connect opens the file with a number of connections, and reads the settings of one back. The file must exist.
func connect(ctx context.Context, path string, cacheKiB, connections int, readOnly bool) (*sql.DB, error) {
	dsn, err := address(path, "rw", cacheKiB, readOnly)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	for _, p := range pragmas(cacheKiB) {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil {
			return nil, errors.Join(translate(err), db.Close())
		}
		if got != p.reads {
			return nil, errors.Join(fmt.Errorf("SQLite did not take the setting %s=%s: it is %s", p.name, p.value, got), db.Close())
		}
	}
	return db, nil
}

// connectToLook opens the file in a way that changes no byte of it or of its log. Without a log there is nothing to recover, and SQLite
// need not make files beside it either.
func connectToLook(path string, logged bool) (*sql.DB, error) {
	query := url.Values{"mode": {"ro"}, "_defensive": {"1"}, "_error_rc": {"1"}, "_pragma": {"temp_store(MEMORY)", "query_only(ON)"}}
	if !logged {
		query.Set("immutable", "1")
	}
	dsn, err := host.FileURL(path, query)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// each runs a query and calls scan for every row.
func each(ctx context.Context, q querier, query string, args []any, scan func(row *sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// querier is a [*sql.DB] or a [*sql.Conn].
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}
