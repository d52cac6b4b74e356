package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Neither SQLite nor a PostgreSQL cluster without page checksums notices a byte that the disk has changed inside of a value, or of a key that makes
// a row belong to another: the pages still fit together. What decides who may do what, and what a run is given, therefore carries a
// checksum of its own, which every read compares: such a row is refused, and never delivered. It guards against disks, not against people: whoever can
// write to the database can write the checksum. Rows from before the column have none until they are next written.

// crcTable is ECMA-182's polynomial: any change of up to 64 neighbouring bits is found, and others but for one in 2^64.
var crcTable = crc64.MakeTable(crc64.ECMA)

// checksum adds up the parts of a row, each with its length, so that nothing can move from one to the next.
type checksum struct{ sum uint64 }

func (c *checksum) text(parts ...string) {
	for _, part := range parts {
		c.int(int64(len(part)))
		c.sum = crc64.Update(c.sum, crcTable, []byte(part))
	}
}

func (c *checksum) int(n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	c.sum = crc64.Update(c.sum, crcTable, b[:])
}

// stored is how a checksum is stored: an integer, as databases have no unsigned ones.
func (c *checksum) stored() int64 { return int64(c.sum) }

// compare reads the column of the checksum, which follows what it is about: an object of a kind, with an id.
func (r *row) compare(c checksum, kind, id string) {
	switch v := r.take().(type) {
	case nil:
	case int64:
		if v != c.stored() && r.err == nil {
			r.err = spoilt(fmt.Errorf("the row of the %s %q does not match its checksum", kind, id))
		}
	default:
		r.fail("an integer")
	}
}

// spoilt is the refusal of a row that cannot be what was written.
func spoilt(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindIntegrity, Code: "store_damaged", Cause: cause,
		Message: "A row of the database is damaged. Restore it from a backup.",
	}
}

// configChecksum covers what a delivery takes from a credential config. Fields and public values are the JSON as it is stored.
func configChecksum(c *forgecroft.CredentialConfig, fields, public string) checksum {
	var sum checksum
	sum.text(c.OrganizationID, c.ID, c.ProjectID, c.Name, c.Type, string(c.Reference), fields, public, c.ExternalID, c.SourceID)
	sum.int(c.SecretVersion)
	sum.int(c.Revision)
	return sum
}

// workspaceChecksum covers where a workspace belongs and what is attached to it.
func workspaceChecksum(w *forgecroft.Workspace) checksum {
	var sum checksum
	sum.text(w.OrganizationID, w.ID, w.ProjectID, w.Name, strings.Join(w.CredentialConfigIDs, ","))
	sum.int(w.Revision)
	return sum
}

// keyChecksum covers what an API key opens, and until when.
func keyChecksum(k *forgecroft.APIKey) checksum {
	var sum checksum
	sum.text(k.OrganizationID, k.ID, string(k.Role), k.Scope.ProjectID, k.Scope.WorkspaceID, string(k.Hash))
	if k.Subject != "" { // which is younger than the checksum
		sum.text(k.Subject)
	}
	for _, t := range []any{micros(k.ExpiresAt), micros(k.RevokedAt)} {
		at, _ := t.(int64)
		sum.int(at)
	}
	return sum
}

// compareChecksums reads every row that has a checksum.
func compareChecksums(ctx context.Context, s session) error {
	for text, scan := range map[string]func(*row){
		"SELECT " + workspaceColumns + " FROM workspaces w":      func(r *row) { scanWorkspace(r) },
		"SELECT " + configColumns + " FROM credential_configs c": func(r *row) { scanConfig(r) },
		"SELECT " + apiKeyColumns + " FROM api_keys":             func(r *row) { scanAPIKey(r) },
	} {
		if err := s.query(ctx, acrossTenants+text, nil, scan); err != nil {
			return fmt.Errorf("comparing rows with their checksums: %w", err)
		}
	}
	return nil
}
