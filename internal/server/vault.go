package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
)

// closingVault is a vault that is open.
type closingVault interface {
	forgecroft.Vault
	Close() error
}

// openVault opens the vault of the settings. Where there is metadata, there must be a vault, and the other way round: a half-restored installation
// is refused, never filled up with something new.
func (h *house) openVault(ctx context.Context, hasMetadata bool) error {
	open := h.openEmbedded
	switch {
	case h.config.MoveFrom != "":
		open = h.openMoving
	case h.config.Vault == vaultOpenBao:
		open = h.openBao
	}
	if err := open(ctx, hasMetadata); err != nil {
		return err
	}
	if hasMetadata {
		return nil
	}
	return h.checkVaultEmpty(ctx)
}

// openEmbedded opens the vault in the data directory.
func (h *house) openEmbedded(ctx context.Context, hasMetadata bool) error {
	if hasMetadata && !exists(h.config.path(vaultFile)) {
		return fmt.Errorf("%s is there, but %s is missing: restore both from the same backup", h.config.path(metadataFile), h.config.path(vaultFile))
	}
	keys, err := h.keySource()
	if err != nil {
		return err
	}
	v, err := embedded.Open(ctx, embedded.Options{
		Path: h.config.path(vaultFile), Keys: keys, MustExist: hasMetadata, Logger: h.logger, OnFatal: h.fail,
	})
	if err != nil {
		return fmt.Errorf("opening the vault: %w", err)
	}
	h.vault, h.vaultFile, h.keyRing = v, v, v
	return nil
}

// openBao opens the vault in OpenBao or HashiCorp Vault.
func (h *house) openBao(ctx context.Context, hasMetadata bool) error {
	if exists(h.config.path(vaultFile)) {
		return fmt.Errorf("%s is there: this installation keeps its secrets in the data directory; start it with --vault embedded, or move them: --vault-move-from embedded does so while the server works, forgecroft migrate vault while it is stopped", h.config.path(vaultFile))
	}
	v, err := h.bao(ctx, hasMetadata)
	if err != nil {
		return err
	}
	h.vault, h.keyRing = v, v.KeyRing()
	return nil
}

// bao opens the place in OpenBao that the settings name.
func (h *house) bao(ctx context.Context, mustExist bool) (*openbao.Vault, error) {
	b := h.config.Bao
	auth, err := b.login()
	if err != nil {
		return nil, err
	}
	o := openbao.Options{
		Address: b.Address, Namespace: b.Namespace, CACert: b.CACert, Mount: b.Mount, Prefix: b.Prefix, Auth: auth,
		MustExist: mustExist, Logger: h.logger,
	}
	if b.Envelope {
		if o.Keys, err = h.keySource(); err != nil {
			return nil, err
		}
	}
	v, err := openbao.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	return v, nil
}

// checkVaultEmpty refuses to begin anew beside a vault that holds something. The metadata database is always made before the first secret, so an
// empty vault is what a first start that was cut off leaves.
func (h *house) checkVaultEmpty(ctx context.Context) error {
	references, err := h.vault.References(ctx, "", 1)
	if err != nil {
		return fmt.Errorf("looking into the vault: %w", err)
	}
	if len(references) == 0 {
		return nil
	}
	if h.vaultFile == nil {
		return fmt.Errorf("the vault holds secrets, but %s is missing: restore both from the same backup, or take another --vault-prefix", h.config.path(metadataFile))
	}
	return fmt.Errorf("%s holds secrets, but %s is missing: restore both from the same backup", h.config.path(vaultFile), h.config.path(metadataFile))
}

// keySource is where the vault's key ring comes from.
func (h *house) keySource() (embedded.KeySource, error) {
	switch {
	case !h.config.KeyText.IsZero():
		return embedded.TextKeys(h.config.KeyText.Reveal()), nil
	case h.config.KeyFD != "":
		fd, err := strconv.ParseUint(h.config.KeyFD, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("--key-fd %s: it takes the number of a file descriptor", h.config.KeyFD)
		}
		return embedded.FDKeys(uintptr(fd))
	case h.config.KeyFile != "":
		return embedded.FileKeys(h.config.KeyFile), nil
	default:
		return embedded.FileKeys(h.config.path(keyFile)), nil
	}
}

// ring is the key ring of the vault, for the commands that work with it.
func (h *house) ring() (forgecroft.KeyRing, error) {
	if h.keyRing == nil {
		return nil, errors.New("this vault has no key-encryption keys of its own: it works without the envelope")
	}
	return h.keyRing, nil
}

// NewKey makes a key file for an installation that does not exist yet. A file that is there is never replaced.
func NewKey(path string) error {
	ring, err := envelope.GenerateRing()
	if err != nil {
		return err
	}
	return embedded.FileKeys(path).Create(ring)
}
