package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/vault/moving"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
)

// The pace of a move: when a failed one is tried again, and how often the log tells how far it is.
const (
	moveRetry  = 10 * time.Second
	moveReport = 5 * time.Second
)

// movingVault is everything that is open while secrets move.
type movingVault struct {
	*moving.Vault
	old       *house // holds the vault file
	to, proof *openbao.Vault
}

// Close closes all of it. The old place is closed already if it was let go.
func (v *movingVault) Close() error {
	err := errors.Join(v.to.Close(), v.proof.Close())
	if v.Done() {
		return err
	}
	return errors.Join(v.old.closeStores(), err)
}

// SealedVault is the new place, for backups, which are refused before the move is over.
func (v *movingVault) SealedVault() forgecroft.SealedVault { return v.to.SealedVault() }

// openMoving opens the vault in the data directory and the one in OpenBao as one. Once the secrets were moved, it is the one in OpenBao alone.
func (h *house) openMoving(ctx context.Context, hasMetadata bool) error {
	file := h.config.path(vaultFile)
	switch {
	case !hasMetadata:
		return errors.New("--vault-move-from: there is nothing to move yet; start without it")
	case !exists(file) && exists(file+movedSuffix):
		h.logger.Info("the secrets were moved before: --vault-move-from can be left out, and what is left of the old vault removed", "left", file+movedSuffix)
		return h.openBao(ctx, true)
	}
	config, err := h.config.holdingKeys()
	if err != nil {
		return err
	}
	h.config = config
	v := &movingVault{old: h.oldVault()}
	if err := v.old.openEmbedded(ctx, true); err != nil {
		return err
	}
	if v.to, err = h.bao(ctx, false); err != nil {
		return errors.Join(err, v.old.closeStores())
	}
	if v.proof, err = h.bao(ctx, true); err != nil {
		return errors.Join(err, v.to.Close(), v.old.closeStores())
	}
	v.Vault = moving.New(moving.Options{From: v.old.vault, To: v.to, Proof: v.proof, LetGo: v.letGo})
	h.vault, h.moving, h.keyRing = v, v.Vault, v.KeyRing(v.to.KeyRing())
	return nil
}

// oldVault is a house around the vault that is moved from.
func (h *house) oldVault() *house {
	old := &house{config: h.config, logger: h.logger, fatal: h.fatal}
	if h.config.MoveFromKeyFile != "" {
		old.config.KeyFile, old.config.KeyText = h.config.MoveFromKeyFile, forgecroft.Secret{}
	}
	return old
}

// letGo closes the old vault file and puts it out of the way, for the operator to remove.
func (v *movingVault) letGo() error {
	if err := v.old.closeStores(); err != nil {
		return err
	}
	return setAside(v.old.config, vaultFile)
}

// setAside renames a file whose content was moved elsewhere.
func setAside(c Config, file string) error {
	path := c.path(file)
	if exists(path + "-wal") {
		return fmt.Errorf("%s has a log that was not carried over; repeat it", path)
	}
	if err := os.Rename(path, path+movedSuffix); err != nil {
		return err
	}
	return host.SyncDirectory(c.DataDir)
}

// moveOn moves secrets until all are moved or ctx ends.
func (h *house) moveOn(ctx context.Context) {
	if h.moving == nil {
		return
	}
	for {
		result, err := h.moving.Move(ctx, h.store, h.moveProgress(ctx))
		for _, lost := range result.Lost {
			h.logger.WarnContext(ctx, "secrets were lost before they could be moved: store them again",
				"organization_id", lost.Binding.OrganizationID, "credential_config_id", lost.Binding.CredentialConfigID, "version", lost.Binding.Version)
		}
		switch {
		case err == nil:
			h.logger.InfoContext(ctx, "all secrets were moved and read back; leave out --vault-move-from at the next start, and remove what is left of the old vault when you trust the new place",
				"moved", result.Moved, "left", h.config.path(vaultFile)+movedSuffix)
			return
		case ctx.Err() != nil:
			return
		case h.moving.Done():
			h.logger.ErrorContext(ctx, "all secrets were moved and read back, but the old vault could not be let go; the next start tries again", "error", err)
			return
		}
		h.logger.WarnContext(ctx, "moving secrets", "error", err, "again_in", moveRetry.String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(moveRetry):
		}
	}
}

// moveProgress tells the log now and then how far a move is.
func (h *house) moveProgress(ctx context.Context) func(done, total int) {
	told := time.Now()
	return func(done, total int) {
		if time.Since(told) < moveReport {
			return
		}
		told = time.Now()
		h.logger.InfoContext(ctx, "moving secrets", "done", done, "of", total)
	}
}

// checkMoveTarget refuses a place in OpenBao that holds what is not of this installation: neither in use nor waiting for the sweeper.
func (h *house) checkMoveTarget(ctx context.Context) error {
	if h.moving == nil {
		return nil
	}
	ours, err := h.ownReferences(ctx)
	if err != nil {
		return err
	}
	for after := forgecroft.Reference(""); ; {
		page, err := h.moving.To.References(ctx, after, listPage)
		if err != nil {
			return fmt.Errorf("looking at what OpenBao holds: %w", err)
		}
		for _, ref := range page {
			if !ours[ref] {
				return errors.New("the place in OpenBao holds secrets that are not of this installation; take another --vault-prefix")
			}
		}
		if len(page) < listPage {
			return nil
		}
		after = page[len(page)-1]
	}
}

// listPage is how many references are listed at once.
const listPage = 500

// ownReferences are all that the database knows of.
func (h *house) ownReferences(ctx context.Context) (map[forgecroft.Reference]bool, error) {
	ours := map[forgecroft.Reference]bool{} // reference → a row or an intent names it
	for after := forgecroft.Reference(""); ; {
		page, err := h.store.SecretBindings(ctx, after, listPage)
		if err != nil {
			return nil, fmt.Errorf("listing live references: %w", err)
		}
		for _, bound := range page {
			ours[bound.Reference], after = true, bound.Reference
		}
		if len(page) < listPage {
			break
		}
	}
	intents, err := h.store.Intents(ctx, time.Now().AddDate(100, 0, 0), maxIntents)
	if err != nil {
		return nil, fmt.Errorf("listing intents: %w", err)
	}
	for _, intent := range intents {
		ours[intent.Reference] = true
	}
	return ours, nil
}

// maxIntents is more than there ever are: each is one secret version that is being stored or destroyed.
const maxIntents = 1 << 20
