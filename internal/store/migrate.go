package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// migrations hold the tables of every dialect: numbered, forward-only, each in a transaction. A released one is never changed.
//
//go:embed migrations
var migrations embed.FS

// migrateSQLite brings the tables up to date, and keeps a copy of what they were. A file that is ahead of this binary is refused before anything is written.
func migrateSQLite(ctx context.Context, c *conn, path string, logger *slog.Logger) error {
	version, err := schemaVersion(ctx, c)
	if err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if version > 0 && version < Schema() {
		if err := keepCopy(ctx, c, path, version, logger); err != nil {
			return fmt.Errorf("keeping a copy before the migration from schema version %d to %d: %w", version, Schema(), err)
		}
	}
	dsn, err := sqliteDSN(path, writerCache, false)
	if err != nil {
		return err
	}
	db := sql.OpenDB(watched(sqliteConnector(dsn)))
	db.SetMaxOpenConns(1)
	return errors.Join(migrate(ctx, db, goose.DialectSQLite3, "migrations/sqlite", version, logger), db.Close())
}

// watched is where tests look at the statements of migrations.
var watched = func(c driver.Connector) driver.Connector { return c }

// sqliteConnector opens a SQLite file by its address.
type sqliteConnector string

// Connect implements [driver.Connector].
func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(string(c))
}

// Driver implements [driver.Connector].
func (sqliteConnector) Driver() driver.Driver { return new(sqlite.Driver) }

// schemaVersion is the number of the last migration that the file has seen; 0 for a new one.
func schemaVersion(ctx context.Context, c *conn) (version int64, err error) {
	known := int64(0)
	err = c.query(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'", nil, func(r *row) { known = r.int() })
	if err != nil || known == 0 {
		return 0, err
	}
	err = c.query(ctx, "SELECT max(version_id) FROM goose_db_version", nil, func(r *row) { version = r.int() })
	return version, err
}

// migrate runs the migrations that are missing.
func migrate(ctx context.Context, db *sql.DB, d goose.Dialect, directory string, version int64, logger *slog.Logger, options ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, directory)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(d, db, files, append(options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	switch {
	case version > newest:
		return tooNew(version, newest)
	case version == newest:
		return nil
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrating the database from schema version %d to %d: %w", version, newest, err)
	}
	for _, r := range results {
		logger.InfoContext(ctx, "migrated the database", "migration", filepath.Base(r.Source.Path), "took", r.Duration)
	}
	// A newer binary that started at the same moment may have been the first to migrate.
	if version, err = provider.GetDBVersion(ctx); err == nil && version > newest {
		err = tooNew(version, newest)
	}
	return err
}

// tooNew refuses a database that a newer binary has migrated.
func tooNew(version, newest int64) error {
	return fmt.Errorf("the database is at schema version %d, this binary knows versions up to %d: "+
		"a newer Forgecroft has used it. Run that one, or restore a backup from before the upgrade; nothing was changed", version, newest)
}
