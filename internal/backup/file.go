package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/forgecroft/forgecroft/internal/host"
)

// WriteFile makes the file of a backup, which must not exist yet: it is written beside, made durable, checked as [Open] does, and only then gets its
// name. A file of that name is never a part of a backup.
func WriteFile(path string, write func(io.Writer) error) (_ Manifest, err error) {
	directory := filepath.Dir(path)
	if _, err := os.Lstat(path); err == nil {
		return Manifest{}, fmt.Errorf("%s is there already: choose another name", path)
	}
	f, err := host.CreateTempPrivate(directory, ".forgecroft-backup-*")
	if err != nil {
		return Manifest{}, fmt.Errorf("making the backup file: %w", err)
	}
	defer func() {
		if removing := os.Remove(f.Name()); !errors.Is(removing, fs.ErrNotExist) { // A rename took it.
			err = errors.Join(err, removing)
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return Manifest{}, fmt.Errorf("writing the backup: %w", err)
	}
	archive, err := Open(f.Name())
	if err != nil {
		return Manifest{}, fmt.Errorf("reading the backup back: %w", err)
	}
	if err := archive.Close(); err != nil {
		return Manifest{}, fmt.Errorf("reading the backup back: %w", err)
	}
	if err := name(f.Name(), path); err != nil {
		return Manifest{}, fmt.Errorf("naming the backup file: %w", err)
	}
	return archive.Manifest, host.SyncDirectory(directory)
}

// name gives a file its name. A link, unlike a rename, never replaces anything, but not every file system that backups lie on has links.
func name(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(temp, path)
}
