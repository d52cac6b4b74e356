package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// stagingDir is where a restore builds the data directory, inside of it: so it is the same file system, even where the directory is a mount. No server
// starts while it is there.
const stagingDir = "restoring"

// doneDir is what the staging directory is called while it is removed.
const doneDir = "restored"

// completeFile, in the staging directory, says that everything there is whole and durable, and of which archive it is. From then on a restore that
// was cut off has only names to change.
const completeFile = "complete"

// RestoreOptions say how to restore.
type RestoreOptions struct {
	CheckOnly bool // check the backup as a restore would, and touch nothing
	Force     bool // go on although secrets are lost
	Progress  backup.Progress
}

// Restored tells what a restore, or a check, found.
type Restored struct {
	Manifest backup.Manifest `json:"manifest"`
	Lost     []backup.Secret `json:"lost"` // their secrets have to be stored again
}

// restore is one restore on its way.
type restore struct {
	config  Config
	options RestoreOptions
	archive *backup.Archive
	checked *backup.Checked
	source  embedded.KeySource
	ring    *envelope.Ring
	newRing bool // the keys are lost: the ring is a new one, and not in its source yet
	stderr  io.Writer
}

// Restore builds an installation from a backup. Everything is checked before the target is touched: every byte of the archive, the key, every secret, every
// audit trail. The target is an empty data directory, and an empty database or vault where the settings name such. What appears there
// appears at once; a restore that is cut off is repeated, and no server starts on its remains.
func Restore(ctx context.Context, c Config, path string, o RestoreOptions, stderr io.Writer) (Restored, error) {
	harden()
	archive, err := backup.Open(path)
	if err != nil {
		return Restored{}, err
	}
	defer archive.Close()
	r := &restore{config: c, options: o, archive: archive, stderr: stderr}
	if err := r.loadKeys(); err != nil {
		return Restored{Manifest: archive.Manifest}, err
	}
	if r.checked, err = archive.Check(ctx, r.ring, o.Force, o.Progress); err != nil {
		return Restored{Manifest: archive.Manifest}, fmt.Errorf("the backup %s cannot be restored: %w", path, err)
	}
	if !o.CheckOnly {
		err = r.run(ctx)
	}
	return Restored{archive.Manifest, r.checked.Lost}, err
}

// run restores a backup that was found good.
func (r *restore) run(ctx context.Context) error {
	if r.config.stateless() {
		return r.beyond(ctx)
	}
	dir, err := openDataDir(r.config.DataDir)
	if err != nil {
		return err
	}
	return errors.Join(r.into(ctx), dir.Close())
}

// beyond restores into a database and a vault that are both elsewhere. The rows come last and all at once, so a restore that was cut off is repeated.
func (r *restore) beyond(ctx context.Context) error {
	c := r.settings(r.config.DataDir)
	if err := r.fill(ctx, c); err != nil {
		return err
	}
	if err := r.prove(ctx, c); err != nil {
		return err
	}
	if r.newRing {
		if err := r.source.Create(r.ring); err != nil {
			return err
		}
	}
	return r.record(ctx, c)
}

// loadKeys loads the key ring, if the backup needs one.
func (r *restore) loadKeys() error {
	if r.archive.Manifest.Secrets == backup.SecretsExternal {
		return nil
	}
	var err error
	if r.source, err = (&house{config: r.config}).keySource(); err != nil {
		return err
	}
	r.ring, err = r.source.Load()
	if errors.Is(err, fs.ErrNotExist) {
		if r.options.Force {
			r.newRing = true
			r.ring, err = envelope.GenerateRing()
			return err
		}
		return errors.Join(&backup.WrongKeyError{Needed: r.archive.NeededKeys()}, err)
	}
	if err != nil {
		return fmt.Errorf("the backup is sealed with the keys %v: %w", r.archive.NeededKeys(), err)
	}
	return nil
}

// into restores into the locked data directory.
func (r *restore) into(ctx context.Context) error {
	done, err := r.resume()
	if err != nil {
		return err
	}
	if !done {
		if err := r.afresh(ctx); err != nil {
			return err
		}
	}
	if r.config.DatabaseURL.IsZero() {
		return nil
	}
	return r.record(ctx, r.settings(r.config.DataDir))
}

// afresh restores into a directory that holds nothing.
func (r *restore) afresh(ctx context.Context) error {
	if err := r.checkTarget(); err != nil {
		return err
	}
	staging := r.config.path(stagingDir)
	if err := host.MkdirPrivate(staging); err != nil {
		return fmt.Errorf("making a directory to restore in: %w", err)
	}
	if err := r.build(ctx, staging); err != nil {
		return errors.Join(err, os.RemoveAll(staging))
	}
	return r.publish(staging)
}

// resume looks for what an earlier restore left. One that was complete is brought to its end; anything less is removed.
func (r *restore) resume() (done bool, err error) {
	staging := r.config.path(stagingDir)
	of, err := os.ReadFile(filepath.Join(staging, completeFile))
	switch {
	case err == nil && string(of) == r.archive.Name():
		return true, r.publish(staging)
	case err == nil && (present(r.config.path(vaultFile)) || present(r.config.path(metadataFile))):
		return false, fmt.Errorf("the restore of another backup into %s was cut off at its very end: run that one again first", r.config.DataDir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("looking for an earlier restore: %w", err)
	}
	if err := os.RemoveAll(staging); err != nil {
		return false, fmt.Errorf("removing what an earlier restore left: %w", err)
	}
	return false, nil
}

// checkTarget refuses a directory that holds anything but a key.
func (r *restore) checkTarget() error {
	entries, err := os.ReadDir(r.config.DataDir)
	if err != nil {
		return fmt.Errorf("reading the data directory: %w", err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".lock") // of the key file, if it was ever changed
		if e.Name() != "lock" && name != keyFile && name != filepath.Base(r.config.KeyFile) {
			return fmt.Errorf("%s holds %s already: restore into an empty directory", r.config.DataDir, e.Name())
		}
	}
	return nil
}

// build makes both stores in the staging directory, and proves them.
func (r *restore) build(ctx context.Context, staging string) error {
	c := r.settings(staging)
	if err := r.fill(ctx, c); err != nil {
		return err
	}
	if err := r.prove(ctx, c); err != nil {
		return err
	}
	if c.DatabaseURL.IsZero() { // Otherwise the trail would differ from the backup's when a restore that was cut off is repeated.
		if err := r.record(ctx, c); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(staging)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != metadataFile && e.Name() != vaultFile {
			return fmt.Errorf("the restored databases left %s behind", e.Name())
		}
		if err := syncFile(filepath.Join(staging, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// settings are those of the stores that are restored into.
func (r *restore) settings(dataDir string) Config {
	c := r.config
	c.DataDir = dataDir
	if r.ring != nil { // The source may be one that can be read only once.
		c.KeyFile, c.KeyFD, c.KeyText = "", "", forgecroft.NewSecret(string(r.ring.Format()))
	}
	return c
}

// fill stores the records first: a row must never point at what is not there.
func (r *restore) fill(ctx context.Context, c Config) (err error) {
	if err := r.checkDatabase(ctx, c); err != nil {
		return err
	}
	h, err := r.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.closeStores()) }()
	loaded, err := r.checked.Loaded(ctx, h.store)
	if err != nil {
		return err
	}
	if sealed := h.sealedVault(); sealed != nil {
		if err := r.checked.RestoreSecrets(ctx, sealed, r.options.Progress); err != nil {
			return err
		}
	} else if r.archive.Manifest.Secrets == backup.SecretsSealed {
		return errors.New("the backup holds sealed secrets, but the vault of these settings works without an envelope: restore with --vault-envelope, or into the embedded vault")
	}
	if loaded {
		return nil
	}
	return r.checked.RestoreTables(ctx, h.store, r.options.Progress)
}

// checkDatabase refuses a database that holds something else, before the vault is opened: where there is none, opening makes one. A database without our tables holds nothing, and gets them after
// the vault has been looked at.
func (r *restore) checkDatabase(ctx context.Context, c Config) (err error) {
	if c.DatabaseURL.IsZero() {
		return nil
	}
	h := &house{config: c, logger: maintenanceLog(r.stderr), fatal: make(chan error, 1)}
	schema, err := store.PostgresSchema(ctx, store.Options{URL: c.DatabaseURL, Logger: h.logger})
	if err != nil || schema == 0 {
		return err
	}
	if err := h.openDatabase(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.closeStores()) }()
	_, err = r.checked.Loaded(ctx, h.store)
	return err
}

// prove opens the restored stores as a server would and checks them.
func (r *restore) prove(ctx context.Context, c Config) (err error) {
	h, err := r.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.closeStores()) }()
	report, err := broker.Fsck(ctx, h.brokerConfig(), false)
	if err != nil {
		return fmt.Errorf("checking what was restored: %w", err)
	}
	if err := r.judge(report); err != nil {
		return err
	}
	return r.replaceInstanceKeys(ctx, h)
}

// judge refuses what a check found, but for what is known to be lost. Where the vault was not restored by us, it is the first to tell what it lacks; what it
// has beside is from after the backup.
func (r *restore) judge(report broker.FsckReport) error {
	lost := append(report.Missing, report.Damaged...)
	external := r.archive.Manifest.Secrets == backup.SecretsExternal
	if external {
		r.checked.Lost = nil
		for _, l := range lost {
			r.checked.Lost = append(r.checked.Lost, backup.Secret(l.Binding))
		}
		if len(lost) > 0 && !r.options.Force {
			return &backup.LostError{Secrets: r.checked.Lost}
		}
	}
	if len(lost) > len(r.checked.Lost) || (len(report.Orphans) > 0 && !external) || len(report.Audit) > 0 {
		printReport(r.stderr, report)
		return errors.New("what was restored is not whole")
	}
	return nil
}

// record notes in the trails what has happened.
func (r *restore) record(ctx context.Context, c Config) (err error) {
	h, err := r.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.closeStores()) }()
	return broker.RecordRestore(ctx, h.brokerConfig(), r.archive.Manifest.TakenAt, len(r.checked.Lost))
}

// replaceInstanceKeys makes new keys of the instance if the old ones are lost.
func (r *restore) replaceInstanceKeys(ctx context.Context, h *house) error {
	lost := func(s backup.Secret) bool { return s.OrganizationID == r.archive.Manifest.InstanceID }
	if !slices.ContainsFunc(r.checked.Lost, lost) {
		return nil
	}
	return broker.ReplaceInstanceKeys(ctx, h.brokerConfig())
}

// open opens the stores of a restore, which need not fit together yet.
func (r *restore) open(ctx context.Context, c Config) (*house, error) {
	h := &house{config: c, logger: maintenanceLog(r.stderr), fatal: make(chan error, 1)}
	if err := h.openToRestore(ctx); err != nil {
		return nil, errors.Join(err, h.closeStores())
	}
	return h, nil
}

// openToRestore opens the vault and the database, whatever is in them: nothing at first, and half of something after a restore that was cut off.
func (h *house) openToRestore(ctx context.Context) error {
	open := h.openEmbedded
	if h.config.Vault == vaultOpenBao {
		open = h.openBao
	}
	if err := open(ctx, false); err != nil {
		return err
	}
	return h.openDatabase(ctx)
}

// closeStores closes the database and the vault.
func (h *house) closeStores() error {
	var errs []error
	if h.store != nil {
		errs = append(errs, h.store.Close())
	}
	if h.vault != nil {
		errs = append(errs, h.vault.Close())
	}
	return errors.Join(errs...)
}

// publish gives what was built its names, the metadata last: without it no server starts.
func (r *restore) publish(staging string) error {
	if r.newRing {
		if err := r.source.Create(r.ring); err != nil {
			return err
		}
	}
	mark := filepath.Join(staging, completeFile)
	if !present(mark) {
		if err := writeWhole(mark, r.archive.Name()); err != nil {
			return err
		}
	}
	for _, name := range []string{vaultFile, metadataFile} {
		err := os.Rename(filepath.Join(staging, name), r.config.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("naming what was restored: %w", err)
		}
		if err := host.SyncDirectory(r.config.DataDir); err != nil {
			return err
		}
	}
	// Renamed, it is gone at once as far as anybody cares; removed, it would be there without its mark for a moment.
	if err := os.Rename(staging, r.config.path(doneDir)); err != nil {
		return fmt.Errorf("ending the restore: %w", err)
	}
	return errors.Join(os.RemoveAll(r.config.path(doneDir)), host.SyncDirectory(r.config.DataDir))
}

// syncFile makes the content of a file durable.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
