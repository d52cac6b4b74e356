package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
)

// applicationID marks a SQLite file as ours ("Fcft"; sqlite.org/fileformat2.html, section 1.3.5). The first migration sets it.
const applicationID = 0x46636674

// How large a file may be to be checked at start: always, with every index and reference; and page by page, after a stop that was not clean.
// Beyond, a start would take too long, and fsck is there.
const (
	alwaysChecked       = 4 << 20
	checkedAfterUnclean = 128 << 20
)

// fileState is what can be known of a SQLite file before it is opened.
type fileState struct {
	size    int64
	unclean bool // there is a log that was not carried over
}

// inspectFile looks at the file, or makes an empty one that only we can read. It must run before SQLite opens the file: closing
// any descriptor of a file drops all of the process's locks on it (sqlite.org/howtocorrupt.html, section 2.2).
func inspectFile(path string) (fileState, error) {
	var state fileState
	f, err := host.CreatePrivate(path)
	if err == nil {
		return state, errors.Join(f.Close(), host.SyncDirectory(filepath.Dir(path)))
	}
	if !errors.Is(err, fs.ErrExist) {
		return state, err
	}
	if f, err = os.Open(path); err != nil {
		return state, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return state, err
	}
	if err := f.Chmod(0o600); err != nil {
		return state, fmt.Errorf("making the file private: %w", err)
	}
	state.size = info.Size()
	if log, err := os.Stat(path + "-wal"); err == nil {
		state.unclean = log.Size() > 0
	}
	return state, checkHeader(f, state)
}

// checkHeader refuses what is not a whole SQLite file in WAL mode (sqlite.org/fileformat2.html, section 1.3).
func checkHeader(f io.Reader, state fileState) error {
	if state.size == 0 {
		return nil
	}
	var header [100]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || !bytes.Equal(header[:16], []byte("SQLite format 3\x00")) {
		return damaged("the file is not a SQLite database")
	}
	if header[18] != 2 || header[19] != 2 {
		return damaged("the file is not a database of Forgecroft: it is not in WAL mode")
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if pages := int64(binary.BigEndian.Uint32(header[28:])); !state.unclean && pages*pageSize > state.size {
		return damaged("the file has %d bytes, but its header says %d", state.size, pages*pageSize)
	}
	return nil
}

// damaged is the refusal of a file that cannot be trusted.
func damaged(format string, args ...any) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindIntegrity, Code: "store_damaged", Cause: fmt.Errorf(format, args...),
		Message: "The database file is damaged. Restore it from a backup.",
	}
}

// checkFile refuses a file that is not ours, and one whose pages do not fit together.
func checkFile(ctx context.Context, c *conn, before fileState, logger *slog.Logger) error {
	var id, tables int64
	if err := c.query(ctx, "PRAGMA application_id", nil, func(r *row) { id = r.int() }); err != nil {
		return err
	}
	if err := c.query(ctx, "SELECT count(*) FROM sqlite_schema", nil, func(r *row) { tables = r.int() }); err != nil {
		return err
	}
	if id != applicationID && (id != 0 || tables > 0 && !onlyVersionTable(ctx, c)) {
		return damaged("the file is not a database of Forgecroft: its application id is %#x", id)
	}
	switch {
	case before.size <= alwaysChecked:
		return integritySQLite(ctx, c)
	case before.unclean && before.size <= checkedAfterUnclean:
		return runCheck(ctx, c, "PRAGMA quick_check(1)")
	case before.unclean:
		logger.WarnContext(ctx, "the server was not stopped cleanly and the database is too large to be checked at start; run forgecroft server fsck when convenient",
			"bytes", before.size)
	}
	return nil
}

// onlyVersionTable reports whether the first start was cut off between making the table of versions and the first migration.
func onlyVersionTable(ctx context.Context, c *conn) bool {
	others := int64(-1)
	err := c.query(ctx, "SELECT count(*) FROM sqlite_schema WHERE name NOT IN ('goose_db_version', 'sqlite_sequence')", nil, func(r *row) { others = r.int() })
	return err == nil && others == 0
}

// runCheck runs one of SQLite's checks, which return "ok" or a list of what is wrong.
func runCheck(ctx context.Context, c *conn, text string) error {
	var first string
	err := c.query(ctx, text, nil, func(r *row) {
		if first == "" {
			first = r.text()
		}
	})
	if err != nil {
		return err
	}
	if first != "ok" {
		return damaged("%s: %s", text, first)
	}
	return nil
}

// integritySQLite checks every page, index and constraint, and every reference between rows.
func integritySQLite(ctx context.Context, c *conn) error {
	if err := runCheck(ctx, c, "PRAGMA integrity_check(10)"); err != nil {
		return err
	}
	var table, parent string
	if err := c.query(ctx, "PRAGMA foreign_key_check", nil, func(r *row) { table, _, parent = r.text(), r.int(), r.text() }); err != nil {
		return err
	}
	if table != "" {
		return damaged("a row of %s points at a row of %s that is not there", table, parent)
	}
	return nil
}
