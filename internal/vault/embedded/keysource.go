package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// maxKeyText bounds what is read of a key source; the text form of a ring is shorter.
const maxKeyText = 64<<10 + 1

// KeySource is where the key ring of a vault, of this one or one behind a network, comes from: [FileKeys], [TextKeys] or [FDKeys]. A command line
// is none, since every process of the machine can read it.
type KeySource interface {
	// String names the source for a person. It holds nothing secret.
	String() string
	// Load reads the ring. A source that is not there yet is [fs.ErrNotExist].
	Load() (*envelope.Ring, error)
	// Create writes the first ring durably, and fails if there is one.
	Create(ring *envelope.Ring) error
	// Update replaces the ring by what change makes of the one that is there, atomically and durably, while no other process does the same. A failure of change is
	// returned as it is. KindUnprocessable with code key_source_read_only where the source cannot be written, [forgecroft.KindStorageFull] on a full disk.
	Update(change func(now *envelope.Ring) (*envelope.Ring, error)) error
}

// fileKeys is a key ring in a file.
type fileKeys struct{ path string }

// FileKeys keeps the key ring in a file, which is made, with mode 0600, together with a new vault. One that others may read, or that belongs
// to somebody else, is refused.
func FileKeys(path string) KeySource { return fileKeys{path} }

// String implements [KeySource].
func (k fileKeys) String() string { return "the key file " + k.path }

// Load implements [KeySource].
func (k fileKeys) Load() (*envelope.Ring, error) {
	f, err := os.OpenFile(k.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // A named pipe must not block.
	if err != nil {
		return nil, fmt.Errorf("opening the key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at the key file: %w", err)
	}
	if err := host.CheckPrivate(k.path, info, host.PrivateFile); err != nil {
		return nil, err
	}
	text, err := readKeyText(f)
	defer clear(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	ring, err := envelope.ParseRing(text)
	if err != nil {
		return nil, fmt.Errorf("the key file %s: %w", k.path, err)
	}
	return ring, nil
}

// Create implements [KeySource].
func (k fileKeys) Create(ring *envelope.Ring) error {
	temp, err := writeBeside(k.path, ring)
	if err != nil {
		return err
	}
	// A link, unlike a rename, never replaces anything.
	if err := os.Link(temp, k.path); err != nil {
		return errors.Join(fmt.Errorf("making the key file: %w", err), os.Remove(temp))
	}
	if err := os.Remove(temp); err != nil {
		return fmt.Errorf("making the key file: %w", err)
	}
	return host.SyncDirectory(filepath.Dir(k.path))
}

// Update implements [KeySource]. Processes that share the file take turns by a lock on a file beside it, which stays: the key file itself is replaced.
func (k fileKeys) Update(change func(now *envelope.Ring) (*envelope.Ring, error)) error {
	path, err := filepath.EvalSymlinks(k.path) // A rename would put a file where the link is.
	if err != nil {
		return fmt.Errorf("finding the key file: %w", err)
	}
	turn, err := lockFile(path + ".lock")
	if err != nil {
		return keySourceFailure(fmt.Errorf("locking the key file: %w", err))
	}
	defer turn.Close()
	now, err := k.Load()
	if err != nil {
		return err
	}
	next, err := change(now)
	if err != nil {
		return err
	}
	return keySourceFailure(replace(path, next))
}

// lockFile waits for the lock on a file, which ends when it is closed. Where the file system knows no locks, there is none.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|host.NoFollow, 0o600)
	if err != nil {
		return nil, err
	}
	if err := host.Lock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// replace puts another ring in the place of a file.
func replace(path string, ring *envelope.Ring) error {
	temp, err := writeBeside(path, ring)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("replacing the key file: %w", err)
	}
	return host.SyncDirectory(filepath.Dir(path))
}

// writeBeside writes a ring durably into a private file beside path and returns its name. What an earlier crash left there goes.
func writeBeside(path string, ring *envelope.Ring) (string, error) {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("removing an unfinished key file: %w", err)
	}
	f, err := host.CreatePrivate(temp)
	if err != nil {
		return "", fmt.Errorf("making the key file: %w", err)
	}
	text := ring.Format()
	defer clear(text)
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("writing the key file: %w", err), os.Remove(temp))
	}
	return temp, nil
}

// textKeys is a key ring that was handed over.
type textKeys struct {
	text string
	from string
}

// TextKeys takes the text form of a key ring, such as the value of an environment variable, which the caller unsets. Such a source is
// read-only: rings that change are kept in a file.
func TextKeys(text string) KeySource { return textKeys{text, "the key ring of the environment"} }

// FDKeys reads a key ring from an open file descriptor and closes it. Such a source is read-only.
func FDKeys(fd uintptr) (KeySource, error) {
	f := os.NewFile(fd, "key descriptor")
	if f == nil {
		return nil, fmt.Errorf("the file descriptor %d for the key ring is not open", fd)
	}
	defer f.Close()
	text, err := readKeyText(f)
	defer clear(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key ring from file descriptor %d: %w", fd, err)
	}
	return textKeys{string(text), fmt.Sprintf("the key ring of file descriptor %d", fd)}, nil
}

// String implements [KeySource].
func (k textKeys) String() string { return k.from }

// Load implements [KeySource].
func (k textKeys) Load() (*envelope.Ring, error) {
	ring, err := envelope.ParseRing([]byte(k.text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.from, err)
	}
	return ring, nil
}

// Create implements [KeySource].
func (k textKeys) Create(*envelope.Ring) error { return keySourceReadOnly(nil) }

// Update implements [KeySource].
func (k textKeys) Update(func(*envelope.Ring) (*envelope.Ring, error)) error {
	return keySourceReadOnly(nil)
}

// readKeyText reads the text of a ring, or so much of it that the parser finds it too long.
func readKeyText(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxKeyText)) }
