package httpapi

import (
	"fmt"
	"net/http"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The chapters of the reference, in its order.
const (
	tagCredentials = "Credential configs"
	tagWorkspaces  = "Workspaces"
	tagDelivery    = "Delivery"
	tagProjects    = "Projects"
	tagKeys        = "API keys"
	tagAudit       = "Audit"
	tagVault       = "Vault keys"
	tagBackup      = "Backup"
)

// Query parameters that several lists share.
var (
	byName    = parameter{name: "name", doc: "Exactly this name."}
	byText    = parameter{name: "q", doc: "Part of the name, in any case."}
	byProject = parameter{name: "project_id", doc: "Of this project.", format: "uuid"}
)

// operations is the table of the whole API. Its order is the order of the reference.
func (a *api) operations() []*operation {
	return flatten(
		a.credentialOperations(), a.workspaceOperations(), a.projectOperations(), a.keyOperations(), a.auditOperations(), a.vaultOperations(), a.backupOperations(),
	)
}

// flatten joins the parts of the table.
func flatten(parts ...[]operation) []*operation {
	var all []*operation
	for _, part := range parts {
		for i := range part {
			all = append(all, &part[i])
		}
	}
	return all
}

func (a *api) credentialOperations() []operation {
	return []operation{
		{
			id: "create-credential-config", tag: tagCredentials, method: http.MethodPost, path: "/credential-configs",
			permission: forgecroft.PermWrite, status: http.StatusCreated, creates: true, conflicts: true,
			summary:     "Create a credential config",
			description: "Metadata only; store its secrets next. Without a project_id it is at the organization level, available to all workspaces.",
			example:     `{"name": "Production AWS", "credential_type": "aws_static", "project_id": "019a3b5e-7c1d-7000-8000-000000000001"}`,
			handler:     takes(a.createCredentialConfig),
		},
		{
			id: "list-credential-configs", tag: tagCredentials, method: http.MethodGet, path: "/credential-configs",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary:     "List credential configs",
			description: "Those that the key's scope may use, the newest first.",
			query: paged(byProject, parameter{name: "credential_type", doc: "Of this type."},
				parameter{name: "scope", doc: "Of this level.", enum: []string{forgecroft.ScopeOrganization, forgecroft.ScopeProject}},
				parameter{name: "verification", doc: "In this verification state.", enum: []string{forgecroft.VerifiedValid, forgecroft.VerifiedInvalid, forgecroft.Unverified}},
				byName, byText),
			handler: gives(a.listCredentialConfigs),
		},
		{
			id: "get-credential-config", tag: tagCredentials, method: http.MethodGet, path: "/credential-configs/{id}",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary:     "Read a credential config",
			description: "Metadata: fields by name, values of those that are not secret, verification, who uses it. For aws_assume_role also the external ID and the trust policy to paste.",
			handler:     gives(a.getCredentialConfig),
		},
		{
			id: "update-credential-config", tag: tagCredentials, method: http.MethodPatch, path: "/credential-configs/{id}",
			permission: forgecroft.PermWrite, status: http.StatusOK, revises: true, conflicts: true,
			summary:     "Rename, describe or re-scope a credential config",
			description: "Absent members stay as they are. It is 409 if an attached workspace would fall out of scope.",
			example:     `{"description": "Rotated every quarter", "project_id": null}`,
			handler:     takes(a.updateCredentialConfig),
		},
		{
			id: "delete-credential-config", tag: tagCredentials, method: http.MethodDelete, path: "/credential-configs/{id}",
			permission: forgecroft.PermWrite, status: http.StatusNoContent, revises: true, conflicts: true,
			summary:     "Delete a credential config and its secrets",
			description: "It is 409 while any workspace or other config references it; the problem lists them.",
			handler:     does(a.deleteCredentialConfig),
		},
		{
			id: "store-secrets", tag: tagCredentials, method: http.MethodPost, path: "/credential-configs/{id}/secrets",
			permission: forgecroft.PermWrite, status: http.StatusCreated, creates: true, revises: true, conflicts: true,
			summary:     "Store secrets",
			description: "A new version, whole or not at all: it is never merged with the last. The values come back from no endpoint but delivery. It is 409 if they would conflict with another credential of an attached workspace.",
			example:     `{"data": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}}`,
			handler:     takes(a.storeSecrets),
		},
		{
			id: "list-secret-versions", tag: tagCredentials, method: http.MethodGet, path: "/credential-configs/{id}/secret-versions",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary:     "List the secret versions of a credential config",
			description: "Who stored which fields when, the newest first, at most 200. Never a value.",
			handler:     gives(a.listSecretVersions),
		},
		{
			id: "verify-credential-config", tag: tagCredentials, method: http.MethodPost, path: "/credential-configs/{id}/verify",
			permission: forgecroft.PermVerify, status: http.StatusOK, fails: true,
			summary: "Verify stored credentials with the provider",
			description: "Calls the provider's API. A failed verification is 200 with valid: false, not an error status; if no secrets are stored it is 422. " +
				"There are three outcomes: valid; invalid (conclusive, with the provider's code in error); and could not tell (conclusive: false), which leaves the last conclusive result alone.",
			answers: []string{
				`{"valid": true, "identity": "arn:aws:iam::123456789012:user/deploy", "conclusive": true, "checked_at": "2026-01-31T12:00:00Z", "secret_version": 1}`,
				`{"valid": false, "error": "InvalidClientTokenId", "detail": "AWS does not know this access key.", "conclusive": true, "checked_at": "2026-01-31T12:00:00Z", "secret_version": 1}`,
			},
			handler: gives(a.verify),
		},
		{
			id: "list-credential-types", tag: tagCredentials, method: http.MethodGet, path: "/credential-types",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary:     "List the credential types",
			description: "Each type's fields, which of them are required or secret, and what it delivers: what forms and CLIs are built from.",
			handler:     gives(a.listCredentialTypes),
		},
	}
}

func (a *api) workspaceOperations() []operation {
	return []operation{
		{
			id: "create-workspace", tag: tagWorkspaces, method: http.MethodPost, path: "/workspaces",
			permission: forgecroft.PermWrite, status: http.StatusCreated, creates: true, conflicts: true,
			summary:     "Create a workspace",
			description: "In a project, with its credentials if any are given.",
			example:     `{"name": "network-prod", "project_id": "019a3b5e-7c1d-7000-8000-000000000001"}`,
			handler:     takes(a.createWorkspace),
		},
		{
			id: "list-workspaces", tag: tagWorkspaces, method: http.MethodGet, path: "/workspaces",
			permission: forgecroft.PermReadWorkspace, status: http.StatusOK,
			summary:     "List workspaces",
			description: "Those in the key's scope, the newest first.",
			query:       paged(byProject, parameter{name: "credential_config_id", doc: "That have it attached.", format: "uuid"}, byName, byText),
			handler:     gives(a.listWorkspaces),
		},
		{
			id: "get-workspace", tag: tagWorkspaces, method: http.MethodGet, path: "/workspaces/{id}",
			permission: forgecroft.PermReadWorkspace, status: http.StatusOK,
			summary: "Read a workspace",
			handler: gives(a.getWorkspace),
		},
		{
			id: "update-workspace", tag: tagWorkspaces, method: http.MethodPatch, path: "/workspaces/{id}",
			permission: forgecroft.PermWrite, status: http.StatusOK, revises: true, conflicts: true,
			summary: "Change a workspace, attach credentials",
			description: "credential_config_ids replaces the whole list: all existing links are removed. Each must be of the same organization, and project-scoped ones of the workspace's project, else 422 naming the offender. " +
				"Two that would set the same variable, or belong to rival identities, are 409. Absent members stay as they are.",
			example: `{"credential_config_ids": ["019a3b5e-7c1d-7000-8000-000000000002", "019a3b5e-7c1d-7000-8000-000000000003"]}`,
			handler: takes(a.updateWorkspace),
		},
		{
			id: "delete-workspace", tag: tagWorkspaces, method: http.MethodDelete, path: "/workspaces/{id}",
			permission: forgecroft.PermWrite, status: http.StatusNoContent, revises: true, conflicts: true,
			summary:     "Delete a workspace",
			description: "Its credential configs stay.",
			handler:     does(a.deleteWorkspace),
		},
		{
			id: "deliver-environment", tag: tagDelivery, method: http.MethodPost, path: "/workspaces/{id}/environment",
			permission: forgecroft.PermDeliver, status: http.StatusOK, optional: true, digest: true, conflicts: true,
			summary: "Deliver the environment for one run",
			description: "The variables and files of all attached credentials, resolved now. The audit record is durable before the first byte leaves. One credential that fails to resolve fails the whole delivery (422, or 503 if trying again may help), naming it. " +
				"Forgecroft-Content-SHA256 is the hash of the body, in hex: compare it before you use anything.",
			example: `{"run_id": "pipeline-4711"}`,
			answers: []string{
				`{"env": {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "files": [], "unset": ["AWS_PROFILE"], "expires_at": null, ` +
					`"sources": {"AWS_ACCESS_KEY_ID": "019a3b5e-7c1d-7000-8000-000000000002", "AWS_SECRET_ACCESS_KEY": "019a3b5e-7c1d-7000-8000-000000000002"}, "delivery_id": "019a3b5e-7c1d-7000-8000-000000000005", "secret_variables": ["AWS_SECRET_ACCESS_KEY"]}`,
			},
			handler: takes(a.deliver),
		},
		{
			id: "preview-environment", tag: tagDelivery, method: http.MethodGet, path: "/workspaces/{id}/environment",
			permission: forgecroft.PermReadWorkspace, status: http.StatusOK,
			summary:     "Preview the environment of a workspace",
			description: "Which variables a delivery would set, from which config, what a run must not inherit, what conflicts. Without a value; no provider is called.",
			handler:     gives(a.previewEnvironment),
		},
		{
			id: "list-deliveries", tag: tagDelivery, method: http.MethodGet, path: "/deliveries",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary:     "List deliveries",
			description: fmt.Sprintf("To workspaces in the key's scope, the newest first, failed and denied ones included. It searches the newest %d events of the audit trail, which itself has all.", broker.DeliveryWindow),
			query: paged(byProject, parameter{name: "workspace_id", doc: "To this workspace.", format: "uuid"}, parameter{name: "credential_config_id", doc: "Of this credential config.", format: "uuid"},
				parameter{name: "api_key_id", doc: "To this API key.", format: "uuid"},
				parameter{name: "outcome", doc: "With this outcome.", enum: []string{forgecroft.OutcomeAllowed, forgecroft.OutcomeDenied, forgecroft.OutcomeFailed}},
				parameter{name: "since", doc: "At this time or later.", format: "date-time"}, parameter{name: "until", doc: "Before this time.", format: "date-time"}),
			handler: gives(a.listDeliveries),
		},
	}
}

func (a *api) projectOperations() []operation {
	return []operation{
		{
			id: "create-project", tag: tagProjects, method: http.MethodPost, path: "/projects",
			permission: forgecroft.PermWrite, status: http.StatusCreated, creates: true, conflicts: true,
			summary:     "Create a project",
			description: "It takes a key whose scope is the organization.",
			example:     `{"name": "network"}`,
			handler:     takes(a.createProject),
		},
		{
			id: "list-projects", tag: tagProjects, method: http.MethodGet, path: "/projects",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary:     "List projects",
			description: "Those in the key's scope, the newest first.",
			query:       paged(byName, byText),
			handler:     gives(a.listProjects),
		},
		{
			id: "get-project", tag: tagProjects, method: http.MethodGet, path: "/projects/{id}",
			permission: forgecroft.PermRead, status: http.StatusOK,
			summary: "Read a project",
			handler: gives(a.getProject),
		},
		{
			id: "update-project", tag: tagProjects, method: http.MethodPatch, path: "/projects/{id}",
			permission: forgecroft.PermWrite, status: http.StatusOK, revises: true, conflicts: true,
			summary:     "Rename or describe a project",
			description: "Absent members stay as they are.",
			example:     `{"description": "VPCs and DNS"}`,
			handler:     takes(a.updateProject),
		},
		{
			id: "delete-project", tag: tagProjects, method: http.MethodDelete, path: "/projects/{id}",
			permission: forgecroft.PermWrite, status: http.StatusNoContent, revises: true, conflicts: true,
			summary:     "Delete an empty project",
			description: "It is 409 while it still has workspaces, credential configs or API keys.",
			handler:     does(a.deleteProject),
		},
	}
}

func (a *api) keyOperations() []operation {
	return []operation{
		{
			id: "create-api-key", tag: tagKeys, method: http.MethodPost, path: "/api-keys",
			permission: forgecroft.PermKeys, status: http.StatusCreated, creates: true, conflicts: true,
			summary:     "Create an API key",
			description: "The key itself is shown this once. Its role is not above the caller's, and its scope lies within the caller's.",
			example:     `{"name": "ci of network-prod", "role": "runner", "workspace_id": "019a3b5e-7c1d-7000-8000-000000000004"}`,
			handler:     takes(a.createAPIKey),
		},
		{
			id: "list-api-keys", tag: tagKeys, method: http.MethodGet, path: "/api-keys",
			permission: forgecroft.PermKeys, status: http.StatusOK,
			summary:     "List API keys",
			description: "Those in the key's scope, revoked and expired ones included, the newest first.",
			query:       paged(parameter{name: "role", doc: "Of this role.", enum: roleNames()}, byName),
			handler:     gives(a.listAPIKeys),
		},
		{
			id: "revoke-api-key", tag: tagKeys, method: http.MethodDelete, path: "/api-keys/{id}",
			permission: forgecroft.PermKeys, status: http.StatusNoContent, conflicts: true,
			summary:     "Revoke an API key",
			description: "The next request with it fails. The last owner key cannot go.",
			handler:     does(a.revokeAPIKey),
		},
		{
			id: "whoami", tag: tagKeys, method: http.MethodGet, path: "/whoami",
			permission: forgecroft.PermSelf, status: http.StatusOK,
			summary: "Who is calling",
			handler: gives(a.whoami),
		},
	}
}

// roleNames lists the roles.
func roleNames() []string {
	var names []string
	for _, role := range forgecroft.Roles() {
		names = append(names, string(role))
	}
	return names
}

func (a *api) auditOperations() []operation {
	return []operation{
		{
			id: "list-audit-events", tag: tagAudit, method: http.MethodGet, path: "/audit-events",
			permission: forgecroft.PermAudit, status: http.StatusOK,
			summary:     "List the audit trail",
			description: "An append-only chain of hashes, one per organization, the newest event first. It takes a key whose scope is the organization.",
			query: paged(parameter{name: "actor", doc: "By this API key.", format: "uuid"},
				parameter{name: "action", doc: "This action (environment.deliver), or all of a noun (credential_config.)."},
				parameter{name: "object_type", doc: "On objects of this type."}, parameter{name: "object_id", doc: "On this object.", format: "uuid"},
				parameter{name: "outcome", doc: "With this outcome.", enum: []string{forgecroft.OutcomeAllowed, forgecroft.OutcomeDenied, forgecroft.OutcomeFailed}},
				parameter{name: "since", doc: "At this time or later.", format: "date-time"}, parameter{name: "until", doc: "Before this time.", format: "date-time"},
				parameter{name: "order", doc: "asc: the oldest first.", enum: []string{"asc", "desc"}}),
			handler: gives(a.listAuditEvents),
		},
		{
			id: "list-audit-checkpoints", tag: tagAudit, method: http.MethodGet, path: "/audit-checkpoints",
			permission: forgecroft.PermAudit, status: http.StatusOK,
			summary:     "List the signed checkpoints of the trail",
			description: "The newest first, at most 200. Kept elsewhere, a checkpoint proves later that nothing before it was changed or cut off.",
			handler:     gives(a.listAuditCheckpoints),
		},
		{
			id: "create-audit-checkpoint", tag: tagAudit, method: http.MethodPost, path: "/audit-checkpoints",
			permission: forgecroft.PermAudit, status: http.StatusCreated,
			summary: "Sign the end of the trail as it is now",
			handler: gives(a.createAuditCheckpoint),
		},
	}
}

func (a *api) vaultOperations() []operation {
	return []operation{
		{
			id: "list-vault-keys", tag: tagVault, method: http.MethodGet, path: "/vault/keys",
			permission: forgecroft.PermInstance, status: http.StatusOK, fails: true,
			summary:     "List the vault's key-encryption keys",
			description: "Ids, and how many secret versions each one seals. Never a key.",
			handler:     gives(a.listVaultKeys),
		},
		{
			id: "rotate-vault-key", tag: tagVault, method: http.MethodPost, path: "/vault/keys/rotation",
			permission: forgecroft.PermInstance, status: http.StatusAccepted, fails: true,
			summary:     "Make a new primary key",
			description: "New secrets are sealed with it at once; all others are moved to it in the background.",
			handler:     gives(a.rotateVaultKey),
		},
		{
			id: "remove-vault-key", tag: tagVault, method: http.MethodDelete, path: "/vault/keys/{id}",
			permission: forgecroft.PermInstance, status: http.StatusNoContent, conflicts: true, fails: true,
			summary:     "Remove a key that seals nothing any more",
			description: "It is 409 while the key seals anything or is the primary one.",
			handler:     does(a.removeVaultKey),
		},
	}
}

func (a *api) backupOperations() []operation {
	return []operation{
		{
			id: "create-backup", tag: tagBackup, method: http.MethodPost, path: "/backups",
			permission: forgecroft.PermInstance, status: http.StatusOK, conflicts: true, fails: true,
			summary: "Take a backup",
			description: "Metadata and sealed secrets of the whole installation, as they are at one moment, in one file; see docs/operations.md for restoring it. It holds no key. " +
				"The file ends with its own hash. It takes a key whose scope is the organization, and is 409 while another backup is taken. " +
				"Where the server has no directory to collect it in, it is 503 with the code backup_space and says what to do.",
			handler: streams(a.takeBackup),
		},
	}
}
