package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Archive is a backup that was taken and waits to be written.
type Archive interface {
	io.WriterTo
	io.Closer
	Size() int64 // in bytes
}

// Backup takes a backup of the whole installation, all organizations included, for an owner. The caller writes and closes it. It holds no key
// and no plain secret, but all metadata. While another backup is taken it is [forgecroft.KindConflict] with code backup_running, and where there is no
// directory to collect it in [forgecroft.KindUnavailable] with code backup_space.
func (b *Broker) Backup(ctx context.Context, call Call) (Archive, error) {
	a := act{"instance.backup", forgecroft.PermInstance, "instance", ""}
	if err := b.authorise(ctx, call, a); err != nil {
		return nil, err
	}
	if err := call.wholeOrganization(); err != nil {
		return nil, b.settle(ctx, call, a, err)
	}
	if b.backup == nil {
		return nil, forgecroft.Errorf(forgecroft.KindUnprocessable, "no_backup", "This server takes no backups while it runs.")
	}
	e := &entry{}
	archive, err := b.backup(ctx)
	if err != nil {
		return nil, b.fail(ctx, call, a, e, err)
	}
	e.note("bytes", archive.Size())
	if err := b.record(ctx, call, a, forgecroft.OutcomeAllowed, e, nil); err != nil {
		_ = archive.Close() // The audit's failure is what counts; the space comes back with the process at the latest.
		return nil, err
	}
	return archive, nil
}

// RecordRestore notes in every organization's trail that the installation is one that was restored, and as of when. There is no caller to authorise.
func RecordRestore(ctx context.Context, c Config, takenAt time.Time, lost int) error {
	d := c.deps()
	organizations, err := d.store.Organizations(ctx)
	if err != nil {
		return err
	}
	b := &Broker{deps: d}
	for _, o := range organizations {
		e := &entry{}
		e.note("taken_at", takenAt.UTC().Format(time.RFC3339))
		e.note("lost_secrets", lost)
		a := act{"instance.restore", "", "instance", ""}
		if err := b.record(ctx, systemCall(o.ID), a, forgecroft.OutcomeAllowed, e, nil); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceInstanceKeys makes new keys of an instance whose keys the vault has lost, under the reference that the database names. Requests whose
// Idempotency-Key was used before the loss are refused, and older checkpoints can be verified with a copy of the old public key only.
func ReplaceInstanceKeys(ctx context.Context, c Config) error {
	d := c.deps()
	instance, err := d.store.Instance(ctx)
	if err != nil {
		return err
	}
	if _, err := d.instanceKeys(ctx, instance); !errors.Is(err, forgecroft.KindNotFound) {
		return err // They are there, as after a restore that was cut off later.
	}
	keys, err := d.newInstanceKeys()
	if err != nil {
		return err
	}
	if err := d.vault.Put(ctx, instance.KeysReference, instanceBinding(instance.ID), keys.Encode()); err != nil {
		return fmt.Errorf("storing new keys of the instance: %w", err)
	}
	return nil
}
