//go:build linux

package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
)

// laid is what stands in a database whose disk is about to lie.
type laid struct {
	project   forgecroft.Project
	workspace forgecroft.Workspace
	configs   [2]forgecroft.CredentialConfig
	key       forgecroft.APIKey
}

// lay stores one of everything that carries a checksum.
func lay(t *testing.T, s *store.Store) laid {
	t.Helper()
	l := laid{
		project:   forgecroft.Project{OrganizationID: org, ID: newID(), Name: "p", Revision: 1, CreatedAt: start, UpdatedAt: start},
		workspace: forgecroft.Workspace{OrganizationID: org, ID: newID(), Name: "w", Revision: 1, CreatedAt: start, UpdatedAt: start},
		configs:   [2]forgecroft.CredentialConfig{newConfig("one"), newConfig("two")},
	}
	l.workspace.ProjectID, l.workspace.CredentialConfigIDs = l.project.ID, []string{l.configs[0].ID, l.configs[1].ID}
	l.configs[0].ProjectID = l.project.ID
	l.key = forgecroft.APIKey{
		OrganizationID: org, ID: newID(), Name: "k", Role: forgecroft.RoleReader, Scope: forgecroft.KeyScope{ProjectID: l.project.ID},
		Hash: make([]byte, 32), CreatedAt: start, ExpiresAt: start.AddDate(1, 0, 0), RevokedAt: start.AddDate(0, 1, 0),
	}
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		err := errors.Join(tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start}), tx.CreateProject(ctx, l.project))
		for _, c := range l.configs {
			err = errors.Join(err, tx.CreateCredentialConfig(ctx, c))
		}
		return errors.Join(err, tx.CreateWorkspace(ctx, l.workspace), tx.CreateAPIKey(ctx, l.key))
	})
	return l
}

// read reads everything again, by each door that something is delivered or allowed through.
func (l laid) read(t *testing.T, s *store.Store) error {
	t.Helper()
	_, plan := s.DeliveryPlan(t.Context(), org, l.workspace.ID)
	_, key := s.Authenticate(t.Context(), l.key.ID)
	return errors.Join(plan, key)
}

// TestChecksums changes one value after the other as a disk would, on both databases.
func TestChecksums(t *testing.T) {
	const otherHash = "decode(repeat('01', 32), 'hex')" // as PostgreSQL writes it
	tests := map[string]string{
		"a config's type":            "UPDATE credential_configs SET type = 'generic_enw' WHERE name = 'one'",
		"a config's reference":       "UPDATE credential_configs SET reference = 'elsewhere' WHERE name = 'one'",
		"a config's secret version":  "UPDATE credential_configs SET secret_version = secret_version + 1 WHERE name = 'one'",
		"a config's fields":          `UPDATE credential_configs SET fields = '["other"]' WHERE name = 'one'`,
		"a config's public values":   `UPDATE credential_configs SET public_values = '{"region":"eu-west-9"}' WHERE name = 'one'`,
		"public values, no JSON":     `UPDATE credential_configs SET public_values = '{"region"' WHERE name = 'one'`,
		"a config's project":         "UPDATE credential_configs SET project_id = NULL WHERE name = 'one'",
		"a config's external id":     "UPDATE credential_configs SET external_id = 'EXAMPLE' WHERE name = 'two'",
		"a config's source":          "UPDATE credential_configs SET source_id = (SELECT id FROM credential_configs WHERE name = 'one') WHERE name = 'two'",
		"the order of attachments":   "UPDATE attachments SET position = position + 10 WHERE credential_config_id = (SELECT id FROM credential_configs WHERE name = 'one')",
		"an attachment":              "DELETE FROM attachments WHERE position = 1",
		"a workspace's name":         "UPDATE workspaces SET name = 'x'",
		"a key's role":               "UPDATE api_keys SET role = 'owner'",
		"a key's scope":              "UPDATE api_keys SET project_id = NULL",
		"a key's hash":               "UPDATE api_keys SET hash = " + otherHash,
		"a key's expiry":             "UPDATE api_keys SET expires_at = NULL",
		"a key's revocation":         "UPDATE api_keys SET revoked_at = NULL",
		"a checksum":                 "UPDATE workspaces SET checksum = checksum + 1",
		"nothing that is checked":    "UPDATE workspaces SET description = 'x', last_delivered_at = 1",
		"a row of before, unchecked": "UPDATE workspaces SET checksum = NULL",
	}
	intact := map[string]bool{"nothing that is checked": true, "a row of before, unchecked": true}
	for name, statement := range tests {
		check := func(t *testing.T, s *store.Store, l laid) {
			t.Helper()
			read, whole := l.read(t, s), s.Integrity(t.Context())
			for door, err := range map[string]error{"reading": read, "the check of everything": whole} {
				if intact[name] && err != nil || !intact[name] && !errors.Is(err, forgecroft.KindIntegrity) {
					t.Errorf("%s: got %v", door, err)
				}
			}
		}
		t.Run("sqlite/"+name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metadata.db")
			s := open(t, filepath.Dir(path))
			l := lay(t, s)
			raw(t, path, strings.ReplaceAll(statement, otherHash, "x'"+strings.Repeat("01", 32)+"'"))
			check(t, s, l)
		})
		t.Run("postgres/"+name, func(t *testing.T) {
			url := pgtest.New(t)
			s := openPostgres(t, url)
			l := lay(t, s)
			c, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.WithoutCancel(t.Context()))
			for _, text := range []string{"SET forgecroft.organization_id = '*'", statement} {
				if _, err := c.Exec(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			check(t, s, l)
		})
	}
}

// TestChecksumsFollow checks that every way to change a row leaves one that can be read.
func TestChecksumsFollow(t *testing.T) {
	s := open(t, t.TempDir())
	l := lay(t, s)
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		c, w := l.configs[1], l.workspace
		c.Revision, c.SecretVersion, c.Reference, c.Name, c.ProjectID = 2, 1, "a/new/one", "renamed", l.project.ID
		w.Revision, w.CredentialConfigIDs = 2, []string{l.configs[1].ID}
		key := l.key
		key.ID, key.RevokedAt = newID(), time.Time{}
		return errors.Join(tx.UpdateCredentialConfig(ctx, c), tx.UpdateWorkspace(ctx, w), tx.TouchDelivered(ctx, org, w.ID, w.CredentialConfigIDs, start),
			tx.CreateAPIKey(ctx, key), tx.RevokeAPIKey(ctx, org, key.ID, start), tx.TouchAPIKey(ctx, org, l.key.ID, start))
	})
	if err := errors.Join(l.read(t, s), s.Integrity(t.Context())); err != nil {
		t.Error(err)
	}
}
