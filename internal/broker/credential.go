package broker

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// CreateCredentialConfig makes a credential config: metadata only. Types that need one get their external ID here.
func (b *Broker) CreateCredentialConfig(ctx context.Context, call Call, c forgecroft.CredentialConfig) (forgecroft.CredentialConfig, error) {
	c.Name = normal(c.Name)
	a := act{"credential_config.create", forgecroft.PermWrite, "credential_config", ""}
	created, err := create(ctx, b, call, a, c, func(tx forgecroft.Tx, e *entry) (forgecroft.CredentialConfig, error) {
		c := c
		c.OrganizationID = call.OrganizationID
		t, err := b.checkNew(ctx, tx, call, c)
		if err != nil {
			return c, err
		}
		c.ID, c.Revision, c.CreatedBy, c.CreatedAt = b.newID(), 1, call.KeyID, b.instant()
		c.UpdatedAt = c.CreatedAt
		if t.ExternalID {
			if c.ExternalID, err = b.newExternalID(); err != nil {
				return c, err
			}
		}
		e.objectID = c.ID
		e.note("name", c.Name)
		e.note("credential_type", c.Type)
		e.note("project_id", c.ProjectID)
		return c, tx.CreateCredentialConfig(ctx, c)
	})
	return b.withTrustPolicy(ctx, created, err)
}

// checkNew checks a config that is about to be created: its own rules, its type, its project, and that the caller may.
func (b *Broker) checkNew(ctx context.Context, r forgecroft.Reader, call Call, c forgecroft.CredentialConfig) (forgecroft.CredentialType, error) {
	var fields []forgecroft.FieldError
	var invalid *forgecroft.Error
	if errors.As(c.Validate(), &invalid) {
		fields = invalid.Fields
	}
	t, known := b.types.Lookup(c.Type)
	if !known {
		fields = append(fields, forgecroft.FieldError{
			Field: "credential_type", Code: "unknown_credential_type",
			Message: "The credential type must be one of " + strings.Join(b.types.Names(), ", ") + ", exactly.",
		})
	}
	if err := forgecroft.Invalid(fields); err != nil {
		return t, err
	}
	if c.ProjectID != "" {
		if err := b.checkProjectMember(ctx, r, call, c.ProjectID); err != nil {
			return t, err
		}
	}
	return t, call.changeable("credential_config", c.Location())
}

// newExternalID makes an sts:ExternalId: 160 random bits in the alphabet that STS allows. Nobody else chooses it, so nobody can make this
// server assume a role that trusts it for another config (the confused deputy; see the IAM User Guide).
func (b *Broker) newExternalID() (string, error) {
	var random [20]byte
	if _, err := io.ReadFull(b.random, random[:]); err != nil {
		return "", fmt.Errorf("making an external ID: %w", err)
	}
	return "forgecroft-" + strings.ToLower(base32.StdEncoding.EncodeToString(random[:])), nil
}

// GetCredentialConfig reads one credential config.
func (b *Broker) GetCredentialConfig(ctx context.Context, call Call, id string) (forgecroft.CredentialConfig, error) {
	a := act{"credential_config.read", forgecroft.PermRead, "credential_config", id}
	c, err := read(ctx, b, call, a, func() (forgecroft.CredentialConfig, error) { return b.config(ctx, b.store, call, id) })
	return b.withTrustPolicy(ctx, c, err)
}

// config loads a credential config that the caller may see.
func (b *Broker) config(ctx context.Context, r forgecroft.Reader, call Call, id string) (forgecroft.CredentialConfig, error) {
	c, err := r.CredentialConfig(ctx, call.OrganizationID, id)
	if err != nil {
		return c, err
	}
	return c, call.visible("credential_config", c.Location())
}

// ownConfig loads a credential config that the caller may change and whose revision it knows.
func (b *Broker) ownConfig(ctx context.Context, r forgecroft.Reader, call Call, id string) (forgecroft.CredentialConfig, error) {
	c, err := b.config(ctx, r, call, id)
	if err != nil {
		return c, err
	}
	if err := call.changeable("credential_config", c.Location()); err != nil {
		return c, err
	}
	return c, call.fresh(c.Revision)
}

// ListCredentialConfigs lists the credential configs that the caller may see.
func (b *Broker) ListCredentialConfigs(ctx context.Context, call Call, f forgecroft.CredentialConfigFilter, page PageRequest) (Listing[forgecroft.CredentialConfig], error) {
	a := act{"credential_config.list", forgecroft.PermRead, "credential_config", ""}
	return read(ctx, b, call, a, func() (Listing[forgecroft.CredentialConfig], error) {
		f.VisibleTo = call.Scope.ProjectID
		return list(b, call, "credential-configs", f, page, func(c forgecroft.CredentialConfig) string { return c.ID }, func(p forgecroft.Page) ([]forgecroft.CredentialConfig, error) {
			return b.store.CredentialConfigs(ctx, call.OrganizationID, f, p)
		})
	})
}

// CredentialConfigsAmong returns those of some credential configs that the caller may see, by id.
func (b *Broker) CredentialConfigsAmong(ctx context.Context, call Call, ids []string) (map[string]forgecroft.CredentialConfig, error) {
	a := act{"credential_config.list", forgecroft.PermRead, "credential_config", ""}
	return read(ctx, b, call, a, func() (map[string]forgecroft.CredentialConfig, error) {
		known := map[string]forgecroft.CredentialConfig{} // id → config
		valid := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !forgecroft.ValidID(id) })
		for part := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(valid))), amongAtOnce) {
			found, err := b.store.CredentialConfigsAmong(ctx, call.OrganizationID, part)
			if err != nil {
				return nil, err
			}
			for _, c := range found {
				if call.Sees(c.Location()) {
					known[c.ID] = c
				}
			}
		}
		return known, nil
	})
}

// amongAtOnce is how many ids one statement looks for.
const amongAtOnce = 500

// ListSecretVersions returns the newest versions of a credential config, at most [MaxPage]: who and when, never a value.
func (b *Broker) ListSecretVersions(ctx context.Context, call Call, id string) ([]forgecroft.SecretVersion, error) {
	a := act{"credential_config.read", forgecroft.PermRead, "credential_config", id}
	return read(ctx, b, call, a, func() ([]forgecroft.SecretVersion, error) {
		if _, err := b.config(ctx, b.store, call, id); err != nil {
			return nil, err
		}
		return b.store.SecretVersions(ctx, call.OrganizationID, id, MaxPage)
	})
}

// UpdateCredentialConfig renames, describes or re-scopes a credential config.
func (b *Broker) UpdateCredentialConfig(ctx context.Context, call Call, id string, u forgecroft.CredentialConfigUpdate) (forgecroft.CredentialConfig, error) {
	u.Name = normalPointer(u.Name)
	a := act{"credential_config.update", forgecroft.PermWrite, "credential_config", id}
	updated, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (forgecroft.CredentialConfig, error) {
		old, err := b.ownConfig(ctx, tx, call, id)
		if err != nil {
			return old, err
		}
		c := u.Apply(old)
		if err := c.Validate(); err != nil {
			return c, err
		}
		if c.ProjectID != old.ProjectID {
			if err := b.checkRescope(ctx, tx, call, c); err != nil {
				return c, err
			}
			e.note("project_id", c.ProjectID)
		}
		c.Revision++
		c.UpdatedAt = b.instant()
		e.note("name", c.Name)
		return c, tx.UpdateCredentialConfig(ctx, c)
	})
	return b.withTrustPolicy(ctx, updated, err)
}

// checkRescope checks that everybody who uses the config still may once it has its new scope, and that the caller reaches it there.
func (b *Broker) checkRescope(ctx context.Context, tx forgecroft.Tx, call Call, c forgecroft.CredentialConfig) error {
	if c.ProjectID != "" {
		if err := b.checkProjectMember(ctx, tx, call, c.ProjectID); err != nil {
			return err
		}
	}
	if err := call.changeable("credential_config", c.Location()); err != nil {
		return err
	}
	if err := b.checkSourceScope(ctx, tx, call, c, c.SourceID); err != nil {
		return err
	}
	if c.ProjectID == "" {
		return nil
	}
	users, err := tx.CredentialConfigUsers(ctx, call.OrganizationID, c.ID, MaxPage)
	if err != nil {
		return err
	}
	outside, err := b.outside(ctx, tx, call, c.ProjectID, users)
	if err != nil || len(outside) == 0 {
		return err
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindConflict, Code: "out_of_scope", Related: outside,
		Message: fmt.Sprintf("Credential config %q is used outside of that project. Detach it there first.", c.Name),
	}
}

// outside returns those users of a config that do not lie in the project.
func (b *Broker) outside(ctx context.Context, r forgecroft.Reader, call Call, projectID string, users []forgecroft.Related) ([]forgecroft.Related, error) {
	var outside []forgecroft.Related
	for _, user := range users {
		location, err := b.locate(ctx, r, call, user)
		if err != nil {
			return nil, err
		}
		if location.ProjectID != projectID {
			outside = append(outside, user)
		}
	}
	return outside, nil
}

// locate finds where a user of a credential config lies.
func (b *Broker) locate(ctx context.Context, r forgecroft.Reader, call Call, user forgecroft.Related) (forgecroft.Location, error) {
	if user.Type == "workspace" {
		w, err := r.Workspace(ctx, call.OrganizationID, user.ID)
		return w.Location(), err
	}
	c, err := r.CredentialConfig(ctx, call.OrganizationID, user.ID)
	return c.Location(), err
}

// DeleteCredentialConfig removes a credential config that nothing uses, and its secrets from the vault. Once the row is gone nothing can
// deliver them; a vault that cannot be reached now is asked again by the sweeper until a read-back finds them absent.
func (b *Broker) DeleteCredentialConfig(ctx context.Context, call Call, id string) error {
	a := act{"credential_config.delete", forgecroft.PermWrite, "credential_config", id}
	gone, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (forgecroft.Reference, error) {
		c, err := b.ownConfig(ctx, tx, call, id)
		if err != nil {
			return "", err
		}
		users, err := tx.CredentialConfigUsers(ctx, call.OrganizationID, id, MaxPage)
		if err != nil {
			return "", err
		}
		if len(users) > 0 {
			return "", c.InUse(users)
		}
		e.note("name", c.Name)
		e.note("secret_version", c.SecretVersion)
		if c.Reference != "" {
			if err := tx.CreateIntent(ctx, b.destroyIntent(c.OrganizationID, c.Reference, 0)); err != nil {
				return "", err
			}
		}
		return c.Reference, tx.DeleteCredentialConfig(ctx, call.OrganizationID, id)
	})
	if err == nil && gone != "" {
		b.destroyNow(ctx, gone)
	}
	return err
}

// destroyIntent is the promise to destroy a reference once the grace is over.
func (b *Broker) destroyIntent(organizationID string, ref forgecroft.Reference, grace time.Duration) forgecroft.Intent {
	now := b.instant()
	return forgecroft.Intent{Reference: ref, Kind: forgecroft.IntentDestroy, OrganizationID: organizationID, NotBefore: now.Add(grace), CreatedAt: now}
}

// destroyNow tries to keep the promise of a destruction at once. Failing is no failure of the request: the intent stays.
func (b *Broker) destroyNow(ctx context.Context, ref forgecroft.Reference) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditDeadline)
	defer cancel()
	if err := b.finish(ctx, ref); err != nil && !errors.Is(err, errBackupRunning) {
		b.logger.WarnContext(ctx, "destroying a secret version: the sweeper will try again", "error", err)
	}
}

// errBackupRunning puts a destruction off: a backup that has begun may hold a row that still points at the secret version.
var errBackupRunning = forgecroft.Errorf(forgecroft.KindConflict, "backup_running", "A backup is being taken.")

// finish destroys a reference that nothing points at and drops its intent. While a backup runs it does nothing: the intent waits for the sweeper.
func (d deps) finish(ctx context.Context, ref forgecroft.Reference) error {
	switch lease, err := d.store.Lease(ctx, forgecroft.LeaseBackup); {
	case err == nil && lease.Expires.After(d.now()):
		return errBackupRunning
	case err != nil && !errors.Is(err, forgecroft.KindNotFound):
		return err
	}
	if err := d.vault.Destroy(ctx, ref); err != nil {
		return fmt.Errorf("destroying a secret version: %w", err)
	}
	return d.store.Update(ctx, func(tx forgecroft.Tx) error {
		_, err := tx.DropIntent(ctx, ref, "")
		return err
	})
}

// ListCredentialTypes returns the registry.
func (b *Broker) ListCredentialTypes(ctx context.Context, call Call) (forgecroft.Registry, error) {
	a := act{"credential_type.list", forgecroft.PermRead, "credential_type", ""}
	return read(ctx, b, call, a, func() (forgecroft.Registry, error) { return b.types, nil })
}

// withTrustPolicy fills in the policy that the owner of the role pastes, for types that have one. It names the identity that will assume
// the role: the source's as last verified, or the server's own. It may ask AWS for the latter, so it stays out of transactions.
func (b *Broker) withTrustPolicy(ctx context.Context, c forgecroft.CredentialConfig, err error) (forgecroft.CredentialConfig, error) {
	if err != nil {
		return c, err
	}
	if t, _ := b.types.Lookup(c.Type); t.TrustPolicy != nil {
		c.TrustPrincipal = b.basePrincipal(ctx, c)
		c.TrustPolicy = t.TrustPolicy(c.ExternalID, c.TrustPrincipal)
	}
	return c, nil
}
