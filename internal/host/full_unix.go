//go:build unix

package host

import (
	"errors"
	"syscall"
)

// IsFull reports whether a write failed because the disk, or what a user may use of it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// IsReadOnly reports whether a file cannot be written here, whoever asks or for lack of rights.
func IsReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}

// IsNotDirectory reports whether a part of a path is a file.
func IsNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
