package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// errOvertaken says that another request stored secrets for the same config meanwhile, or the sweeper cleaned up: start over.
var errOvertaken = errors.New("another request was faster")

// StoreSecrets keeps a new secret version, whole or not at all. It follows the two-store protocol: an intent in the database, the secret in the
// vault under a new reference, then the row that points at it. The row is the only commit point; whatever crashes when,
// the sweeper destroys what no row points at.
func (b *Broker) StoreSecrets(ctx context.Context, call Call, id string, data map[string]json.RawMessage) (forgecroft.SecretVersion, error) {
	a := act{"credential_config.store_secrets", forgecroft.PermWrite, "credential_config", id}
	var none forgecroft.SecretVersion
	if err := b.authorise(ctx, call, a); err != nil {
		return none, err
	}
	once, done, err := b.begin(call, a.name+" "+id, data)
	if err != nil {
		return none, err
	}
	defer done()
	for range storeAttempts {
		version, err := b.storeSecrets(ctx, call, a, once, data)
		if errors.Is(err, errReplayed) {
			return version, nil
		}
		if !errors.Is(err, errOvertaken) {
			return version, err
		}
	}
	return none, forgecroft.Errorf(forgecroft.KindConflict, "stored_concurrently", "Other requests kept storing secrets for this credential config. Repeat the request.")
}

// storing is one attempt to store a secret version.
type storing struct {
	act    act
	config forgecroft.CredentialConfig // as it will be
	values forgecroft.Values
	old    forgecroft.Reference // of the version it replaces
	odd    []string             // what its type warns of
}

// storeSecrets makes one attempt. With errReplayed it returns what another request with the same Idempotency-Key has made.
func (b *Broker) storeSecrets(ctx context.Context, call Call, a act, o once, data map[string]json.RawMessage) (forgecroft.SecretVersion, error) {
	var remembered forgecroft.SecretVersion
	if err := o.replay(ctx, b, b.store, &remembered); err != nil {
		return remembered, err
	}
	s, err := b.prepare(ctx, call, a, data)
	if err != nil {
		return forgecroft.SecretVersion{}, b.settle(ctx, call, a, err)
	}
	// From here on the client's going away changes nothing: either the row points at the secret or the intent is turned around.
	ctx = context.WithoutCancel(ctx)
	if err := b.vault.Put(ctx, s.config.Reference, s.config.Binding(), s.values.Encode()); err != nil {
		b.abandon(ctx, s.config)
		return forgecroft.SecretVersion{}, fmt.Errorf("storing the secrets in the vault: %w", err)
	}
	version, err := b.commit(ctx, call, o, s)
	if err != nil {
		b.abandon(ctx, s.config)
		return version, b.settle(ctx, call, a, err)
	}
	version.Warnings = s.odd
	return version, nil
}

// prepare checks everything that can be checked before the vault is touched, and chooses the reference.
func (b *Broker) prepare(ctx context.Context, call Call, a act, data map[string]json.RawMessage) (storing, error) {
	config, err := b.ownConfig(ctx, b.store, call, a.id)
	if err != nil {
		return storing{}, err
	}
	t, known := b.types.Lookup(config.Type)
	if !known {
		return storing{}, unknownType(config)
	}
	values, fields := t.Check(data)
	if err := forgecroft.Invalid(fields); err != nil {
		return storing{}, err
	}
	s := storing{act: a, values: values, old: config.Reference}
	if t.Warn != nil {
		s.odd = t.Warn(values)
	}
	config.SecretVersion++
	config.Revision++
	config.Fields = slices.Sorted(maps.Keys(values))
	config.Public = t.Public(values)
	config.SecretSize = values.Size()
	if t.Source != nil {
		config.SourceID = t.Source(config.Public)
	}
	if err := b.checkStored(ctx, b.store, call, config, config.WorkspaceIDs); err != nil {
		return storing{}, err
	}
	if config.Reference, err = b.references.take(ctx, b.deps, call.OrganizationID); err != nil {
		return storing{}, fmt.Errorf("reserving a reference: %w", err)
	}
	s.config = config
	return s, nil
}

// unknownType is the failure of a config whose type this binary does not know, as after a downgrade.
func unknownType(c forgecroft.CredentialConfig) error {
	return forgecroft.Errorf(forgecroft.KindUnprocessable, "unknown_credential_type", "This server does not know the credential type of %q.", c.Name)
}

// checkStored checks what the new version means for others: its source, and the workspaces that have it attached.
func (b *Broker) checkStored(ctx context.Context, r forgecroft.Reader, call Call, config forgecroft.CredentialConfig, workspaces []string) error {
	if config.SecretSize > forgecroft.MaxEnvironment {
		return tooLarge("data", config.SecretSize)
	}
	if err := b.checkSourceScope(ctx, r, call, config, config.SourceID); err != nil {
		return err
	}
	for _, id := range workspaces {
		w, err := r.Workspace(ctx, call.OrganizationID, id)
		if err != nil {
			return err
		}
		if err := b.checkBeside(ctx, r, call, w, config); err != nil {
			return err
		}
	}
	return nil
}

// checkBeside checks a changed config beside the others of a workspace.
func (b *Broker) checkBeside(ctx context.Context, r forgecroft.Reader, call Call, w forgecroft.Workspace, changed forgecroft.CredentialConfig) error {
	var effects []forgecroft.Effect
	size := 0
	for _, id := range w.CredentialConfigIDs {
		config := changed
		if id != changed.ID {
			var err error
			if config, err = r.CredentialConfig(ctx, call.OrganizationID, id); err != nil {
				return err
			}
		}
		effects = append(effects, b.types.Effect(config))
		size += config.SecretSize
	}
	if size > forgecroft.MaxEnvironment {
		return tooLarge("data", size)
	}
	return conflictError(forgecroft.Conflicts(effects))
}

// commit points the row at the secret that lies in the vault: the moment at which the version exists.
func (b *Broker) commit(ctx context.Context, call Call, o once, s storing) (forgecroft.SecretVersion, error) {
	now := b.instant()
	version := forgecroft.SecretVersion{
		OrganizationID: call.OrganizationID, CredentialConfigID: s.config.ID, Version: s.config.SecretVersion,
		Reference: s.config.Reference, Fields: s.config.Fields, CreatedBy: call.KeyID, CreatedAt: now,
	}
	config := s.config
	config.SecretsStoredAt, config.UpdatedAt = now, now
	err := b.store.Update(ctx, func(tx forgecroft.Tx) error {
		if err := o.replay(ctx, b, tx, &version); err != nil { // Another replica may have been asked the same at the same time.
			return err
		}
		if err := b.checkAgain(ctx, tx, call, config); err != nil {
			return err
		}
		// The revision is the one that prepare saw, plus one: whatever else changed the config meanwhile makes this stale.
		if err := tx.UpdateCredentialConfig(ctx, config); errors.Is(err, forgecroft.KindStale) {
			return errOvertaken
		} else if err != nil {
			return err
		}
		if err := tx.AddSecretVersion(ctx, version); err != nil {
			return err
		}
		if s.old != "" {
			if err := tx.CreateIntent(ctx, b.destroyIntent(call.OrganizationID, s.old, destroyGrace)); err != nil {
				return err
			}
		}
		if err := o.remember(ctx, b, tx, version); err != nil {
			return err
		}
		e := &entry{objectID: s.config.ID}
		e.note("secret_version", version.Version)
		e.note("fields", version.Fields)
		return b.append(ctx, tx, call, s.act, forgecroft.OutcomeAllowed, e)
	})
	return version, err
}

// checkAgain checks in the transaction what may have changed since prepare without changing the config: that the sweeper has not
// taken the reference, and who has the config attached.
func (b *Broker) checkAgain(ctx context.Context, tx forgecroft.Tx, call Call, config forgecroft.CredentialConfig) error {
	mine, err := tx.DropIntent(ctx, config.Reference, forgecroft.IntentPut)
	if err != nil {
		return err
	}
	if !mine {
		return errOvertaken
	}
	users, err := tx.CredentialConfigUsers(ctx, call.OrganizationID, config.ID, MaxPage)
	if err != nil {
		return err
	}
	var workspaces []string
	for _, user := range users {
		if user.Type == "workspace" {
			workspaces = append(workspaces, user.ID)
		}
	}
	return b.checkStored(ctx, tx, call, config, workspaces)
}

// abandon turns the intent of a version that did not come about into one to destroy, and tries that at once.
func (b *Broker) abandon(ctx context.Context, c forgecroft.CredentialConfig) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditDeadline)
	defer cancel()
	err := b.store.Update(ctx, func(tx forgecroft.Tx) error {
		// The commit may have succeeded although it reported a failure: what a row points at stays.
		if live, err := tx.ReferenceLive(ctx, c.Reference); err != nil || live {
			return err
		}
		return tx.CreateIntent(ctx, b.destroyIntent(c.OrganizationID, c.Reference, 0))
	})
	if err != nil {
		b.logger.WarnContext(ctx, "turning an intent around: the sweeper will find it when its lease is over", "error", err)
	}
}
