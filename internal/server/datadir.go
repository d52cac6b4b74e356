package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// networkFileSystems are those on which SQLite's locks and syncs do not hold (sqlite.org/howtocorrupt.html), by the magic number that
// statfs(2) gives.
var networkFileSystems = map[int64]string{ // magic → name
	0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x5346414f: "AFS", 0x00c36400: "Ceph", 0x7461636f: "OCFS2", 0x01021997: "9P",
}

// dataDir is an opened and locked data directory.
type dataDir struct{ lock *os.File }

// openDataDir makes the directory if it is missing, checks that nobody else can look into it, and locks it. A second server on the same
// directory is refused: two would not see each other's changes.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := checkPrivate(path, 0o700); err != nil {
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
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
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

// checkPrivate refuses a file or directory that others may read, or that belongs to somebody else.
func checkPrivate(path string, most os.FileMode) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	if mode := os.FileMode(stat.Mode).Perm(); mode&^most != 0 {
		return fmt.Errorf("%s has mode %04o, so others may read it; run: chmod %04o %s", path, mode, most, path)
	}
	if int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, but the server runs as user %d; run it as the owner, or chown it", path, stat.Uid, os.Geteuid())
	}
	return nil
}

// checkFileSystem refuses network file systems.
func checkFileSystem(path string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return fmt.Errorf("looking at the file system of %s: %w", path, err)
	}
	if name, network := networkFileSystems[int64(stat.Type)]; network {
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
			if err := checkPrivate(path+"/"+e.Name(), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// harden keeps memory out of core dumps and out of the reach of other processes of the same user, and makes new files private. Failing
// is no reason not to start.
func harden() {
	unix.Umask(0o077)
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
