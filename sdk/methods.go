package sdk

import (
	"context"
	"net/http"
)

// Whoami returns the caller as the server sees it.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) { return get[Whoami](ctx, c, "whoami") }

// CreateProject makes a project.
func (c *Client) CreateProject(ctx context.Context, r CreateProject) (Project, error) {
	return create[Project](ctx, c, "projects", r)
}

// Projects lists projects, one page.
func (c *Client) Projects(ctx context.Context, o ListOptions) (List[Project], error) {
	return list[Project](ctx, c, "projects", o)
}

// Project reads a project.
func (c *Client) Project(ctx context.Context, id string) (Project, error) {
	return get[Project](ctx, c, object("projects", id))
}

// UpdateProject changes a project. revision is the one that the change expects; 0: any.
func (c *Client) UpdateProject(ctx context.Context, id string, revision int64, r UpdateProject) (Project, error) {
	return update[Project](ctx, c, object("projects", id), revision, r)
}

// DeleteProject removes an empty project.
func (c *Client) DeleteProject(ctx context.Context, id string) error {
	return c.remove(ctx, object("projects", id))
}

// CreateWorkspace makes a workspace.
func (c *Client) CreateWorkspace(ctx context.Context, r CreateWorkspace) (Workspace, error) {
	return create[Workspace](ctx, c, "workspaces", r)
}

// Workspaces lists workspaces, one page.
func (c *Client) Workspaces(ctx context.Context, o ListOptions) (List[Workspace], error) {
	return list[Workspace](ctx, c, "workspaces", o)
}

// Workspace reads a workspace.
func (c *Client) Workspace(ctx context.Context, id string) (Workspace, error) {
	return get[Workspace](ctx, c, object("workspaces", id))
}

// UpdateWorkspace changes a workspace. revision is the one that the change expects; 0: any.
func (c *Client) UpdateWorkspace(ctx context.Context, id string, revision int64, r UpdateWorkspace) (Workspace, error) {
	return update[Workspace](ctx, c, object("workspaces", id), revision, r)
}

// DeleteWorkspace removes a workspace.
func (c *Client) DeleteWorkspace(ctx context.Context, id string) error {
	return c.remove(ctx, object("workspaces", id))
}

// Deliver takes the environment for one run. An answer that was cut off or changed on its way is an error. A delivery is never repeated by itself: each
// one is recorded.
func (c *Client) Deliver(ctx context.Context, workspaceID string, r DeliverRequest) (Environment, error) {
	var env Environment
	err := c.do(ctx, call{method: http.MethodPost, path: object("workspaces", workspaceID, "environment"), body: r, hashed: true}, &env)
	return env, err
}

// PreviewEnvironment tells what a delivery would set, without a value.
func (c *Client) PreviewEnvironment(ctx context.Context, workspaceID string) (EnvironmentPreview, error) {
	return get[EnvironmentPreview](ctx, c, object("workspaces", workspaceID, "environment"))
}

// CreateCredentialConfig makes a credential config: metadata only.
func (c *Client) CreateCredentialConfig(ctx context.Context, r CreateCredentialConfig) (CredentialConfig, error) {
	return create[CredentialConfig](ctx, c, "credential-configs", r)
}

// CredentialConfigs lists credential configs, one page.
func (c *Client) CredentialConfigs(ctx context.Context, o ListOptions) (List[CredentialConfig], error) {
	return list[CredentialConfig](ctx, c, "credential-configs", o)
}

// CredentialConfig reads a credential config.
func (c *Client) CredentialConfig(ctx context.Context, id string) (CredentialConfig, error) {
	return get[CredentialConfig](ctx, c, object("credential-configs", id))
}

// UpdateCredentialConfig changes a credential config. revision is the one that the change expects; 0: any.
func (c *Client) UpdateCredentialConfig(ctx context.Context, id string, revision int64, r UpdateCredentialConfig) (CredentialConfig, error) {
	return update[CredentialConfig](ctx, c, object("credential-configs", id), revision, r)
}

// DeleteCredentialConfig removes a credential config and its secrets.
func (c *Client) DeleteCredentialConfig(ctx context.Context, id string) error {
	return c.remove(ctx, object("credential-configs", id))
}

// StoreSecrets keeps a new secret version, whole.
func (c *Client) StoreSecrets(ctx context.Context, id string, r StoreSecrets) (StoredSecrets, error) {
	return create[StoredSecrets](ctx, c, object("credential-configs", id, "secrets"), r)
}

// SecretVersions lists the newest versions of a config's secrets.
func (c *Client) SecretVersions(ctx context.Context, id string) (List[SecretVersion], error) {
	return list[SecretVersion](ctx, c, object("credential-configs", id, "secret-versions"), ListOptions{})
}

// Verify asks the provider. All three outcomes are results.
func (c *Client) Verify(ctx context.Context, id string) (Verification, error) {
	var v Verification
	err := c.do(ctx, call{method: http.MethodPost, path: object("credential-configs", id, "verify")}, &v)
	return v, err
}

// CredentialTypes lists the registry.
func (c *Client) CredentialTypes(ctx context.Context) (List[CredentialType], error) {
	return list[CredentialType](ctx, c, "credential-types", ListOptions{})
}

// CreateAPIKey makes an API key, which is shown this once.
func (c *Client) CreateAPIKey(ctx context.Context, r CreateAPIKey) (CreatedAPIKey, error) {
	return create[CreatedAPIKey](ctx, c, "api-keys", r)
}

// APIKeys lists API keys, one page.
func (c *Client) APIKeys(ctx context.Context, o ListOptions) (List[APIKey], error) {
	return list[APIKey](ctx, c, "api-keys", o)
}

// RevokeAPIKey ends an API key.
func (c *Client) RevokeAPIKey(ctx context.Context, id string) error {
	return c.remove(ctx, object("api-keys", id))
}

// Deliveries lists deliveries, the newest first, one page.
func (c *Client) Deliveries(ctx context.Context, o ListOptions) (List[PastDelivery], error) {
	return list[PastDelivery](ctx, c, "deliveries", o)
}

// AuditEvents lists the audit trail, one page.
func (c *Client) AuditEvents(ctx context.Context, o ListOptions) (List[AuditEvent], error) {
	return list[AuditEvent](ctx, c, "audit-events", o)
}

// AuditCheckpoints lists the newest signed checkpoints.
func (c *Client) AuditCheckpoints(ctx context.Context) (List[AuditCheckpoint], error) {
	return list[AuditCheckpoint](ctx, c, "audit-checkpoints", ListOptions{})
}

// CreateAuditCheckpoint signs the end of the trail as it is now.
func (c *Client) CreateAuditCheckpoint(ctx context.Context) (AuditCheckpoint, error) {
	var checkpoint AuditCheckpoint
	err := c.do(ctx, call{method: http.MethodPost, path: "audit-checkpoints"}, &checkpoint)
	return checkpoint, err
}

// VaultKeys returns the state of the vault's key ring. Owners only.
func (c *Client) VaultKeys(ctx context.Context) (KeyRing, error) {
	return get[KeyRing](ctx, c, "vault/keys")
}

// RotateVaultKey makes a new primary key and starts moving all secrets to it. Owners only.
func (c *Client) RotateVaultKey(ctx context.Context) (KeyRing, error) {
	var ring KeyRing
	err := c.do(ctx, call{method: http.MethodPost, path: "vault/keys/rotation"}, &ring)
	return ring, err
}

// RemoveVaultKey takes a key that seals nothing any more out of the ring. Owners only.
func (c *Client) RemoveVaultKey(ctx context.Context, id string) error {
	return c.remove(ctx, object("vault/keys", id))
}
