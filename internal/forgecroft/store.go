package forgecroft

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Page asks for one page of a list, by key: the items after the one that After names. Lists run from the newest to the oldest (descending
// ids, which are UUIDs of version 7), unless the method says otherwise.
type Page struct {
	After string // id of the last item of the page before; empty: the first page
	Limit int    // at least 1
}

// Store keeps metadata: everything but secrets. Two implementations, SQLite and PostgreSQL, share internal/store; the suite in
// internal/store/storetest states what each must do. All methods are safe for concurrent use and honour ctx.
//
// Every method takes the organization first and never returns another's rows. Absent objects are [KindNotFound]; a name taken in the
// organization is [KindConflict] with code name_taken; a store that is busy beyond its retries, or gone, is [KindUnavailable]; a full disk is
// [KindStorageFull]. Any other failure is internal.
type Store interface {
	Reader

	// Update runs fn in one transaction and returns nil once it is durable. If fn returns an error, nothing of it is kept and the
	// error is returned as it is. fn may be run more than once; it must touch nothing but tx, and must not call Update.
	// Updates that wait at the same moment share one commit. tx's methods see what fn has written.
	Update(ctx context.Context, fn func(tx Tx) error) error

	// DeliveryPlan returns a workspace with its attached configs in order, source configs included, as one consistent state. It is
	// the hot path: implementations may answer from memory as long as no change that was acknowledged before the call is missed. Only
	// results of verifications and times of deliveries may be older, and configs carry no WorkspaceIDs.
	// The result is shared: callers must not change it.
	DeliveryPlan(ctx context.Context, organizationID, workspaceID string) (*DeliveryPlan, error)

	// Authenticate returns the API key with that id, whatever its organization, for the check of its hash. It is on the hot path as
	// well, under the same rule. The result is shared.
	Authenticate(ctx context.Context, keyID string) (*APIKey, error)

	// Check returns nil if the store can serve reads and writes now.
	Check(ctx context.Context) error

	Close() error
}

// DeliveryPlan is what a delivery needs to know beside the secrets.
type DeliveryPlan struct {
	Workspace Workspace
	Configs   []CredentialConfig          // attached, in order
	Sources   map[string]CredentialConfig // id → config that an attached one, or another source, builds on

	// Generation is the store's own mark of the state that the plan shows.
	Generation int64

	effects atomic.Pointer[PlanEffects]
}

// Used lists the configs that a delivery uses: the attached ones, and those that they build on.
func (p *DeliveryPlan) Used() []string {
	if len(p.Sources) == 0 {
		return p.Workspace.CredentialConfigIDs
	}
	return slices.AppendSeq(slices.Clone(p.Workspace.CredentialConfigIDs), maps.Keys(p.Sources))
}

// Same reports whether two plans of a workspace release the same. Whatever is stored for a config changes together with its reference.
func (p *DeliveryPlan) Same(other *DeliveryPlan) bool {
	same := func(a, b CredentialConfig) bool {
		return a.ID == b.ID && a.Reference == b.Reference && a.ProjectID == b.ProjectID
	}
	return slices.EqualFunc(p.Configs, other.Configs, same) && maps.EqualFunc(p.Sources, other.Sources, same)
}

// PlanEffects is what a plan will set, known without a secret.
type PlanEffects struct {
	Effects   []Effect // in the order of attachment
	Unset     []string
	Conflicts []Conflict
}

// PlanEffects works the effects out, once for a plan: deliveries between two changes share the plan. A type that is not in the registry
// claims nothing; its delivery fails.
func (p *DeliveryPlan) PlanEffects(types Registry) *PlanEffects {
	if known := p.effects.Load(); known != nil {
		return known
	}
	e := &PlanEffects{Effects: make([]Effect, len(p.Configs))}
	for i, config := range p.Configs {
		e.Effects[i] = types.Effect(config)
	}
	e.Unset, e.Conflicts = Unset(e.Effects), Conflicts(e.Effects)
	p.effects.Store(e)
	return e
}

// Reader reads. Outside a transaction each call sees the newest committed state; inside one, the transaction's.
type Reader interface {
	OrganizationReader
	ProjectReader
	WorkspaceReader
	CredentialConfigReader
	APIKeyReader
	SessionReader
	AuditReader
	IntentReader
}

// Tx is a transaction: what it reads is what it may rely on until it commits.
type Tx interface {
	Reader
	OrganizationWriter
	ProjectWriter
	WorkspaceWriter
	CredentialConfigWriter
	APIKeyWriter
	SessionWriter
	AuditWriter
	IntentWriter
}

// OrganizationReader reads the instance and organizations.
type OrganizationReader interface {
	Instance(ctx context.Context) (Instance, error) // KindNotFound before the first start is complete
	Organization(ctx context.Context, id string) (Organization, error)
	Organizations(ctx context.Context) ([]Organization, error) // all, oldest first
	// Names finds the projects, workspaces, credential configs and API keys with these ids, in no order. Others are left out.
	Names(ctx context.Context, organizationID string, ids []string) ([]Named, error)
}

// OrganizationWriter writes the instance and organizations.
type OrganizationWriter interface {
	CreateInstance(ctx context.Context, i Instance) error // KindConflict if there is one
	CreateOrganization(ctx context.Context, o Organization) error
}

// ProjectReader reads projects.
type ProjectReader interface {
	Project(ctx context.Context, organizationID, id string) (Project, error)
	Projects(ctx context.Context, organizationID string, f ProjectFilter, p Page) ([]Project, error)
	// ProjectContents lists up to limit workspaces, credential configs and live API keys that lie in the project.
	ProjectContents(ctx context.Context, organizationID, id string, limit int) ([]Related, error)
}

// ProjectWriter writes projects. Updates compare the revision: they write p with p.Revision, over the row with p.Revision-1, and are
// [KindStale] if that is not there.
type ProjectWriter interface {
	CreateProject(ctx context.Context, p Project) error
	UpdateProject(ctx context.Context, p Project) error
	DeleteProject(ctx context.Context, organizationID, id string) error
}

// WorkspaceReader reads workspaces, with their attached credential config ids in order.
type WorkspaceReader interface {
	Workspace(ctx context.Context, organizationID, id string) (Workspace, error)
	Workspaces(ctx context.Context, organizationID string, f WorkspaceFilter, p Page) ([]Workspace, error)
}

// WorkspaceWriter writes workspaces, attachments included. Revisions as in [ProjectWriter].
type WorkspaceWriter interface {
	CreateWorkspace(ctx context.Context, w Workspace) error
	UpdateWorkspace(ctx context.Context, w Workspace) error
	DeleteWorkspace(ctx context.Context, organizationID, id string) error // its attachments too
}

// CredentialConfigReader reads credential configs, WorkspaceIDs included (at most 200 of them, ascending).
type CredentialConfigReader interface {
	CredentialConfig(ctx context.Context, organizationID, id string) (CredentialConfig, error)
	CredentialConfigs(ctx context.Context, organizationID string, f CredentialConfigFilter, p Page) ([]CredentialConfig, error)
	// CredentialConfigsAmong lists those of some configs that exist, the newest first, each once.
	CredentialConfigsAmong(ctx context.Context, organizationID string, ids []string) ([]CredentialConfig, error)
	// CredentialConfigUsers lists up to limit workspaces that have the config attached and credential configs that name it as source.
	CredentialConfigUsers(ctx context.Context, organizationID, id string, limit int) ([]Related, error)
	// SecretVersions lists the versions of a config, the newest first, whether or not their secrets are still in the vault.
	SecretVersions(ctx context.Context, organizationID, id string, limit int) ([]SecretVersion, error)
	// SecretBindings lists every live reference of every organization in ascending order, with what it is bound to: the vault's
	// inventory according to the metadata, the instance keys' included.
	SecretBindings(ctx context.Context, after Reference, limit int) ([]BoundReference, error)
}

// BoundReference is a live reference with its binding.
type BoundReference struct {
	Reference Reference
	Binding   Binding
}

// CredentialConfigWriter writes credential configs. Revisions as in [ProjectWriter].
type CredentialConfigWriter interface {
	CreateCredentialConfig(ctx context.Context, c CredentialConfig) error
	// UpdateCredentialConfig leaves alone what RecordVerification and TouchDelivered write.
	UpdateCredentialConfig(ctx context.Context, c CredentialConfig) error
	DeleteCredentialConfig(ctx context.Context, organizationID, id string) error // its version records too
	AddSecretVersion(ctx context.Context, v SecretVersion) error
	// RecordVerification stores a result, if the config still has the secret version that was tested; otherwise it does nothing. It
	// leaves the revision alone. A conclusive result also becomes the verification, any becomes the last attempt.
	RecordVerification(ctx context.Context, organizationID, id string, v Verification) error
	// PlanCurrent reports whether a plan is what [Store.DeliveryPlan] would make of the state that this transaction sees, changes at other
	// replicas included. A workspace that is gone is no error.
	PlanCurrent(ctx context.Context, plan *DeliveryPlan) (bool, error)
	// TouchDelivered notes a delivery of the workspace and of its configs, if the last one noted is over a minute older. It leaves
	// revisions alone.
	TouchDelivered(ctx context.Context, organizationID, workspaceID string, configIDs []string, at time.Time) error
}

// APIKeyReader reads API keys. Revoked and expired ones are included.
type APIKeyReader interface {
	APIKey(ctx context.Context, organizationID, id string) (APIKey, error)
	APIKeys(ctx context.Context, organizationID string, f APIKeyFilter, p Page) ([]APIKey, error)
	// SubjectKey is the key of a person that is not revoked. KindNotFound if there is none.
	SubjectKey(ctx context.Context, organizationID, subject string) (APIKey, error)
	// LiveOwners counts the owner keys that are neither revoked nor expired at now.
	LiveOwners(ctx context.Context, organizationID string, now time.Time) (int, error)
}

// APIKeyWriter writes API keys.
type APIKeyWriter interface {
	CreateAPIKey(ctx context.Context, k APIKey) error
	RevokeAPIKey(ctx context.Context, organizationID, id string, at time.Time) error // KindNotFound if absent or revoked already
	// ExtendAPIKey gives a key another name and another end. KindNotFound if it is absent.
	ExtendAPIKey(ctx context.Context, organizationID, id, name string, expires time.Time) error
	// TouchAPIKey notes a use, if the last one noted is over a minute older.
	TouchAPIKey(ctx context.Context, organizationID, id string, at time.Time) error
}

// AuditReader reads the audit trail.
type AuditReader interface {
	// AuditEvents lists events by sequence; Page.After is the sequence of the last one, in decimal.
	AuditEvents(ctx context.Context, organizationID string, f AuditFilter, p Page) ([]AuditEvent, error)
	AuditHead(ctx context.Context, organizationID string) (AuditHead, error)
	// Deliveries lists deliveries, the newest first; Page.After is the sequence of the last one, in decimal.
	Deliveries(ctx context.Context, organizationID string, f DeliveryFilter, p Page) ([]AuditEvent, error)
	// DeliveryCounts counts deliveries by hour and outcome, in this order.
	DeliveryCounts(ctx context.Context, organizationID string, f DeliveryFilter) ([]DeliveryCount, error)
	// AuditCheckpoints lists checkpoints, the newest first.
	AuditCheckpoints(ctx context.Context, organizationID string, limit int) ([]AuditCheckpoint, error)
}

// AuditWriter appends to the audit trail.
type AuditWriter interface {
	// AppendAudit links the event, whose Digest is computed, to the organization's chain and stores it. e receives its place.
	AppendAudit(ctx context.Context, e *AuditEvent) error
	CreateAuditCheckpoint(ctx context.Context, c AuditCheckpoint) error
}

// IntentReader reads intents and idempotency records.
type IntentReader interface {
	// Intents lists up to limit intents that are due at now, the oldest first.
	Intents(ctx context.Context, now time.Time, limit int) ([]Intent, error)
	// OldestIntent returns the intent of a kind that was created first, whether it is due or not.
	OldestIntent(ctx context.Context, kind string) (Intent, error)
	// Intent returns the intent for a reference.
	Intent(ctx context.Context, ref Reference) (Intent, error)
	// IdempotencyRecord returns the record with the identifying members of r that is younger than [IdempotencyTTL] at now.
	IdempotencyRecord(ctx context.Context, r IdempotencyRecord, now time.Time) (IdempotencyRecord, error)
	// ReferenceLive reports whether any row points at the reference.
	ReferenceLive(ctx context.Context, ref Reference) (bool, error)
	// Lease returns the lease of a name, whether it has expired or not.
	Lease(ctx context.Context, name string) (Lease, error)
}

// IntentWriter writes intents, leases and idempotency records.
type IntentWriter interface {
	CreateIntent(ctx context.Context, i Intent) error // replaces one for the same reference
	// DropIntent removes an intent of a kind, or of any kind if that is empty, and reports whether it was there.
	DropIntent(ctx context.Context, ref Reference, kind string) (bool, error)
	// AcquireLease takes or renews a lease for holder until expires. It is [KindConflict] while another holds it at now.
	AcquireLease(ctx context.Context, name, holder string, now, expires time.Time) (Lease, error)
	// CreateIdempotencyRecord stores a result. [KindConflict] if one with the same identity is younger than [IdempotencyTTL]; an
	// older one is replaced.
	CreateIdempotencyRecord(ctx context.Context, r IdempotencyRecord) error
	// DropIdempotencyRecords removes those created before the given time.
	DropIdempotencyRecords(ctx context.Context, before time.Time) error
}
