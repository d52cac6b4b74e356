package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
)

// publish hands out a new owner key before it is committed, so that no key exists that is written
// down nowhere. It goes to the file that the operator named, for now under a name of its own (see
// [house.nameOwnerKey]), and otherwise once to the screen. With a URL, the CLI is logged in there if
// that is wanted.
func (h *house) publish(stdout io.Writer, url string, k broker.OwnerKey) error {
	file := h.config.OwnerKeyFile
	if _, err := os.Lstat(file); file != "" && err == nil {
		return ownerKeyFileExists(file)
	}
	if h.config.SaveLogin != nil && url != "" {
		if err := h.config.SaveLogin(url, k.Raw); err != nil {
			return fmt.Errorf("logging the CLI in: %w", err)
		}
		fmt.Fprintln(stdout, "The CLI on this machine is logged in with the owner key.")
	}
	if file != "" {
		return writeWhole(pendingOwnerKey(file), k.Raw.Reveal()+"\n")
	}
	_, err := fmt.Fprintf(stdout, "Organization %q is ready. Its owner key, shown this once:\n\n    %s\n\n", k.Organization.Name, k.Raw.Reveal())
	return err
}

// pendingOwnerKey is the file that holds an owner key until it is committed.
func pendingOwnerKey(file string) string { return file + ".pending" }

// ownerKeyFileExists refuses to overwrite what may be the key of another installation.
func ownerKeyFileExists(file string) error {
	return fmt.Errorf("the owner key file %s exists and is not overwritten: move it away, or name another file with --owner-key-file", file)
}

// nameOwnerKey gives the file of a committed owner key the name that the operator chose. It runs at
// every start, since one that was cut off may have committed the key, and the next is no first start
// any more. What lies there but is not a live key stems from a start that committed nothing: it goes.
func (h *house) nameOwnerKey(stdout io.Writer, live func(forgecroft.Secret) bool) error {
	file := h.config.OwnerKeyFile
	if file == "" {
		return nil
	}
	pending := pendingOwnerKey(file)
	text, err := os.ReadFile(pending)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the new owner key: %w", err)
	}
	if !live(forgecroft.NewSecret(strings.TrimSpace(string(text)))) {
		return os.Remove(pending)
	}
	if err := rename(pending, file); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; the new owner key is in %s", ownerKeyFileExists(file), pending)
	} else if err != nil {
		return fmt.Errorf("naming the owner key file: %w", err)
	}
	if err := host.SyncDirectory(filepath.Dir(file)); err != nil {
		return fmt.Errorf("naming the owner key file: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "The owner key is in %s.\n", file)
	return err
}

// live tells whether a key is one of the installation's.
func live(ctx context.Context, b *broker.Broker) func(forgecroft.Secret) bool {
	return func(raw forgecroft.Secret) bool {
		_, err := b.Authenticate(ctx, raw.Reveal())
		return err == nil
	}
}

// rename renames a file, but never over another one: the error is [fs.ErrExist] then. A hard link
// does that in one step; not every file system has them.
func rename(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		return os.Remove(from)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(from, to)
}
