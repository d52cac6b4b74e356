package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/forgecroft/forgecroft/internal/host"
)

// dataDir is an opened and locked data directory.
type dataDir struct{ lock *os.File }

// openDataDir makes the directory if it is missing, checks that nobody else can look into it, and locks it. A second server on the same
// directory is refused: two would not see each other's changes.
func openDataDir(path string) (*dataDir, error) {
	if err := host.MakePrivateDir(path); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := host.CheckPrivatePath(path, host.PrivateDir); err != nil {
		return nil, err
	}
	if err := checkFileSystem(path); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the data directory: %w", err)
	}
	defer root.Close()
	lock, err := root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := host.TryLock(lock); err != nil {
		_ = lock.Close()
		if errors.Is(err, host.ErrLocked) {
			return nil, fmt.Errorf("another forgecroft is running on the data directory %s; stop it first, or choose another --data-dir", path)
		}
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	return &dataDir{lock}, nil
}

// Close gives the directory back.
func (d *dataDir) Close() error {
	if d == nil {
		return nil
	}
	return d.lock.Close()
}

// checkFileSystem refuses network file systems.
func checkFileSystem(path string) error {
	name, err := host.NetworkFileSystem(path)
	if err != nil {
		return fmt.Errorf("finding the file system of %s: %w", path, err)
	}
	if name != "" {
		return fmt.Errorf("%s lies on %s: a network file system loses database writes; choose a local --data-dir", path, name)
	}
	return nil
}

// checkDataFiles refuses to start while a file of the data directory is readable by others.
func checkDataFiles(path string) error {
	if present(filepath.Join(path, stagingDir)) {
		return fmt.Errorf("a restore into %s was cut off: run it again, or remove %s to give it up", path, filepath.Join(path, stagingDir))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("reading the data directory: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := host.CheckPrivatePath(filepath.Join(path, e.Name()), host.PrivateFile); err != nil {
				return err
			}
		}
	}
	return nil
}

// harden keeps this process's memory to itself, and makes new files private. Failing is no reason not to start.
func harden() {
	host.PrivateUmask()
	host.Harden()
}
