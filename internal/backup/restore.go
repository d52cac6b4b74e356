package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

// restoreBatch is how many records the vault stores at once.
const restoreBatch = 200

// RestoreSecrets stores the records of a checked archive. It may be cut off and repeated: a record that is there already is fine.
func (c *Checked) RestoreSecrets(ctx context.Context, to forgecroft.SealedVault, progress Progress) error {
	if c.Manifest.Secrets == SecretsExternal {
		return nil
	}
	wanted := make(map[forgecroft.Reference]bool, len(c.live)) // reference → a row points at it and its record opens
	for _, l := range c.live {
		wanted[l.Reference] = !c.lost[l.Reference]
	}
	if err := checkForeign(ctx, to, wanted); err != nil {
		return err
	}
	var batch []forgecroft.SealedRecord
	done := int64(0)
	flush := func() error {
		if err := to.PutSealed(ctx, batch); err != nil {
			return fmt.Errorf("restoring secrets: %w", err)
		}
		done += int64(len(batch))
		progress.report("restoring secrets", done, c.Manifest.records())
		batch = batch[:0]
		return nil
	}
	err := c.Records(ctx, func(r forgecroft.SealedRecord) error {
		if wanted[r.Reference] {
			batch = append(batch, r)
		}
		if len(batch) < restoreBatch {
			return nil
		}
		return flush()
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return flush()
}

// checkForeign refuses a vault that holds what is not of this archive.
func checkForeign(ctx context.Context, v forgecroft.Vault, wanted map[forgecroft.Reference]bool) error {
	for after := forgecroft.Reference(""); ; {
		found, err := v.References(ctx, after, restoreBatch)
		if err != nil {
			return fmt.Errorf("looking into the vault: %w", err)
		}
		for _, ref := range found {
			after = ref
			if _, ours := wanted[ref]; !ours {
				return errors.New("the vault holds secrets that are not of this installation: take an empty one")
			}
		}
		if len(found) < restoreBatch {
			return nil
		}
	}
}

// Loaded reports whether a database holds the rows of a checked archive already, as after a restore that was cut off. One that holds anything else is refused.
func (c *Checked) Loaded(ctx context.Context, to *store.Store) (loaded bool, err error) {
	err = to.Snapshot(ctx, func(snapshot store.Snapshot) error {
		found, err := sumUp(ctx, snapshot, nil)
		if err != nil {
			return err
		}
		if found.empty() {
			return nil
		}
		loaded = true
		if found.compare(c.Manifest) != nil {
			return forgecroft.Errorf(forgecroft.KindConflict, "not_empty", "The database holds data already: restore into an empty one.")
		}
		return nil
	})
	return loaded, err
}

// RestoreTables loads the rows of a checked archive into an empty database, all of them or none, and reads them back.
func (c *Checked) RestoreTables(ctx context.Context, to *store.Store, progress Progress) error {
	if err := load(ctx, c, to, progress); err != nil {
		return err
	}
	if _, err := c.Loaded(ctx, to); err != nil {
		return fmt.Errorf("reading back what was restored: %w", err)
	}
	return nil
}

// load copies all tables into an empty database, in one transaction.
func load(ctx context.Context, from tables, to *store.Store, progress Progress) error {
	return to.Load(ctx, func(insert func(store.Table, []any) error) error {
		for _, t := range store.Tables() {
			done := int64(0)
			err := from.Rows(ctx, t, func(values []any) error {
				done++
				if done%1000 == 0 {
					progress.report("loading "+t.Name, done, 0)
				}
				return insert(t, values)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
