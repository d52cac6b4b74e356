// Package host does what each operating system has its own means for: files that only their owner
// can use, locks, the state of a file system, and keeping a process's memory to itself. Start with
// [CreatePrivate] and [MakePrivateDir].
//
// Unix keeps files private by mode and owner, Windows by access control lists. Everything here
// means the same on both.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// The most that others may not do: modes for [CheckPrivate].
const (
	PrivateFile fs.FileMode = 0o600
	PrivateDir  fs.FileMode = 0o700
)

// MakePrivateDir makes a directory that only its owner can use, with the directories above it. One
// that is there stays as it is.
func MakePrivateDir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := MakePrivateDir(parent); err != nil {
			return err
		}
	}
	err := mkdirPrivate(path)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() { // Another process was faster.
			return nil
		}
	}
	return err
}

// MkdirPrivate makes a directory that only its owner can use. It must not exist.
func MkdirPrivate(path string) error { return mkdirPrivate(path) }

// attempts is how many names are tried for a temporary file or directory.
const attempts = 1000

// MkdirTempPrivate makes a directory that only its owner can use, with a new name as [os.MkdirTemp]
// makes it.
func MkdirTempPrivate(base, pattern string) (string, error) {
	for range attempts {
		path := tempName(base, pattern)
		err := mkdirPrivate(path)
		if !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
	return "", &fs.PathError{Op: "mkdirtemp", Path: filepath.Join(base, pattern), Err: fs.ErrExist}
}

// CreatePrivate makes a file that only its owner can use, for reading and writing. It must not
// exist.
func CreatePrivate(path string) (*os.File, error) { return createPrivate(path) }

// CreateTempPrivate makes a file that only its owner can use, with a new name as [os.CreateTemp]
// makes it.
func CreateTempPrivate(base, pattern string) (*os.File, error) {
	for range attempts {
		f, err := createPrivate(tempName(base, pattern))
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "createtemp", Path: filepath.Join(base, pattern), Err: fs.ErrExist}
}

// CreateNameless makes a private file in a directory, which is gone when it is closed.
func CreateNameless(directory string) (*os.File, error) { return nameless(directory) }

// tempName puts a random number in the place of the last * of a pattern, or behind it. The base ""
// is the directory of temporary files.
func tempName(base, pattern string) string {
	if base == "" {
		base = os.TempDir()
	}
	number := strconv.FormatUint(rand.Uint64(), 10)
	if i := strings.LastIndexByte(pattern, '*'); i >= 0 {
		return filepath.Join(base, pattern[:i]+number+pattern[i+1:])
	}
	return filepath.Join(base, pattern+number)
}

// CheckPrivate refuses a file or directory that others may use, or that belongs to another user.
// info says what it is; most is [PrivateFile] or [PrivateDir].
func CheckPrivate(path string, info fs.FileInfo, most fs.FileMode) error {
	if !info.Mode().IsRegular() && !info.IsDir() {
		return fmt.Errorf("%s is neither a file nor a directory", path)
	}
	return checkPrivate(path, info, most)
}

// CheckUnread refuses a file that others may read. The owner may be another user, such as root for
// the secrets of a container.
func CheckUnread(path string, info fs.FileInfo) error { return checkUnread(path, info) }

// CheckPrivatePath is [CheckPrivate] for what is at a path.
func CheckPrivatePath(path string, most fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("checking who may use %s: %w", path, err)
	}
	return CheckPrivate(path, info, most)
}

// FileURL is the address of a file (RFC 8089). A path that is not absolute would become the host of
// the URL.
func FileURL(path string, query url.Values) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "file", Path: urlPath(filepath.ToSlash(absolute)), RawQuery: query.Encode()}).String(), nil
}

// urlPath is an absolute path with forward slashes in a URL. The drive of a Windows path is its
// first part.
func urlPath(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}
