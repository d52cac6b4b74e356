package sdk

import (
	"encoding/json"
	"slices"
	"time"
)

// List is one page. NextCursor is null on the last one.
type List[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor" doc:"Pass it as cursor to get the next page; null on the last one."`
}

// Project groups workspaces; a credential config may be scoped to one.
type Project struct {
	ID             string    `json:"id" format:"uuid"`
	OrganizationID string    `json:"organization_id" format:"uuid"`
	Name           string    `json:"name"`
	Description    string    `json:"description"`
	Revision       int64     `json:"revision" doc:"Grows with every change; also the ETag."`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// CreateProject is the body of POST /projects.
type CreateProject struct {
	Name        string `json:"name" minLength:"1" maxLength:"256" doc:"Unique in the organization."`
	Description string `json:"description,omitempty" maxLength:"2048"`
}

// UpdateProject is the body of PATCH /projects/{id}: absent members stay as they are.
type UpdateProject struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"256"`
	Description *string `json:"description,omitempty" maxLength:"2048"`
}

// Workspace is one root module with its attached credentials.
type Workspace struct {
	ID                  string     `json:"id" format:"uuid"`
	OrganizationID      string     `json:"organization_id" format:"uuid"`
	ProjectID           string     `json:"project_id" format:"uuid"`
	Name                string     `json:"name"`
	Description         string     `json:"description"`
	CredentialConfigIDs []string   `json:"credential_config_ids" doc:"Attached credential configs, in order."`
	LastDeliveredAt     *time.Time `json:"last_delivered_at" doc:"Exact to a minute."`
	Revision            int64      `json:"revision" doc:"Grows with every change; also the ETag."`
	CreatedAt           time.Time  `json:"created_at"`
	UpdatedAt           time.Time  `json:"updated_at"`
}

// CreateWorkspace is the body of POST /workspaces.
type CreateWorkspace struct {
	Name                string   `json:"name" minLength:"1" maxLength:"256" doc:"Unique in the organization."`
	Description         string   `json:"description,omitempty" maxLength:"2048"`
	ProjectID           string   `json:"project_id" format:"uuid"`
	CredentialConfigIDs []string `json:"credential_config_ids,omitempty" maxItems:"50" nullable:"false"`
}

// UpdateWorkspace is the body of PATCH /workspaces/{id}: absent members stay as they are.
type UpdateWorkspace struct {
	Name                *string   `json:"name,omitempty" minLength:"1" maxLength:"256"`
	Description         *string   `json:"description,omitempty" maxLength:"2048"`
	CredentialConfigIDs *[]string `json:"credential_config_ids,omitempty" maxItems:"50" nullable:"false" doc:"Replaces the whole list."`
}

// CredentialConfig is metadata about a credential, never a secret.
type CredentialConfig struct {
	ID                       string            `json:"id" format:"uuid"`
	OrganizationID           string            `json:"organization_id" format:"uuid"`
	ProjectID                *string           `json:"project_id" format:"uuid" doc:"Null: organization level."`
	Scope                    string            `json:"scope" enum:"organization,project"`
	Name                     string            `json:"name"`
	Description              string            `json:"description"`
	CredentialType           string            `json:"credential_type"`
	SecretVersion            int64             `json:"secret_version" doc:"The version of the stored secrets; 0 while none are stored."`
	Fields                   []string          `json:"fields" doc:"Names of the stored fields."`
	Values                   map[string]string `json:"values" doc:"Values of the stored fields that are not secret."`
	SecretsStoredAt          *time.Time        `json:"secrets_stored_at"`
	ExternalID               string            `json:"external_id,omitempty" doc:"aws_assume_role: the sts:ExternalId that Forgecroft always sends."`
	TrustPolicy              json.RawMessage   `json:"trust_policy,omitempty" doc:"aws_assume_role: the trust policy to paste into the role."`
	SourceCredentialConfigID *string           `json:"source_credential_config_id,omitempty" format:"uuid"`
	VerificationState        string            `json:"verification_state" enum:"valid,invalid,unverified"`
	Verification             *Verification     `json:"verification" doc:"The last conclusive result."`
	LastAttempt              *Verification     `json:"last_attempt" doc:"The last result, conclusive or not."`
	WorkspaceIDs             []string          `json:"workspace_ids" doc:"Workspaces that have it attached (the first 200), as far as the caller may see them."`
	LastDeliveredAt          *time.Time        `json:"last_delivered_at" doc:"Exact to a minute."`
	Revision                 int64             `json:"revision" doc:"Grows with every change; also the ETag."`
	CreatedBy                string            `json:"created_by" doc:"API key id."`
	CreatedAt                time.Time         `json:"created_at"`
	UpdatedAt                time.Time         `json:"updated_at"`
}

// CreateCredentialConfig is the body of POST /credential-configs: metadata only.
type CreateCredentialConfig struct {
	Name           string           `json:"name" minLength:"1" maxLength:"256" doc:"Unique in the organization."`
	CredentialType string           `json:"credential_type" doc:"One of GET /credential-types."`
	ProjectID      Optional[string] `json:"project_id,omitzero" format:"uuid" doc:"Absent or null: organization level."`
	Description    string           `json:"description,omitempty" maxLength:"2048"`
}

// UpdateCredentialConfig is the body of PATCH /credential-configs/{id}: absent members stay as they are.
type UpdateCredentialConfig struct {
	Name        *string          `json:"name,omitempty" minLength:"1" maxLength:"256"`
	Description *string          `json:"description,omitempty" maxLength:"2048"`
	ProjectID   Optional[string] `json:"project_id,omitzero" format:"uuid" doc:"Null moves it to the organization level."`
}

// StoreSecrets is the body of POST /credential-configs/{id}/secrets. The values are kept in the vault and come back only by delivery.
type StoreSecrets struct {
	Data map[string]json.RawMessage `json:"data" doc:"The fields of the credential type; for generic_env, variable names and values."`
}

// StoredSecrets is what storing secrets returns: names, no values.
type StoredSecrets struct {
	CredentialConfigID string    `json:"credential_config_id" format:"uuid"`
	SecretVersion      int64     `json:"secret_version"`
	Fields             []string  `json:"fields"`
	CreatedAt          time.Time `json:"created_at"`
	Warnings           []string  `json:"warnings,omitempty" doc:"What is odd about the values, which are stored all the same."`
}

// SecretVersion is one line of a credential config's history.
type SecretVersion struct {
	SecretVersion int64     `json:"secret_version"`
	Fields        []string  `json:"fields"`
	CreatedBy     string    `json:"created_by" doc:"API key id."`
	CreatedByName string    `json:"created_by_name,omitempty" doc:"What that API key is called now, for every reader of the credential config."`
	CreatedAt     time.Time `json:"created_at"`
}

// Verification is the result of asking the provider.
type Verification struct {
	Valid              bool       `json:"valid"`
	Identity           string     `json:"identity,omitempty"`
	Error              string     `json:"error,omitempty" doc:"The provider's code, or one of ours."`
	Detail             string     `json:"detail,omitempty" doc:"Cause and remedy."`
	Conclusive         bool       `json:"conclusive" doc:"False: could not tell; the last conclusive result stands."`
	ExternalIDEnforced *bool      `json:"external_id_enforced,omitempty" doc:"aws_assume_role: whether the role refuses callers without the external ID."`
	Warnings           []string   `json:"warnings,omitempty"`
	ExpiresAt          *time.Time `json:"expires_at,omitempty" doc:"When the credential ends, if the provider says so."`
	CheckedAt          time.Time  `json:"checked_at"`
	SecretVersion      int64      `json:"secret_version"`
}

// CredentialType is one entry of the registry: what forms and CLIs are built from.
type CredentialType struct {
	Name        string                `json:"name"`
	Title       string                `json:"title"`
	Description string                `json:"description"`
	DocsURL     string                `json:"docs_url"`
	Fields      []CredentialTypeField `json:"fields"`
	AnyNames    bool                  `json:"any_names" doc:"The fields are whatever variables the client names."`
	ExternalID  bool                  `json:"external_id" doc:"Each config gets an external ID."`
	ShortLived  bool                  `json:"short_lived" doc:"Delivers credentials that expire."`
	Sets        []string              `json:"sets" doc:"The variables it can set."`
}

// CredentialTypeField describes one field.
type CredentialTypeField struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Kind        string   `json:"kind" enum:"string,integer,json,credential_config_id"`
	Required    bool     `json:"required"`
	Secret      bool     `json:"secret"`
	Multiline   bool     `json:"multiline"`
	Pattern     string   `json:"pattern,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Minimum     int64    `json:"minimum,omitzero"`
	Maximum     int64    `json:"maximum,omitzero"`
	Default     string   `json:"default,omitempty"`
	Derived     bool     `json:"derived,omitzero" doc:"Filled in from other fields if it is left out."`
	Example     string   `json:"example,omitempty"`
}

// DeliverRequest is the body of POST /workspaces/{id}/environment. All of it is optional.
type DeliverRequest struct {
	RunID string `json:"run_id,omitempty" maxLength:"128" pattern:"^[A-Za-z0-9._:/@-]*$" doc:"The caller's own name for the run, for the audit trail."`
}

// Environment is what one run receives.
type Environment struct {
	Env        map[string]string `json:"env"`
	Files      []File            `json:"files"`
	Unset      []string          `json:"unset" doc:"Variables the run must not inherit."`
	ExpiresAt  *time.Time        `json:"expires_at" doc:"When the first of the credentials expires; null: none does."`
	Sources    map[string]string `json:"sources" doc:"Variable to credential config id."`
	DeliveryID string            `json:"delivery_id" format:"uuid"`

	// SecretVariables is nil if the server is older than the member: then every value counts as secret.
	SecretVariables []string `json:"secret_variables" doc:"The members of env whose values are secret. Files always are."`
}

// IsSecret reports whether the value of a variable is secret.
func (e Environment) IsSecret(name string) bool {
	return e.SecretVariables == nil || slices.Contains(e.SecretVariables, name)
}

// File is a private file whose path goes into the variable Env.
type File struct {
	Name    string `json:"name"`
	Content string `json:"content"`
	Env     string `json:"env"`
}

// EnvironmentPreview is what a delivery would set, without a value.
type EnvironmentPreview struct {
	Variables []PreviewVariable `json:"variables"`
	Unset     []string          `json:"unset"`
	Conflicts []Conflict        `json:"conflicts"`
	Missing   []Reference       `json:"missing" doc:"Attached credential configs without stored secrets: delivery refuses until they have some."`
}

// PreviewVariable is one variable of a preview.
type PreviewVariable struct {
	Name                 string `json:"name"`
	CredentialConfigID   string `json:"credential_config_id" format:"uuid"`
	CredentialConfigName string `json:"credential_config_name"`
	File                 bool   `json:"file" doc:"The value is the path of a private file."`
	Secret               bool   `json:"secret"`
}

// Conflict is a variable that two credentials claim.
type Conflict struct {
	Variable string      `json:"variable"`
	Group    string      `json:"group,omitempty" doc:"The group of rivals, if they do not set the very same variable."`
	Between  []Reference `json:"between"`
}

// Reference names an object.
type Reference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// APIKey is who may call. The key itself is shown once, by CreatedAPIKey.
type APIKey struct {
	ID             string     `json:"id" format:"uuid"`
	OrganizationID string     `json:"organization_id" format:"uuid"`
	Name           string     `json:"name"`
	Role           string     `json:"role" enum:"reader,runner,member,admin,owner"`
	Scope          KeyScope   `json:"scope"`
	Hint           string     `json:"hint" doc:"The first characters of the key."`
	SingleSignOn   bool       `json:"single_sign_on" doc:"The key stands for a person who signs on to the console by an identity provider; nobody can use it by itself."`
	CreatedBy      string     `json:"created_by"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      *time.Time `json:"expires_at"`
	RevokedAt      *time.Time `json:"revoked_at"`
	LastUsedAt     *time.Time `json:"last_used_at" doc:"Exact to a minute."`
}

// KeyScope is what a key may reach: the organization (no ids), a project, or a workspace.
type KeyScope struct {
	Kind        string `json:"kind,omitempty" enum:"organization,project,workspace" doc:"Given by the server."`
	ProjectID   string `json:"project_id,omitempty" format:"uuid"`
	WorkspaceID string `json:"workspace_id,omitempty" format:"uuid"`
}

// CreateAPIKey is the body of POST /api-keys. At most one of ProjectID and WorkspaceID; none: the whole organization.
type CreateAPIKey struct {
	Name        string     `json:"name" minLength:"1" maxLength:"256"`
	Role        string     `json:"role" doc:"reader, runner, member, admin or owner; never above the caller's."`
	ProjectID   string     `json:"project_id,omitempty" format:"uuid"`
	WorkspaceID string     `json:"workspace_id,omitempty" format:"uuid"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

// CreatedAPIKey is the answer to POST /api-keys: the only time the key is shown.
type CreatedAPIKey struct {
	APIKey
	Key string `json:"key" doc:"The key itself. It is not shown again."`
}

// AuditEvent is one line of the audit trail. docs/design.md tells how the hashes are made; forgecroft audit verify checks them.
type AuditEvent struct {
	ID             string         `json:"id" format:"uuid"`
	OrganizationID string         `json:"organization_id" format:"uuid"`
	Sequence       int64          `json:"sequence"`
	Time           time.Time      `json:"time"`
	ActorKeyID     string         `json:"actor_key_id"`
	ActorName      string         `json:"actor_name"`
	Action         string         `json:"action"`
	ObjectType     string         `json:"object_type"`
	ObjectID       string         `json:"object_id"`
	Outcome        string         `json:"outcome" enum:"allowed,denied,failed"`
	RequestID      string         `json:"request_id"`
	RemoteAddr     string         `json:"remote_addr"`
	Details        map[string]any `json:"details"`
	PreviousHash   string         `json:"previous_hash" doc:"Hex."`
	Hash           string         `json:"hash" doc:"Hex."`
}

// PastDelivery is what the audit trail tells of a delivery to those who may read what was delivered.
type PastDelivery struct {
	Sequence      int64     `json:"sequence" doc:"Of its event in the audit trail."`
	Time          time.Time `json:"time"`
	WorkspaceID   string    `json:"workspace_id"`
	WorkspaceName string    `json:"workspace_name"`
	APIKeyID      string    `json:"api_key_id"`
	APIKeyName    string    `json:"api_key_name"`
	Outcome       string    `json:"outcome" enum:"allowed,denied,failed"`
	Code          string    `json:"code" doc:"Why it was denied or failed; empty if it was not."`
	RunID         string    `json:"run_id" doc:"As the run named itself."`
	Credentials   int       `json:"credentials" doc:"How many were to be delivered."`
}

// AuditCheckpoint is a signed statement about the end of the trail at one time.
type AuditCheckpoint struct {
	OrganizationID string    `json:"organization_id" format:"uuid"`
	Sequence       int64     `json:"sequence"`
	Hash           string    `json:"hash" doc:"Hex."`
	Time           time.Time `json:"time"`
	KeyID          string    `json:"key_id"`
	PublicKey      string    `json:"public_key" doc:"Ed25519, base64."`
	Signature      string    `json:"signature" doc:"Ed25519, base64."`
}

// Whoami is the caller as the server sees it.
type Whoami struct {
	Organization Reference  `json:"organization"`
	APIKey       Reference  `json:"api_key"`
	Role         string     `json:"role"`
	Scope        KeyScope   `json:"scope"`
	ExpiresAt    *time.Time `json:"expires_at"`
	Version      string     `json:"version" doc:"The server's version."`
}

// KeyRing is the state of the vault's key ring. Owners only.
type KeyRing struct {
	Keys     []RingKey `json:"keys"`
	Rotating bool      `json:"rotating"`
}

// RingKey is one key-encryption key, never the key itself.
type RingKey struct {
	ID      string `json:"id"`
	Primary bool   `json:"primary"`
	Secrets int64  `json:"secrets" doc:"Secret versions sealed with it."`
}

// Problem is the body of every error (RFC 9457), as application/problem+json. It never repeats a value.
type Problem struct {
	Type      string         `json:"type" doc:"A URI reference that names the problem: the reference page and the code."`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail,omitempty"`
	Code      string         `json:"code" doc:"Stable and machine-readable."`
	RequestID string         `json:"request_id"`
	Errors    []ProblemField `json:"errors,omitempty"`
	Related   []Reference    `json:"related,omitempty" doc:"The objects that stand in the way."`
}

// ProblemField is one broken rule.
type ProblemField struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}
