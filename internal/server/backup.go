package server

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Backup writes a backup of a server that is stopped to a file that does not exist yet.
func Backup(ctx context.Context, c Config, path string, progress backup.Progress, stderr io.Writer) (backup.Manifest, error) {
	var m backup.Manifest
	err := maintain(ctx, c, stderr, func(h *house) error {
		taken, err := h.takeBackup(ctx, progress)
		if err != nil {
			return err
		}
		defer taken.Close()
		m, err = backup.WriteFile(path, func(w io.Writer) error {
			_, err := taken.WriteTo(w)
			return err
		})
		return err
	})
	return m, err
}

// takeBackup takes a backup of the open stores.
func (h *house) takeBackup(ctx context.Context, progress backup.Progress) (*backup.Taken, error) {
	if h.moving != nil && !h.moving.Done() {
		return nil, forgecroft.Errorf(forgecroft.KindConflict, "secrets_moving", "The secrets are being moved to another vault. Take the backup when that is done; the server's log tells.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	dir := h.config.DataDir
	if h.config.stateless() {
		dir = "" // Where temporary files go.
	}
	return backup.Take(ctx, backup.Source{
		Store: h.store, Vault: h.sealedVault(), Dir: dir, Product: h.config.Version, Holder: id.String(), Now: time.Now, Progress: progress,
	})
}

// serveBackup is what the broker takes a backup with, for an owner who asks the running server for one.
func (h *house) serveBackup(ctx context.Context) (broker.Archive, error) {
	taken, err := h.takeBackup(ctx, nil)
	if err != nil {
		return nil, err // Not the nil *Taken, which would be no nil Archive.
	}
	return taken, nil
}

// sealedVault is the vault if its records can be moved sealed; else nil.
func (h *house) sealedVault() forgecroft.SealedVault {
	if h.vaultFile != nil {
		return h.vaultFile
	}
	if v, is := h.vault.(interface{ SealedVault() forgecroft.SealedVault }); is {
		return v.SealedVault()
	}
	return nil
}

// present reports whether there is anything under a name.
func present(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
