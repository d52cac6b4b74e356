package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
)

// movedSuffix is what a source is called once everything was read back from the target: kept, but not in anybody's way.
const movedSuffix = ".moved"

// MigrateDatabase moves the metadata of a stopped server from its data directory to the PostgreSQL database of the settings. Cut off, it is repeated: the rows
// are there all at once. The file is let go, under another name, when everything was read back.
func MigrateDatabase(ctx context.Context, c Config, progress backup.Progress, stderr io.Writer) (backup.Moved, error) {
	if c.DatabaseURL.IsZero() {
		return backup.Moved{}, errors.New("give the target in FORGECROFT_DATABASE_URL, as the server will have it")
	}
	return migrate(c, metadataFile, stderr, func(h *house) (backup.Moved, error) {
		from := &house{config: c, logger: h.logger, fatal: h.fatal}
		from.config.DatabaseURL = forgecroft.Secret{}
		if err := from.openDatabase(ctx); err != nil {
			return backup.Moved{}, err
		}
		moved, err := moveDatabase(ctx, from, h, progress)
		return moved, errors.Join(err, from.closeStores())
	})
}

// moveDatabase moves between opened houses.
func moveDatabase(ctx context.Context, from, to *house, progress backup.Progress) (backup.Moved, error) {
	if err := from.store.Integrity(ctx); err != nil {
		return backup.Moved{}, fmt.Errorf("the source is damaged: %w", err)
	}
	if err := to.openDatabase(ctx); err != nil {
		return backup.Moved{}, err
	}
	return backup.MoveTables(ctx, from.store, to.store, progress)
}

// MigrateVault moves the secrets of a stopped server from its data directory to the OpenBao of the settings. Cut off, it is repeated and goes on where it was. The
// file is let go, under another name, when every secret was read back. fromKeyFile is the key file of the source; empty: the keys of the settings, which the target
// then seals with as well.
func MigrateVault(ctx context.Context, c Config, fromKeyFile string, progress backup.Progress, stderr io.Writer) (backup.Moved, error) {
	if c.Vault != vaultOpenBao {
		return backup.Moved{}, errors.New("give the target by --vault openbao and its settings, as the server will have them")
	}
	if c.DatabaseURL.IsZero() && !exists(c.path(metadataFile)) {
		return backup.Moved{}, fmt.Errorf("%s holds no Forgecroft data; name the server's --data-dir", c.DataDir)
	}
	c, err := c.holdingKeys()
	if err != nil {
		return backup.Moved{}, err
	}
	return migrate(c, vaultFile, stderr, func(h *house) (backup.Moved, error) {
		if err := h.openDatabase(ctx); err != nil {
			return backup.Moved{}, err
		}
		from := &house{config: c, logger: h.logger, fatal: h.fatal}
		if fromKeyFile != "" {
			from.config.KeyFile, from.config.KeyText = fromKeyFile, forgecroft.Secret{}
		}
		if err := from.openEmbedded(ctx, true); err != nil {
			return backup.Moved{}, err
		}
		moved, err := h.moveVault(ctx, from.vault, progress)
		return moved, errors.Join(err, from.closeStores())
	})
}

// holdingKeys is the configuration with the keys of a descriptor, which can be read only once, in memory.
func (c Config) holdingKeys() (Config, error) {
	if c.KeyFD == "" {
		return c, nil
	}
	source, err := (&house{config: c}).keySource()
	if err != nil {
		return c, err
	}
	ring, err := source.Load()
	if err != nil {
		return c, err
	}
	c.KeyFD, c.KeyText = "", forgecroft.NewSecret(string(ring.Format()))
	return c, nil
}

// moveVault copies all secrets, and reads them back by a vault that remembers nothing of the copying.
func (h *house) moveVault(ctx context.Context, from forgecroft.Vault, progress backup.Progress) (moved backup.Moved, err error) {
	err = h.withBao(ctx, false, func(to *openbao.Vault) error {
		moved, err = backup.MoveSecrets(ctx, h.store, from, to, progress)
		return err
	})
	if err != nil {
		return moved, err
	}
	return moved, h.withBao(ctx, true, func(to *openbao.Vault) error { return backup.CompareSecrets(ctx, h.store, from, to, progress) })
}

// withBao works with the vault in OpenBao.
func (h *house) withBao(ctx context.Context, mustExist bool, work func(*openbao.Vault) error) error {
	v, err := h.bao(ctx, mustExist)
	if err != nil {
		return err
	}
	return errors.Join(work(v), v.Close())
}

// migrate moves one file of a locked data directory elsewhere, and then lets it go.
func migrate(c Config, file string, stderr io.Writer, move func(h *house) (backup.Moved, error)) (moved backup.Moved, err error) {
	harden()
	path := c.path(file)
	switch {
	case !exists(path) && exists(path+movedSuffix):
		return moved, fmt.Errorf("it was moved already: %s is what is left of it", path+movedSuffix)
	case !exists(path):
		return moved, fmt.Errorf("%s is not there: name the server's --data-dir", path)
	}
	dir, err := openDataDir(c.DataDir)
	if err != nil {
		return moved, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := checkDataFiles(c.DataDir); err != nil {
		return moved, err
	}
	h := &house{config: c, logger: maintenanceLog(stderr), fatal: make(chan error, 1)}
	moved, err = move(h)
	if err := errors.Join(err, h.closeStores()); err != nil {
		return moved, err
	}
	if err := setAside(c, file); err != nil {
		return moved, fmt.Errorf("letting the source go: %w", err)
	}
	return moved, nil
}
