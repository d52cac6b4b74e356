package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

// format is the version of the archive that this program writes, and the only one that it reads.
const format = 1

// Where the secrets of an archive are.
const (
	// SecretsSealed says that they are in the archive, sealed.
	SecretsSealed = "sealed"
	// SecretsExternal says that they stayed in a vault without an envelope, which has backups of its own.
	SecretsExternal = "external"
)

// Manifest says what an archive holds. It is its first member, in JSON.
type Manifest struct {
	Format        int            `json:"format"`
	Product       string         `json:"product"` // version of the program that took it
	Schema        int64          `json:"schema"`  // of the tables
	TakenAt       time.Time      `json:"taken_at"`
	InstanceID    string         `json:"instance_id"`
	Organizations []Organization `json:"organizations"`
	Secrets       string         `json:"secrets"` // [SecretsSealed] or [SecretsExternal]
	Keys          []Key          `json:"keys"`    // of the vault's ring; never a key itself
	Missing       []Secret       `json:"missing"` // what the vault had lost before
	Members       []Member       `json:"members"` // in the order in which they follow
}

// Organization is one organization with the end of its audit trail.
type Organization struct {
	ID            string `json:"id"`
	AuditSequence int64  `json:"audit_sequence"`
	AuditHash     []byte `json:"audit_hash"`
}

// Key is one key of the ring that the records need.
type Key struct {
	ID      string `json:"id"`      // its fingerprint
	Canary  []byte `json:"canary"`  // what only the holder of the key can compute
	Records int64  `json:"records"` // sealed with it
}

// Secret names a secret version by what it belongs to.
type Secret struct {
	OrganizationID     string `json:"organization_id"`
	CredentialConfigID string `json:"credential_config_id"`
	Version            int64  `json:"version"`
}

// Member is one file of the archive.
type Member struct {
	Name    string         `json:"name"`
	Columns []store.Column `json:"columns"`
	Rows    int64          `json:"rows"`
	Size    int64          `json:"size"`     // in bytes, as it is in the archive
	RawSize int64          `json:"raw_size"` // uncompressed
	SHA256  []byte         `json:"sha256"`   // as it is in the archive
	Digest  []byte         `json:"digest"`   // of the rows, whatever their order: see [digest]
}

// secretOf names what a reference is bound to.
func secretOf(b forgecroft.Binding) Secret {
	return Secret{b.OrganizationID, b.CredentialConfigID, b.Version}
}

// parseManifest reads a manifest that this version understands.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("reading its manifest: %w", err)
	}
	if m.Format != format {
		return m, fmt.Errorf("it has format %d, and this version reads format %d: use the version that took it, %s", m.Format, format, m.Product)
	}
	if m.Secrets != SecretsSealed && m.Secrets != SecretsExternal {
		return m, errors.New("its manifest does not say where the secrets are")
	}
	return m, nil
}

// checkSchema refuses tables of a newer version. Whether this version knows all columns of an older one shows when they are read.
func (m Manifest) checkSchema() error {
	if m.Schema > store.Schema() {
		return fmt.Errorf("it was taken by Forgecroft %s with schema %d, and this version knows schemas up to %d: restore it with that version", m.Product, m.Schema, store.Schema())
	}
	return nil
}

// records counts the sealed records.
func (m Manifest) records() int64 {
	n := int64(0)
	for _, k := range m.Keys {
		n += k.Records
	}
	return n
}
