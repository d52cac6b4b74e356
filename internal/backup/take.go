package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// takeAttempts is how often the records are read anew when a key leaves the ring meanwhile.
const takeAttempts = 3

// Progress hears how far a piece of work is. A total of 0 is not known.
type Progress func(what string, done, total int64)

// report tells a listener that may be nil.
func (p Progress) report(what string, done, total int64) {
	if p != nil {
		p(what, done, total)
	}
}

// Source is what a backup is taken of.
type Source struct {
	Store    *store.Store
	Vault    forgecroft.SealedVault // nil: the vault keeps the secrets, and has backups of its own
	Dir      string                 // where the backup is collected: it needs the space of one; empty: where temporary files go ([os.TempDir])
	Product  string                 // version of this program
	Holder   string                 // names this backup among all replicas
	Now      func() time.Time
	Progress Progress // may be nil
}

// Take takes a backup while everything goes on; only destructions wait. The caller closes what it returns. Where it cannot be collected it is
// [forgecroft.KindUnavailable] with code backup_space, or [forgecroft.KindStorageFull].
func Take(ctx context.Context, s Source) (_ *Taken, err error) {
	h, err := takeHold(ctx, s.Store, s.Holder, s.Now)
	if err != nil {
		return nil, err
	}
	defer h.release(ctx)
	spool, err := newSpool(s.Dir)
	if err != nil {
		return nil, full(s.homeless(err))
	}
	defer func() {
		if err != nil {
			err = full(errors.Join(err, spool.close()))
		}
	}()
	m := Manifest{Format: format, Product: s.Product, Schema: store.Schema(), TakenAt: s.Now().UTC().Truncate(time.Second), Secrets: SecretsExternal}
	survey, err := s.takeTables(ctx, spool, h)
	if err != nil {
		return nil, err
	}
	m.InstanceID, m.Organizations = survey.instance, survey.trails()
	if s.Vault != nil {
		m.Secrets = SecretsSealed
		if m.Keys, m.Missing, err = s.takeSecrets(ctx, spool, h, survey.sorted()); err != nil {
			return nil, err
		}
	}
	return spool.finish(m)
}

// homeless gives the failure to make a file where the backup is to be collected its meaning: an operator who reads it knows what to mount, or to set. A
// container without a writable /tmp is the usual one.
func (s Source) homeless(err error) error {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !host.IsReadOnly(err) && !host.IsNotDirectory(err) {
		return err
	}
	message := fmt.Sprintf("The backup cannot be collected in %s: the server must be able to write there, and there must be space for a backup.", s.Dir)
	if s.Dir == "" {
		message = fmt.Sprintf("The backup cannot be collected in %s, the directory of temporary files: the server must be able to write there, and there must be space for a backup. "+
			"Mount one, or name another by the server's environment variable TMPDIR.", os.TempDir())
	}
	return &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: "backup_space", Message: message, Cause: err}
}

// full gives the failure of a full disk its meaning.
func full(err error) error {
	if !host.IsFull(err) {
		return err
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindStorageFull, Code: "storage_full", Cause: err, Message: "There is no space to collect the backup in.",
	}
}

// takeTables writes all tables as they are at one moment.
func (s Source) takeTables(ctx context.Context, spool *spool, h *hold) (*survey, error) {
	found := newSurvey()
	err := s.Store.Snapshot(ctx, func(snapshot store.Snapshot) error {
		for _, t := range store.Tables() {
			done := int64(0)
			err := spool.add(memberName(t), t.Columns, func(write func([]any) error) error {
				return snapshot.Rows(ctx, t, func(values []any) error {
					found.note(t, values)
					done++
					if done%1000 == 0 {
						s.Progress.report(t.Name, done, 0)
					}
					return errors.Join(write(values), h.keep(ctx), ctx.Err())
				})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && found.instance == "" {
		err = forgecroft.Errorf(forgecroft.KindNotFound, "not_found", "This installation has not been started yet: there is nothing to back up.")
	}
	return found, err
}

// takeSecrets writes the records of live references. They are read anew if a rotation removed a key meanwhile that sealed one when it was read.
func (s Source) takeSecrets(ctx context.Context, spool *spool, h *hold, live []forgecroft.BoundReference) (keys []Key, missing []Secret, err error) {
	tables := len(spool.members)
	for range takeAttempts {
		counts := map[string]int64{} // key id → records that it seals
		if missing, err = s.takeRecords(ctx, spool, h, live, counts); err != nil {
			return nil, nil, err
		}
		canaries, err := s.Vault.Canaries(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the ids of the vault's keys: %w", err)
		}
		if keys, known := keysOf(counts, canaries); known {
			return keys, missing, nil
		}
		if err := spool.cut(tables); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, errors.New("the vault's keys kept changing while the backup was taken")
}

// keysOf lists the keys of the ring, and reports whether all that seal something are among them.
func keysOf(counts map[string]int64, canaries map[string][]byte) (keys []Key, known bool) {
	for id := range counts {
		if canaries[id] == nil {
			return nil, false
		}
	}
	for _, id := range slices.Sorted(maps.Keys(canaries)) {
		keys = append(keys, Key{id, canaries[id], counts[id]})
	}
	return keys, true
}

// takeRecords writes the sealed records, and returns those that the vault has lost. What is absent was so before: nothing is destroyed meanwhile.
func (s Source) takeRecords(ctx context.Context, spool *spool, h *hold, live []forgecroft.BoundReference, counts map[string]int64) (missing []Secret, err error) {
	err = spool.add(recordsName, recordColumns(), func(write func([]any) error) error {
		for i, bound := range live {
			if err := h.keep(ctx); err != nil {
				return err
			}
			if i%100 == 0 {
				s.Progress.report("secrets", int64(i), int64(len(live)))
			}
			sealed, err := s.Vault.Sealed(ctx, bound.Reference)
			if errors.Is(err, forgecroft.KindNotFound) {
				missing = append(missing, secretOf(bound.Binding))
				continue
			}
			if err != nil {
				return err
			}
			keyID, err := envelope.KeyID(sealed)
			if err != nil {
				return fmt.Errorf("the record of credential config %s: %w", bound.Binding.CredentialConfigID, err)
			}
			counts[keyID]++
			b := bound.Binding
			if err := write([]any{string(bound.Reference), b.OrganizationID, b.CredentialConfigID, b.Version, sealed}); err != nil {
				return err
			}
		}
		return h.keep(ctx)
	})
	return missing, err
}
