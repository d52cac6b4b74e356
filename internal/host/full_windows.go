package host

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// IsFull reports whether a write failed because the disk, or what a user may use of it, is full.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// IsReadOnly reports whether a file cannot be written here, whoever asks or for lack of rights.
func IsReadOnly(err error) bool {
	return errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, fs.ErrPermission)
}

// IsNotDirectory reports whether a part of a path is a file.
func IsNotDirectory(err error) bool { return errors.Is(err, windows.ERROR_DIRECTORY) }
