//go:build unix

package replicas_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/forgecroft/forgecroft/internal/apikey"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/sdk"
)

// stranger is a client that works beside the others, and must never see what is theirs.
type stranger struct {
	name      string
	client    *sdk.Client
	workspace string // its own
	inherits  bool   // it may see, not change, what is the whole organization's
	owns      func(organization string, project *string) bool
	looks     atomic.Int64
}

// mustMakeStrangers makes the owner of another organization, and a member of another project of ours. Both have what we have, by the same names where that is allowed.
func (h *house) mustMakeStrangers(t *testing.T) []*stranger {
	t.Helper()
	us, err := h.owner.Whoami(t.Context())
	must(t, err)
	other := h.mustAddOrganization(t)
	them, err := other.Whoami(t.Context())
	must(t, err)
	if them.Organization.ID == us.Organization.ID {
		t.Fatal("both keys are of one organization")
	}
	theirs, err := other.CreateProject(t.Context(), sdk.CreateProject{Name: control})
	must(t, err)
	project, err := h.owner.CreateProject(t.Context(), sdk.CreateProject{Name: "another one"})
	must(t, err)
	key, err := h.owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "member", Role: "member", ProjectID: project.ID})
	must(t, err)
	member, err := h.ledger.client(h.proxy.URL, key.Key)
	must(t, err)
	h.tenants = append(h.tenants, other)
	all := []*stranger{
		{name: "another organization", client: other, owns: func(organization string, _ *string) bool { return organization == them.Organization.ID }},
		{name: "another project", client: member, inherits: true, owns: func(organization string, owner *string) bool {
			return organization == us.Organization.ID && (owner == nil || *owner == project.ID) // What is the whole organization's is for all of its projects.
		}},
	}
	for i, projectID := range []string{theirs.ID, project.ID} {
		all[i].workspace = h.mustFurnish(t, all[i], projectID)
	}
	return all
}

// mustAddOrganization makes an organization as the product will: it has rows for them, and no public door yet.
func (h *house) mustAddOrganization(t *testing.T) *sdk.Client {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), store.Options{URL: forgecroft.NewSecret(h.url)})
	must(t, err)
	defer s.Close()
	now := time.Now().UTC().Truncate(time.Microsecond)
	organization := forgecroft.Organization{ID: uuid.NewString(), Name: "theirs", CreatedAt: now}
	key := forgecroft.APIKey{ID: uuid.NewString(), OrganizationID: organization.ID, Name: "owner", Role: forgecroft.RoleOwner, CreatedAt: now}
	raw, err := apikey.Mint(rand.Reader, key.ID)
	must(t, err)
	key.Hash, key.Hint = apikey.Hash(raw), apikey.Hint(raw)
	must(t, s.Update(t.Context(), func(tx forgecroft.Tx) error {
		return errors.Join(tx.CreateOrganization(t.Context(), organization), tx.CreateAPIKey(t.Context(), key))
	}))
	client, err := h.ledger.client(h.proxy.URL, raw)
	must(t, err)
	return client
}

// mustFurnish makes a credential, stores a value and attaches it, in a project of a stranger.
func (h *house) mustFurnish(t *testing.T, s *stranger, project string) (workspace string) {
	t.Helper()
	config, err := s.client.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: s.name, CredentialType: "generic_env", ProjectID: sdk.Some(project)})
	must(t, err)
	_, err = h.store(t.Context(), s.client, config.ID, s.name)
	must(t, err)
	w, err := s.client.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: s.name, ProjectID: project, CredentialConfigIDs: []string{config.ID}})
	must(t, err)
	return w.ID
}

// strange lets a stranger look, and reach for a target, until ctx ends.
func (c *clients) strange(ctx context.Context, t *testing.T, s *stranger, random *mathrand.Rand) {
	for ctx.Err() == nil {
		err := c.look(s)
		if err == nil {
			err = c.reach(s, c.targets[random.IntN(len(c.targets))])
		}
		switch {
		case err == nil:
			s.looks.Add(1)
		case errors.As(err, new(broken)) || !undecided(err):
			t.Errorf("a client of %s: %v", s.name, err)
		}
	}
}

// look wants a stranger to see its own things only, and to be delivered its own secret.
func (c *clients) look(s *stranger) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	workspaces, err := s.client.Workspaces(ctx, sdk.ListOptions{})
	if err != nil {
		return err
	}
	for _, w := range workspaces.Items {
		if err := expect(s.owns(w.OrganizationID, &w.ProjectID), "it sees the workspace %s", w.Name); err != nil {
			return err
		}
	}
	configs, err := s.client.CredentialConfigs(ctx, sdk.ListOptions{})
	if err != nil {
		return err
	}
	for _, config := range configs.Items {
		if err := expect(s.owns(config.OrganizationID, config.ProjectID), "it sees the credential config %s", config.Name); err != nil {
			return err
		}
	}
	value, err := c.h.deliver(ctx, s.client, s.workspace)
	if err != nil {
		return err
	}
	return expect(len(workspaces.Items) == 1 && len(configs.Items) > 0 && value == s.name, "it sees %d workspaces and %d configs, and is delivered %q", len(workspaces.Items), len(configs.Items), value)
}

// reach lets a stranger reach for what is not its own: it is refused as what is not there is, or, where it is the organization's, as what is not to be changed.
func (c *clients) reach(s *stranger, target *target) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const value = `"EXAMPLE"`
	attempts := []func() error{
		func() error { _, err := s.client.Workspace(ctx, target.workspace); return err },
		func() error { _, err := s.client.Deliver(ctx, target.workspace, sdk.DeliverRequest{}); return err },
		func() error { _, err := s.client.PreviewEnvironment(ctx, target.workspace); return err },
		func() error {
			_, err := s.client.UpdateWorkspace(ctx, target.workspace, 0, sdk.UpdateWorkspace{CredentialConfigIDs: &[]string{}})
			return err
		},
		func() error { return s.client.DeleteWorkspace(ctx, target.workspace) },
	}
	if id := target.config.Load(); id != nil {
		attempts = append(attempts,
			func() error {
				_, err := s.client.StoreSecrets(ctx, *id, sdk.StoreSecrets{Data: map[string]json.RawMessage{variable: []byte(value)}})
				return err
			},
			func() error { return s.client.DeleteCredentialConfig(ctx, *id) },
		)
	}
	for i, attempt := range attempts {
		if err := attempt(); !errors.Is(err, sdk.ErrNotFound) && (!s.inherits || !errors.Is(err, sdk.ErrForbidden)) {
			return errors.Join(err, expect(err != nil, "attempt %d at what is another's succeeds", i))
		}
	}
	return nil
}
