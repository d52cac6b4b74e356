package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// LostError refuses a backup of which some secrets cannot be had: they are missing, or do not open for what they belong to.
type LostError struct{ Secrets []Secret }

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("the secrets of %d credential configs are missing, or do not open: the two halves, metadata and vault, do not fit together", len(e.Secrets))
}

// Checked is an archive that was found good, with what a restore needs to know.
type Checked struct {
	*Archive
	Lost []Secret // those whose secrets are not there, if that was allowed

	live []forgecroft.BoundReference
	lost map[forgecroft.Reference]bool // live references without a record that opens
}

// CheckKeys refuses a ring that lacks a key which records need, or has another under its name.
func (a *Archive) CheckKeys(ring *envelope.Ring) error {
	for _, k := range a.Manifest.Keys {
		if k.Records == 0 {
			continue
		}
		if !ring.Has(k.ID) {
			return &WrongKeyError{a.NeededKeys(), ring.IDs()}
		}
		if err := ring.CheckCanary(k.ID, k.Canary); err != nil {
			return fmt.Errorf("checking the key ring: %w", err)
		}
	}
	return nil
}

// NeededKeys lists the keys that records are sealed with.
func (a *Archive) NeededKeys() []string {
	var needed []string
	for _, k := range a.Manifest.Keys {
		if k.Records > 0 {
			needed = append(needed, k.ID)
		}
	}
	return needed
}

// WrongKeyError says that the key ring at hand does not open a backup.
type WrongKeyError struct{ Needed, Have []string }

// Error implements error. Ids are fingerprints, so they may be shown.
func (e *WrongKeyError) Error() string {
	needed := strings.Join(e.Needed, ", ")
	if len(e.Have) == 0 {
		return fmt.Sprintf("no key: the backup is sealed with the keys %s; give the key file of that time or a later one with --key-file", needed)
	}
	return fmt.Sprintf("wrong key: the backup is sealed with the keys %s, but the key ring holds %s; give the key file of that time or a later one",
		needed, strings.Join(e.Have, ", "))
}

// Check reads all of an archive as a restore would: rows, audit trails, and every record, which must open for the row that points at it. ring may be nil where
// the secrets are not in the archive. A damaged or incomplete archive is refused; lost secrets are a [*LostError] unless force is set.
func (a *Archive) Check(ctx context.Context, ring *envelope.Ring, force bool, progress Progress) (*Checked, error) {
	if err := a.Manifest.checkSchema(); err != nil {
		return nil, err
	}
	c := &Checked{Archive: a, lost: map[forgecroft.Reference]bool{}}
	found, err := sumUp(ctx, a, progress)
	if err != nil {
		return nil, err
	}
	if err := found.compare(a.Manifest); err != nil {
		return nil, err
	}
	if err := checkTrails(ctx, a); err != nil {
		return nil, err
	}
	c.live = found.sorted()
	if a.Manifest.Secrets == SecretsExternal {
		return c, nil
	}
	if !force {
		if err := a.CheckKeys(ring); err != nil {
			return nil, err
		}
	}
	if err := c.checkRecords(ctx, ring, progress); err != nil {
		return nil, err
	}
	if news := c.newlyLost(); len(news) > 0 && !force {
		return nil, &LostError{news}
	}
	return c, nil
}

// checkRecords opens every record for its row.
func (c *Checked) checkRecords(ctx context.Context, ring *envelope.Ring, progress Progress) error {
	bindings := make(map[forgecroft.Reference]forgecroft.Binding, len(c.live)) // reference → what its row says
	for _, l := range c.live {
		bindings[l.Reference], c.lost[l.Reference] = l.Binding, true
	}
	done := int64(0)
	err := c.Records(ctx, func(r forgecroft.SealedRecord) error {
		done++
		if done%100 == 0 {
			progress.report("checking secrets", done, c.Manifest.records())
		}
		binding, live := bindings[r.Reference]
		if !live || binding != r.Binding {
			return nil // It belongs to no row of this archive; the row that wants another one counts as lost.
		}
		plaintext, err := ring.Open(envelope.Binding{Organization: binding.OrganizationID, Credential: binding.CredentialConfigID, Version: uint64(binding.Version)}, r.Sealed)
		clear(plaintext)
		if err == nil {
			delete(c.lost, r.Reference)
		}
		return nil
	})
	for _, l := range c.live {
		if c.lost[l.Reference] {
			c.Lost = append(c.Lost, secretOf(l.Binding))
		}
	}
	return err
}

// newlyLost are the lost secrets that the vault still had when the backup was taken.
func (c *Checked) newlyLost() []Secret {
	var news []Secret
	for _, s := range c.Lost {
		if !slices.Contains(c.Manifest.Missing, s) {
			news = append(news, s)
		}
	}
	return news
}

// Records calls each with every sealed record.
func (a *Archive) Records(ctx context.Context, each func(forgecroft.SealedRecord) error) error {
	return a.lines(ctx, recordsName, recordColumns(), func(values []any) error {
		var r forgecroft.SealedRecord
		reference, ok1 := values[0].(string)
		organization, ok2 := values[1].(string)
		credential, ok3 := values[2].(string)
		version, ok4 := values[3].(int64)
		sealed, ok5 := values[4].([]byte)
		if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !forgecroft.Reference(reference).Valid() {
			return errors.New("a record is not complete")
		}
		r.Reference, r.Sealed = forgecroft.Reference(reference), sealed
		r.Binding = forgecroft.Binding{OrganizationID: organization, CredentialConfigID: credential, Version: version}
		return each(r)
	})
}

// sums is what all rows amount to.
type sums struct {
	*survey
	rows    map[string]int64   // table → rows
	digests map[string]*digest // table → sum of its rows
}

// sumUp reads all tables.
func sumUp(ctx context.Context, from tables, progress Progress) (*sums, error) {
	s := &sums{newSurvey(), map[string]int64{}, map[string]*digest{}}
	for _, t := range store.Tables() {
		sum := &digest{}
		s.digests[t.Name] = sum
		err := from.Rows(ctx, t, func(values []any) error {
			line, err := encodeRow(values)
			if err != nil {
				return err
			}
			sum.add(line)
			s.note(t, values)
			s.rows[t.Name]++
			if s.rows[t.Name]%1000 == 0 {
				progress.report("checking "+t.Name, s.rows[t.Name], 0)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// empty reports whether there is no row at all.
func (s *sums) empty() bool {
	for _, n := range s.rows {
		if n > 0 {
			return false
		}
	}
	return true
}

// compare holds what was read against a manifest.
func (s *sums) compare(m Manifest) error {
	for _, t := range store.Tables() {
		i := slices.IndexFunc(m.Members, func(member Member) bool { return member.Name == memberName(t) })
		if i < 0 {
			return fmt.Errorf("the backup has no table %s", t.Name)
		}
		if want := m.Members[i]; s.rows[t.Name] != want.Rows || !bytes.Equal(s.digests[t.Name].bytes(), want.Digest) {
			return fmt.Errorf("table %s differs from what the manifest says: %d rows, not %d", t.Name, s.rows[t.Name], want.Rows)
		}
	}
	same := func(a, b Organization) bool {
		return a.ID == b.ID && a.AuditSequence == b.AuditSequence && bytes.Equal(a.AuditHash, b.AuditHash)
	}
	if s.instance != m.InstanceID || !slices.EqualFunc(s.trails(), m.Organizations, same) {
		return errors.New("the instance, its organizations or the ends of their audit trails differ from what the manifest says")
	}
	return nil
}
