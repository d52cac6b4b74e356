//go:build unix

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NoFollow is the flag of [os.OpenFile] that refuses a symbolic link.
const NoFollow = syscall.O_NOFOLLOW

// PrivateUmask makes files private that others create for this process, such as a library.
func PrivateUmask() { unix.Umask(0o077) }

func mkdirPrivate(path string) error { return os.Mkdir(path, 0o700) }

func createPrivate(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func checkPrivate(path string, info fs.FileInfo, most fs.FileMode) error {
	if mode := info.Mode().Perm(); mode&^most != 0 {
		return fmt.Errorf("%s has mode %04o, so others may use it; run: chmod %04o %s", path, mode, most, path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, but the server runs as user %d; run it as the owner, or chown it",
			path, stat.Uid, os.Geteuid())
	}
	return nil
}

func checkUnread(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others may read it (mode %04o); run: chmod 600 %s", mode, path)
	}
	return nil
}

// nameless makes a private file without a name, which is gone when it is closed.
func nameless(directory string) (*os.File, error) {
	f, err := CreateTempPrivate(directory, ".forgecroft-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// TryLock locks an open file or directory until it is closed, or returns [ErrLocked].
func TryLock(f *os.File) error {
	err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// Lock waits for the lock of an open file, which ends when the file is closed.
// [errors.ErrUnsupported] where the file system has no locks.
func Lock(f *os.File) error {
	err := flock(f, unix.LOCK_EX)
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP) {
		return errors.ErrUnsupported
	}
	return err
}

// flock is flock(2), which a signal may interrupt.
func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// SyncDirectory makes the names in a directory durable.
func SyncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// FreeSpace is how many bytes this process may still write to the file system of a directory.
func FreeSpace(directory string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(directory, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

// withoutCores keeps this process and its children from leaving core dumps.
func withoutCores() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
