//go:build unix

package replicas_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/sdk"
)

// revocationReach is how long a revoked key may still open something (CON-9).
const revocationReach = time.Second

// ended is what must never come back.
type ended struct {
	mu      sync.Mutex
	configs []string // ids of credential configs whose deletion was acknowledged
	keys    []revokedKey
}

type revokedKey struct {
	client *sdk.Client
	raw    string
	at     time.Time // when the revocation was acknowledged
}

// random returns one of each; nil where there is none yet.
func (e *ended) random(pick func(n int) int) (config string, key *revokedKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.configs) > 0 {
		config = e.configs[pick(len(e.configs))]
	}
	if len(e.keys) > 0 {
		key = &e.keys[pick(len(e.keys))]
	}
	return config, key
}

// live lets an object of each kind go through its life, and holds every answer against what was acknowledged before. A call of which nobody knows whether
// it has happened ends the life.
func (c *clients) live(t *testing.T, client, n int, project string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	owner, name := c.h.owner, fmt.Sprintf("life %d of client %d %s", n, client, rand.Text())

	config, err := once(ctx, &c.replays, func(ctx context.Context) (sdk.CredentialConfig, error) {
		return owner.CreateCredentialConfig(ctx, sdk.CreateCredentialConfig{Name: name, CredentialType: "generic_env", ProjectID: sdk.Some(project)})
	})
	if err != nil {
		return err // A name that is taken: the call was repeated with its Idempotency-Key, and made two.
	}
	if _, err := once(ctx, &c.replays, func(ctx context.Context) (sdk.StoredSecrets, error) { return c.h.store(ctx, owner, config.ID, name) }); err != nil {
		return err
	}
	workspace, err := once(ctx, &c.replays, func(ctx context.Context) (sdk.Workspace, error) {
		return owner.CreateWorkspace(ctx, sdk.CreateWorkspace{Name: name, ProjectID: project, CredentialConfigIDs: []string{config.ID}})
	})
	if err != nil {
		return err
	}
	if err := c.delivers(ctx, owner, workspace.ID, name); err != nil {
		return err
	}
	if v, err := owner.Verify(ctx, config.ID); err != nil || v.Conclusive || v.SecretVersion != 1 {
		return errors.Join(err, expect(err != nil, "the verification said %+v", v))
	}
	if err := c.liveKey(ctx, name, workspace.ID); err != nil {
		return err
	}
	if err := owner.DeleteCredentialConfig(ctx, config.ID); !errors.Is(err, sdk.ErrConflict) {
		return errors.Join(err, expect(err != nil, "a config was deleted while it was attached"))
	}
	changed, err := owner.UpdateWorkspace(ctx, workspace.ID, workspace.Revision, sdk.UpdateWorkspace{CredentialConfigIDs: &[]string{}})
	if err != nil {
		return err
	}
	if _, err := owner.UpdateWorkspace(ctx, workspace.ID, workspace.Revision, sdk.UpdateWorkspace{CredentialConfigIDs: &[]string{config.ID}}); !errors.Is(err, sdk.ErrStale) {
		return errors.Join(err, expect(err != nil, "a stale revision was taken"))
	}
	if err := expect(changed.Revision > workspace.Revision, "the revision went from %d to %d", workspace.Revision, changed.Revision); err != nil {
		return err
	}
	if err := owner.DeleteCredentialConfig(ctx, config.ID); err != nil {
		return err
	}
	c.h.ended.mu.Lock()
	c.h.ended.configs = append(c.h.ended.configs, config.ID)
	c.h.ended.mu.Unlock()
	return c.delivers(ctx, owner, workspace.ID, "")
}

// liveKey makes a key, uses it and revokes it.
func (c *clients) liveKey(ctx context.Context, name, workspace string) error {
	key, err := c.h.owner.CreateAPIKey(ctx, sdk.CreateAPIKey{Name: name, Role: "runner", WorkspaceID: workspace})
	if err != nil {
		return err
	}
	runner, err := c.h.ledger.client(c.h.proxy.URL, key.Key)
	if err != nil {
		return err
	}
	if err := c.delivers(ctx, runner, workspace, name); err != nil {
		return err
	}
	if err := c.h.owner.RevokeAPIKey(ctx, key.ID); err != nil {
		return err
	}
	c.h.ended.mu.Lock()
	defer c.h.ended.mu.Unlock()
	c.h.ended.keys = append(c.h.ended.keys, revokedKey{runner, key.Key, time.Now()})
	return nil
}

// delivers has a workspace delivered and compares the value.
func (c *clients) delivers(ctx context.Context, client *sdk.Client, workspace, want string) error {
	got, err := c.h.deliver(ctx, client, workspace)
	if err != nil {
		return err
	}
	return expect(got == want, "delivered %q, want %q", got, want)
}

// haunt looks whether something that has ended is there again.
func (c *clients) haunt(pick func(n int) int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config, key := c.h.ended.random(pick)
	if config != "" {
		if _, err := c.h.owner.CredentialConfig(ctx, config); !errors.Is(err, sdk.ErrNotFound) {
			return errors.Join(err, expect(err != nil, "the deleted config %s is there again", config))
		}
	}
	if key != nil && time.Since(key.at) > revocationReach {
		if _, err := key.client.Whoami(ctx); !errors.Is(err, sdk.ErrUnauthenticated) {
			return errors.Join(err, expect(err != nil, "a key opened something %v after its revocation", time.Since(key.at)))
		}
	}
	return nil
}

// broken is an answer that no disturbance explains.
type broken string

func (b broken) Error() string { return string(b) }

// expect is an error unless something holds.
func expect(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return broken(fmt.Sprintf(format, args...))
}
