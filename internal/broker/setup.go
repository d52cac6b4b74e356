package broker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/forgecroft/forgecroft/internal/audit"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// instanceKeysID stands for the credential config in the binding of the instance keys.
const instanceKeysID = "instance-keys"

// systemName is the actor of what no caller asked for.
const systemName = "system"

// OwnerKey is the first key of a new installation.
type OwnerKey struct {
	Organization forgecroft.Organization
	Key          forgecroft.APIKey
	Raw          forgecroft.Secret
}

// Open prepares an installation and returns its broker. On the first start it makes the instance keys, an organization and an owner key.
// publish gets that key before it is committed: a key that could not be written down never exists, and a start that is
// cut off in between publishes another one.
func Open(ctx context.Context, c Config, publish func(OwnerKey) error) (*Broker, error) {
	d := c.deps()
	instance, err := d.store.Instance(ctx)
	if errors.Is(err, forgecroft.KindNotFound) {
		instance, err = d.firstStart(ctx, publish)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing the instance: %w", err)
	}
	keys, err := d.instanceKeys(ctx, instance)
	if err != nil {
		return nil, fmt.Errorf("opening the instance keys: %w", err)
	}
	signer, err := audit.NewSigner([]byte(keys.CheckpointSeed.Reveal()))
	if err != nil {
		return nil, err
	}
	return &Broker{deps: d, mac: []byte(keys.MAC.Reveal()), signer: signer}, nil
}

// instanceBinding is what the instance keys are bound to.
func instanceBinding(instanceID string) forgecroft.Binding {
	return forgecroft.Binding{OrganizationID: instanceID, CredentialConfigID: instanceKeysID, Version: 1}
}

// instanceKeys opens the keys of an installation.
func (d deps) instanceKeys(ctx context.Context, i forgecroft.Instance) (forgecroft.InstanceKeys, error) {
	packed, err := d.vault.Get(ctx, i.KeysReference, instanceBinding(i.ID))
	if err != nil {
		return forgecroft.InstanceKeys{}, err
	}
	values, err := forgecroft.DecodeValues(packed)
	if err != nil {
		return forgecroft.InstanceKeys{}, err
	}
	seed, err := decodeKey(values["checkpoint_seed"])
	if err != nil {
		return forgecroft.InstanceKeys{}, err
	}
	mac, err := decodeKey(values["mac"])
	return forgecroft.InstanceKeys{CheckpointSeed: seed, MAC: mac}, err
}

// firstStart makes everything that an empty installation needs, by the two-store protocol.
func (d deps) firstStart(ctx context.Context, publish func(OwnerKey) error) (forgecroft.Instance, error) {
	now := d.instant()
	ref, err := d.newReference()
	if err != nil {
		return forgecroft.Instance{}, err
	}
	instance := forgecroft.Instance{ID: d.newID(), KeysReference: ref, CreatedAt: now}
	intent := forgecroft.Intent{Reference: ref, Kind: forgecroft.IntentPut, OrganizationID: instance.ID, NotBefore: now.Add(putLease), CreatedAt: now}
	if err := d.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.CreateIntent(ctx, intent) }); err != nil {
		return instance, err
	}
	keys, err := d.newInstanceKeys()
	if err != nil {
		return instance, err
	}
	if err := d.vault.Put(ctx, ref, instanceBinding(instance.ID), keys.Encode()); err != nil {
		return instance, err
	}
	owner, err := d.newOwner(forgecroft.Organization{ID: d.newID(), Name: "default", CreatedAt: now})
	if err != nil {
		return instance, err
	}
	if err := publish(owner); err != nil {
		return instance, fmt.Errorf("writing down the owner key: %w", err)
	}
	err = d.store.Update(ctx, func(tx forgecroft.Tx) error { return d.commitInstance(ctx, tx, instance, owner) })
	if errors.Is(err, forgecroft.KindConflict) {
		return d.store.Instance(ctx) // Another replica was faster; its owner key counts.
	}
	return instance, err
}

// newInstanceKeys makes the values of [forgecroft.InstanceKeys].
func (d deps) newInstanceKeys() (forgecroft.Values, error) {
	seed, mac := make([]byte, ed25519.SeedSize), make([]byte, 32)
	if _, err := io.ReadFull(d.random, seed); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(d.random, mac); err != nil {
		return nil, err
	}
	return forgecroft.Values{"checkpoint_seed": encodeKey(seed), "mac": encodeKey(mac)}, nil
}

// newOwner makes an owner key for an organization.
func (d deps) newOwner(organization forgecroft.Organization) (OwnerKey, error) {
	k := forgecroft.APIKey{ID: d.newID(), OrganizationID: organization.ID, Name: "owner", Role: forgecroft.RoleOwner, CreatedAt: d.instant()}
	raw, err := d.mint(&k)
	return OwnerKey{organization, k, raw}, err
}

// commitInstance makes the instance exist.
func (d deps) commitInstance(ctx context.Context, tx forgecroft.Tx, i forgecroft.Instance, owner OwnerKey) error {
	if err := tx.CreateInstance(ctx, i); err != nil {
		return err
	}
	if err := tx.CreateOrganization(ctx, owner.Organization); err != nil {
		return err
	}
	if _, err := tx.DropIntent(ctx, i.KeysReference, forgecroft.IntentPut); err != nil {
		return err
	}
	return d.commitOwner(ctx, tx, owner, "organization.create")
}

// commitOwner stores an owner key with its audit entry.
func (d deps) commitOwner(ctx context.Context, tx forgecroft.Tx, owner OwnerKey, action string) error {
	if err := tx.CreateAPIKey(ctx, owner.Key); err != nil {
		return err
	}
	b := &Broker{deps: d}
	e := &entry{objectID: owner.Key.ID}
	e.note("role", string(owner.Key.Role))
	return b.append(ctx, tx, systemCall(owner.Organization.ID), act{action, "", "api_key", ""}, forgecroft.OutcomeAllowed, e)
}

// systemCall is the call behind work that nobody asked for. It has no role: no exported method of [Broker] works for it.
func systemCall(organizationID string) Call {
	return Call{Principal: forgecroft.Principal{OrganizationID: organizationID, KeyName: systemName}}
}

// RecoverOwner makes another owner key for an organization whose owner keys are lost. It is for whoever holds the data directory: there is no
// caller to authorise, and the trail says so.
func RecoverOwner(ctx context.Context, c Config, publish func(OwnerKey) error) error {
	d := c.deps()
	organizations, err := d.store.Organizations(ctx)
	if err != nil {
		return err
	}
	if len(organizations) == 0 {
		return forgecroft.Errorf(forgecroft.KindNotFound, "not_found", "This installation has not been started yet: its first start makes an owner key.")
	}
	owner, err := d.newOwner(organizations[0])
	if err != nil {
		return err
	}
	if err := publish(owner); err != nil {
		return fmt.Errorf("writing down the owner key: %w", err)
	}
	return d.store.Update(ctx, func(tx forgecroft.Tx) error { return d.commitOwner(ctx, tx, owner, "api_key.recover_owner") })
}
