//go:build unix

package runner

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/internal/host"
)

// lockDir locks a directory of this user's until the file is closed or the process has ended. It
// fails if another process has it locked.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &stat)
	if err == nil && int(stat.Uid) != os.Geteuid() {
		err = os.ErrPermission
	}
	if err == nil {
		err = host.TryLock(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// removeLocked removes a locked directory, then lets the lock go.
func removeLocked(dir string, lock *os.File) {
	_ = os.RemoveAll(dir)
	_ = lock.Close()
}
