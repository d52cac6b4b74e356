package openbao

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/cache"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// Open logs in to a server and opens the vault in it, or makes one where there is none. A missing or wrong key, a mount that is no key-value engine of
// version 2 or forgets by itself, and a vault that was made with the envelope and is opened without it, or the other way round, are refused.
func Open(ctx context.Context, o Options) (*Vault, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	base, err := parseAddress(o.Address)
	if err != nil {
		return nil, err
	}
	pool, err := newHTTPClient(o)
	if err != nil {
		return nil, err
	}
	v := &Vault{
		client: &client{http: pool, base: base, namespace: o.Namespace, timeout: o.Timeout, now: o.Clock.Now},
		mount:  o.Mount, prefix: o.Prefix, logger: o.Logger, keys: o.Keys, now: o.Clock.Now,
	}
	if v.session, err = openSession(ctx, v.client, o); err != nil {
		return nil, fmt.Errorf("logging in to the vault at %s: %w", base, err)
	}
	if err := v.start(ctx, o); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// start checks the engine, and opens or makes the vault in it.
func (v *Vault) start(ctx context.Context, o Options) error {
	if err := v.checkEngine(ctx); err != nil {
		return err
	}
	if o.Keys != nil {
		v.cache = cache.New(o.CacheBytes)
	}
	m, err := v.readMarker(ctx)
	if errors.Is(err, forgecroft.KindNotFound) && !o.MustExist {
		if m, err = v.found(ctx, o); errors.Is(err, forgecroft.KindConflict) {
			m, err = v.readMarker(ctx) // Another replica, which starts at the same moment, was faster.
		}
	}
	switch {
	case errors.Is(err, forgecroft.KindNotFound):
		return fmt.Errorf("there is no vault under %s/%s: check mount, prefix and namespace, or restore it from the backup that the metadata database belongs to", v.mount, v.prefix)
	case err != nil:
		return fmt.Errorf("opening the vault: %w", err)
	}
	return v.admit(ctx, m, o)
}

// checkEngine refuses a mount that is no key-value engine of version 2, or one that lets versions go by itself.
func (v *Vault) checkEngine(ctx context.Context) error {
	r := request{method: http.MethodGet, path: "sys/internal/ui/mounts/" + v.mount}
	a, _, err := v.call(ctx, r)
	if err == nil && !a.ok() {
		err = v.client.refusal(ctx, r, a)
	}
	if err != nil {
		return fmt.Errorf("looking at the mount %s of the vault: %w", v.mount, err)
	}
	var engine struct {
		Path    string            `json:"path"`
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}
	if err := decode(a.data, &engine); err != nil {
		return unreachable(err)
	}
	if strings.Trim(engine.Path, "/") != v.mount || engine.Type != "kv" || engine.Options["version"] != "2" {
		return fmt.Errorf("the mount %s of the vault is no key-value engine of version 2; make one: bao secrets enable -path=%s -version=2 kv", v.mount, v.mount)
	}
	return v.checkForgetting(ctx)
}

// checkForgetting refuses an engine that deletes versions after a time. A policy need not let us see that: then nobody checks.
func (v *Vault) checkForgetting(ctx context.Context) error {
	a, _, err := v.call(ctx, request{method: http.MethodGet, path: v.mount + "/config"})
	if isCode(err, "vault_denied") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the settings of the vault's mount %s: %w", v.mount, err)
	}
	var config struct {
		DeleteAfter string `json:"delete_version_after"`
	}
	if a.ok() && decode(a.data, &config) == nil && config.DeleteAfter != "" && config.DeleteAfter != "0s" {
		return fmt.Errorf("the vault's mount %s deletes every version after %s, and the secrets with it; set delete_version_after to 0s, or take another mount", v.mount, config.DeleteAfter)
	}
	return nil
}

// found makes a new vault, with the keys of the source if there are any.
func (v *Vault) found(ctx context.Context, o Options) (marker, error) {
	m := marker{Format: markerFormat, Envelope: o.Keys != nil, Keys: map[string][]byte{}}
	if o.Keys != nil {
		ring, err := o.Keys.Load()
		if errors.Is(err, fs.ErrNotExist) {
			if ring, err = envelope.GenerateRing(); err != nil {
				return m, fmt.Errorf("making a key: %w", err)
			}
			err = o.Keys.Create(ring)
		}
		if err != nil {
			return m, err
		}
		if err := m.note(ring); err != nil {
			return m, err
		}
	}
	if err := v.writeMarker(ctx, m); err != nil {
		return m, err
	}
	v.logger.InfoContext(ctx, "a new vault was made", "mount", v.mount, "prefix", v.prefix, "envelope", m.Envelope)
	return m, nil
}

// admit takes the keys of the source in, if they are the vault's.
func (v *Vault) admit(ctx context.Context, m marker, o Options) error {
	switch {
	case m.Format != markerFormat:
		return fmt.Errorf("the vault has format %d, which this version does not know; it knows %d", m.Format, markerFormat)
	case m.Envelope && o.Keys == nil:
		return errors.New("the vault was made with the envelope; set FORGECROFT_VAULT_ENVELOPE=on and give it its key ring")
	case !m.Envelope && o.Keys != nil:
		return errors.New("the vault was made without the envelope; set FORGECROFT_VAULT_ENVELOPE=off, or take another prefix")
	case o.Keys == nil:
		return nil
	}
	ring, err := o.Keys.Load()
	if err != nil {
		return fmt.Errorf("the vault is sealed with the keys %s: %w", m.describe(), err)
	}
	v.ring = ring
	missing, err := m.check(ring, o.Keys)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		if err := v.checkUnused(ctx, missing, o.Keys); err != nil {
			return err
		}
	}
	return v.noteRing(ctx, ring)
}

// checkUnused refuses a ring that lacks keys, unless nothing is sealed with them any more: then somebody took them out of a source that we cannot write.
func (v *Vault) checkUnused(ctx context.Context, missing []string, source KeySource) error {
	counts, err := v.census(ctx, nil)
	if err != nil {
		return fmt.Errorf("looking for what the missing keys seal: %w", err)
	}
	for _, id := range missing {
		if n := counts[id]; n > 0 {
			return fmt.Errorf("wrong key: %s lacks the key %s, which seals %d secret versions of the vault; put it there", source, id, n)
		}
		v.spare.Store(id, struct{}{})
	}
	return nil
}
