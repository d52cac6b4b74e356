package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
)

// keptPages is how many pages of a copy are written before the caller is asked whether it still wants it.
const keptPages = 4096

// keptName is what the copy of a file is called that was made before the schema left a version: metadata.db becomes metadata-schema-3.db.
func keptName(path string, version int64) string {
	extension := filepath.Ext(path)
	return fmt.Sprintf("%s-schema-%d%s", strings.TrimSuffix(path, extension), version, extension)
}

// keepCopy copies the file as it is before it is migrated: the way back to the older binary. The copy appears whole and durable, or not at all, and nobody but
// its owner may read it. Where there is no room for it and for the migration, neither begins.
func keepCopy(ctx context.Context, c *conn, path string, version int64, logger *slog.Logger) error {
	kept := keptName(path, version)
	if err := checkRoom(ctx, c, filepath.Dir(path)); err != nil {
		return err
	}
	draft := kept + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) { // An earlier attempt was cut off.
		return err
	}
	if err := writeCopy(ctx, c, draft); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	if err := os.Rename(draft, kept); err != nil {
		return err
	}
	if err := host.SyncDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	logger.InfoContext(ctx, "kept a copy of the database from before the migration", "path", kept, "schema", version)
	return nil
}

// checkRoom refuses to begin where a copy of the file, and the log of a migration that writes every page anew, would fill the disk.
func checkRoom(ctx context.Context, c *conn, directory string) error {
	var size, pages int64
	for name, into := range map[string]*int64{"page_size": &size, "page_count": &pages} {
		if err := c.query(ctx, "PRAGMA "+name, nil, func(r *row) { *into = r.int() }); err != nil {
			return err
		}
	}
	free, err := host.FreeSpace(directory)
	if err != nil {
		return fmt.Errorf("looking for free space in %s: %w", directory, err)
	}
	need := 2 * size * pages
	if free >= need {
		return nil
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindStorageFull, Code: "storage_full",
		Message: fmt.Sprintf("The database has to be migrated. That takes %d bytes, with the copy from before, and %s has %d left: make room and start again; nothing was changed.", need, directory, free),
	}
}

// writeCopy writes the committed state of a file to another one (sqlite.org/backup.html), which must not exist.
func writeCopy(ctx context.Context, c *conn, to string) error {
	f, err := host.CreatePrivate(to)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	source, is := c.raw.(interface {
		NewBackup(to string) (*sqlite.Backup, error)
	})
	if !is {
		return errors.New("the driver of SQLite cannot copy a database")
	}
	address, err := host.FileURL(to, nil)
	if err != nil {
		return err
	}
	copying, err := source.NewBackup(address)
	if err != nil {
		return translateSQLite(err)
	}
	for more := true; more && err == nil; {
		if err = ctx.Err(); err == nil {
			more, err = copying.Step(keptPages)
		}
	}
	if err = errors.Join(err, copying.Finish()); err != nil { // Finish makes what was written durable.
		return translateSQLite(err)
	}
	return nil
}
