package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// How large a file may be to be checked page by page at start: always, and after a stop that was not clean. Beyond, a start would take too
// long, and fsck is there.
const (
	alwaysChecked       = 4 << 20
	checkedAfterUnclean = 128 << 20
)

// fileState is what can be known of a vault file before SQLite opens it.
type fileState struct {
	exists bool
	size   int64
	logged bool // there is a log that was not carried over: the last stop was not clean
}

// inspect looks at the file and at what lies around it. It must run before SQLite opens the file: closing any descriptor of a file drops all of
// the process's locks on it (sqlite.org/howtocorrupt.html, section 2.2).
func inspect(path string) (fileState, error) {
	var state fileState
	directory, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return state, fmt.Errorf("looking at the directory of the vault: %w", err)
	}
	if err := host.CheckPrivate(filepath.Dir(path), directory, host.PrivateDir); err != nil {
		return state, err
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		info, err := os.Lstat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return state, fmt.Errorf("looking at the vault file: %w", err)
		}
		if err := host.CheckPrivate(path+suffix, info, host.PrivateFile); err != nil {
			return state, err
		}
		switch suffix {
		case "":
			state.exists, state.size = true, info.Size()
		case "-wal":
			state.logged = info.Size() > 0
		}
	}
	switch {
	case state.exists:
		return state, checkHeader(path, state)
	case state.logged:
		return state, damaged(fmt.Errorf("%s is missing, but its log %s-wal is there", path, path))
	}
	return state, nil
}

// checkHeader refuses what is not a whole vault file (sqlite.org/fileformat2.html, section 1.3).
func checkHeader(path string, state fileState) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the vault file: %w", err)
	}
	defer f.Close()
	var header [100]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || !bytes.Equal(header[:16], []byte("SQLite format 3\x00")) {
		return damaged(errors.New("the file is empty, cut off, or no SQLite database"))
	}
	if id := binary.BigEndian.Uint32(header[68:]); id != applicationID {
		return damaged(fmt.Errorf("the file is no vault of Forgecroft: its application id is %#x", id))
	}
	if version := binary.BigEndian.Uint32(header[60:]); version > formatVersion {
		return fmt.Errorf("the vault file has format %d, but this version of Forgecroft knows only %d: use the newer one", version, formatVersion)
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if pages := int64(binary.BigEndian.Uint32(header[28:])); !state.logged && pages*pageSize > state.size {
		return damaged(fmt.Errorf("the file has %d bytes, but its header says %d", state.size, pages*pageSize))
	}
	return nil
}

// createFile makes a vault file with its first keys. It is built under another name and renamed when it is whole and durable, so that a file
// of that name is never a beginning.
func createFile(ctx context.Context, path string, ring *envelope.Ring) error {
	temp := path + ".new"
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} { // what an earlier crash left; it never held a secret
		if err := os.Remove(temp + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an unfinished vault file: %w", err)
		}
	}
	f, err := host.CreatePrivate(temp)
	if err != nil {
		return fmt.Errorf("making the vault file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("making the vault file: %w", err)
	}
	if err := writeSchema(ctx, temp, ring); err != nil {
		return fmt.Errorf("making the tables of the vault: %w", err)
	}
	if err := syncFile(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("making the vault file: %w", err)
	}
	return host.SyncDirectory(filepath.Dir(path))
}

// writeSchema makes the tables and closes the file without a log beside it.
func writeSchema(ctx context.Context, path string, ring *envelope.Ring) error {
	db, err := connect(ctx, path, writerCache, 1, false)
	if err != nil {
		return err
	}
	err = initialise(ctx, db.ExecContext, ring)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if _, err := os.Lstat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("SQLite could not carry over the log of the new file")
	}
	return nil
}

// syncFile makes the content of a file durable.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening a file to sync it: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	return nil
}
