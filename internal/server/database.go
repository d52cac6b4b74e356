package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

// stateless reports whether a server keeps nothing on its own disk: one of any number of replicas.
func (c *Config) stateless() bool {
	return !c.DatabaseURL.IsZero() && c.Vault == vaultOpenBao && c.MoveFrom == ""
}

// openStores opens the vault and the metadata database. A database file is opened after the vault, so that a wrong key is refused before anything is
// written. A database server is asked first whether the installation exists: at a first start, and after an upgrade, its tables are
// made before the key is known to be right, which changes nothing that the key protects.
func (h *house) openStores(ctx context.Context) error {
	if !h.config.stateless() {
		if err := checkDataFiles(h.config.DataDir); err != nil {
			return err
		}
	}
	if h.config.DatabaseURL.IsZero() {
		return h.openFiles(ctx)
	}
	if !h.config.stateless() && exists(h.config.path(metadataFile)) {
		return fmt.Errorf("%s is there, but FORGECROFT_DATABASE_URL names another database: move the one to the other with forgecroft migrate database, or unset the variable", h.config.path(metadataFile))
	}
	if err := h.openDatabase(ctx); err != nil {
		return err
	}
	begun, err := h.begun(ctx)
	if err != nil {
		return err
	}
	return h.openVault(ctx, begun)
}

// openFiles opens the vault and then the database file.
func (h *house) openFiles(ctx context.Context) error {
	if err := h.openVault(ctx, exists(h.config.path(metadataFile))); err != nil {
		return err
	}
	return h.openDatabase(ctx)
}

// openDatabase opens the metadata database of the settings.
func (h *house) openDatabase(ctx context.Context) (err error) {
	o := store.Options{Path: h.config.path(metadataFile), URL: h.config.DatabaseURL, Logger: h.logger, OnFatal: h.fail}
	if !o.URL.IsZero() {
		h.store, err = store.OpenPostgres(ctx, o)
		return err
	}
	if h.store, err = store.OpenSQLite(ctx, o); err != nil {
		return fmt.Errorf("opening the metadata database: %w", err)
	}
	return nil
}

// begun reports whether the database holds an installation, or the beginning of one: the intent that comes before its first secret.
func (h *house) begun(ctx context.Context) (bool, error) {
	_, err := h.store.Instance(ctx)
	if err == nil || !errors.Is(err, forgecroft.KindNotFound) {
		return err == nil, err
	}
	far := time.Now().AddDate(100, 0, 0)
	intents, err := h.store.Intents(ctx, far, 1)
	return len(intents) > 0, err
}
