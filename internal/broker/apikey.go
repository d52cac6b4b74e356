package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/apikey"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// errUnauthenticated is the one answer to every key that is absent, malformed, unknown, wrong, revoked or expired.
var errUnauthenticated = forgecroft.Errorf(forgecroft.KindUnauthenticated, "unauthenticated", "A valid API key is required: Authorization: Bearer fc_live_…")

// Authenticate finds the API key behind a bearer token. Every failure is the same [forgecroft.KindUnauthenticated]; a key whose checksum is
// wrong reaches no store, and an unknown one costs the same comparison as a known one.
func (b *Broker) Authenticate(ctx context.Context, token string) (*forgecroft.APIKey, error) {
	parsed, err := apikey.Parse(token)
	if err != nil {
		return nil, errUnauthenticated
	}
	key, err := b.store.Authenticate(ctx, parsed.ID)
	if errors.Is(err, forgecroft.KindNotFound) {
		apikey.Matches(apikey.DummyHash(), token)
		return nil, errUnauthenticated
	}
	if err != nil {
		return nil, fmt.Errorf("looking up an API key: %w", err)
	}
	now := b.instant()
	if !apikey.Matches(key.Hash, token) || !key.Live(now) {
		return nil, errUnauthenticated
	}
	b.noteUse(ctx, key, now)
	return key, nil
}

// noteEvery is how exactly the last use of an API key is kept.
const noteEvery = time.Minute

// noteUse writes down that a key was used, at most once a minute. A use that cannot be noted is not refused for that.
func (b *Broker) noteUse(ctx context.Context, key *forgecroft.APIKey, now time.Time) {
	last, noted := b.uses.Load(key.ID)
	if noted && now.Sub(last.(time.Time)) < noteEvery {
		return
	}
	b.uses.Store(key.ID, now) // Two at once write the same twice, which the store knows to be one.
	err := b.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.TouchAPIKey(ctx, key.OrganizationID, key.ID, now) })
	if err != nil {
		b.logger.WarnContext(ctx, "noting the use of an API key", "error", err)
	}
}

// KeyRequest asks for a new API key. At most one of ProjectID and WorkspaceID is set.
type KeyRequest struct {
	Name        string
	Role        forgecroft.Role
	ProjectID   string
	WorkspaceID string
	ExpiresAt   time.Time // zero: never
}

// CreatedKey is a new API key with the key itself, which is shown this once.
type CreatedKey struct {
	forgecroft.APIKey
	Raw forgecroft.Secret `json:"-"` // never remembered
}

// CreateAPIKey makes an API key whose role is not above the caller's and whose scope lies in the caller's. Repeated with the same
// Idempotency-Key it is refused, naming the key that was made: the key itself is nowhere kept.
func (b *Broker) CreateAPIKey(ctx context.Context, call Call, r KeyRequest) (CreatedKey, error) {
	r.Name = normal(r.Name)
	a := act{"api_key.create", forgecroft.PermKeys, "api_key", ""}
	created, err := create(ctx, b, call, a, r, func(tx forgecroft.Tx, e *entry) (CreatedKey, error) {
		scope, err := b.keyScope(ctx, tx, call, r)
		if err != nil {
			return CreatedKey{}, err
		}
		k := forgecroft.APIKey{
			ID: b.newID(), OrganizationID: call.OrganizationID, Name: r.Name, Role: r.Role, Scope: scope,
			CreatedBy: call.KeyID, CreatedAt: b.instant(), ExpiresAt: r.ExpiresAt.UTC().Truncate(time.Microsecond),
		}
		if err := k.Validate(k.CreatedAt); err != nil {
			return CreatedKey{}, err
		}
		if err := endWith(&k, call.EndsAt); err != nil {
			return CreatedKey{}, err
		}
		if !k.Role.AtMost(call.Role) {
			return CreatedKey{}, forgecroft.Errorf(forgecroft.KindForbidden, "role_above_own", "A key of role %s cannot make one of role %s.", call.Role, k.Role)
		}
		raw, err := b.mint(&k)
		if err != nil {
			return CreatedKey{}, err
		}
		e.objectID = k.ID
		e.note("name", k.Name)
		e.note("role", string(k.Role))
		e.note("scope", k.Scope.Kind())
		return CreatedKey{k, raw}, tx.CreateAPIKey(ctx, k)
	})
	if err == nil && created.Raw.IsZero() {
		return CreatedKey{}, &forgecroft.Error{
			Kind: forgecroft.KindConflict, Code: "key_already_shown", Related: []forgecroft.Related{{Type: "api_key", ID: created.ID, Name: created.Name}},
			Message: "This Idempotency-Key made an API key, which was shown once. If the answer was lost, revoke that key and make another.",
		}
	}
	return created, err
}

// endWith lets a new key end with the one that makes it, at the latest: else whoever holds a key for a day could make one for ever.
// A later end that was asked for is refused, rather than changed without a word.
func endWith(k *forgecroft.APIKey, maker time.Time) error {
	switch {
	case maker.IsZero():
	case k.ExpiresAt.IsZero():
		k.ExpiresAt = maker
	case k.ExpiresAt.After(maker):
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: "expires_at", Code: "outlives_maker", Message: fmt.Sprintf(
			"The key that makes it ends at %s, and no key outlives the one that made it. Ask for an earlier end.", maker.UTC().Format(time.RFC3339))}})
	}
	return nil
}

// mint makes the key itself and puts its hash and hint into k.
func (d deps) mint(k *forgecroft.APIKey) (forgecroft.Secret, error) {
	raw, err := apikey.Mint(d.random, k.ID)
	if err != nil {
		return forgecroft.Secret{}, fmt.Errorf("minting an API key: %w", err)
	}
	k.Hash, k.Hint = apikey.Hash(raw), apikey.Hint(raw)
	return forgecroft.NewSecret(raw), nil
}

// keyScope checks the scope of a new key: its project or workspace exists and lies in the caller's scope. A caller with a narrow scope cannot make a wider key.
func (b *Broker) keyScope(ctx context.Context, r forgecroft.Reader, call Call, request KeyRequest) (forgecroft.KeyScope, error) {
	switch {
	case request.ProjectID != "" && request.WorkspaceID != "":
		return forgecroft.KeyScope{}, forgecroft.Invalid([]forgecroft.FieldError{{Field: "workspace_id", Code: "exclusive", Message: "A key is scoped to a project or to a workspace, not both."}})
	case request.WorkspaceID != "":
		return b.workspaceScope(ctx, r, call, request.WorkspaceID)
	case request.ProjectID != "":
		if err := b.checkProjectMember(ctx, r, call, request.ProjectID); err != nil {
			return forgecroft.KeyScope{}, err
		}
	}
	scope := forgecroft.KeyScope{ProjectID: request.ProjectID}
	location := forgecroft.Location{OrganizationID: call.OrganizationID, ProjectID: request.ProjectID}
	if !call.Reaches(location) {
		return scope, forgecroft.Errorf(forgecroft.KindForbidden, "outside_scope", "An API key cannot make another one with a wider scope than its own.")
	}
	return scope, nil
}

// workspaceScope is the scope of a key for one workspace.
func (b *Broker) workspaceScope(ctx context.Context, r forgecroft.Reader, call Call, id string) (forgecroft.KeyScope, error) {
	missing := forgecroft.Invalid([]forgecroft.FieldError{{Field: "workspace_id", Code: "not_found", Message: "There is no such workspace in this organization."}})
	if !forgecroft.ValidID(id) {
		return forgecroft.KeyScope{}, forgecroft.Invalid([]forgecroft.FieldError{{Field: "workspace_id", Code: "invalid_id", Message: "This is not a workspace id (a lower-case UUID)."}})
	}
	w, err := b.workspace(ctx, r, call, id)
	if errors.Is(err, forgecroft.KindNotFound) {
		return forgecroft.KeyScope{}, missing
	}
	return forgecroft.KeyScope{ProjectID: w.ProjectID, WorkspaceID: w.ID}, err
}

// ListAPIKeys lists the API keys in the caller's scope, revoked and expired ones included.
func (b *Broker) ListAPIKeys(ctx context.Context, call Call, f forgecroft.APIKeyFilter, page PageRequest) (Listing[forgecroft.APIKey], error) {
	a := act{"api_key.list", forgecroft.PermKeys, "api_key", ""}
	return read(ctx, b, call, a, func() (Listing[forgecroft.APIKey], error) {
		f.WorkspaceID = call.Scope.WorkspaceID
		f.ProjectID = call.Scope.ProjectID
		return list(b, call, "api-keys", f, page, func(k forgecroft.APIKey) string { return k.ID }, func(p forgecroft.Page) ([]forgecroft.APIKey, error) {
			return b.store.APIKeys(ctx, call.OrganizationID, f, p)
		})
	})
}

// RevokeAPIKey ends an API key: the next request with it fails. The last owner cannot go, and nobody revokes a key above its own role.
func (b *Broker) RevokeAPIKey(ctx context.Context, call Call, id string) error {
	a := act{"api_key.revoke", forgecroft.PermKeys, "api_key", id}
	_, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (struct{}, error) {
		k, err := tx.APIKey(ctx, call.OrganizationID, id)
		if err != nil {
			return struct{}{}, err
		}
		if !call.Reaches(k.Location()) || !k.RevokedAt.IsZero() {
			return struct{}{}, forgecroft.NotFound("API key")
		}
		if !k.Role.AtMost(call.Role) {
			return struct{}{}, forgecroft.Errorf(forgecroft.KindForbidden, "role_above_own", "A key of role %s cannot revoke one of role %s.", call.Role, k.Role)
		}
		if err := b.keepsOwner(ctx, tx, k); err != nil {
			return struct{}{}, err
		}
		e.note("name", k.Name)
		e.note("role", string(k.Role))
		return struct{}{}, tx.RevokeAPIKey(ctx, call.OrganizationID, id, b.instant())
	})
	return err
}

// keepsOwner refuses to revoke the last live owner key.
func (b *Broker) keepsOwner(ctx context.Context, tx forgecroft.Tx, k forgecroft.APIKey) error {
	now := b.instant()
	if k.Role != forgecroft.RoleOwner || k.Subject != "" || !k.Live(now) {
		return nil
	}
	owners, err := tx.LiveOwners(ctx, k.OrganizationID, now)
	if err != nil {
		return err
	}
	if owners <= 1 {
		return forgecroft.Errorf(forgecroft.KindConflict, "last_owner", "This is the last owner key. Make another one first.")
	}
	return nil
}

// Identity is the caller as the server sees it.
type Identity struct {
	Organization forgecroft.Organization
	Key          forgecroft.APIKey
}

// Whoami returns who calls.
func (b *Broker) Whoami(ctx context.Context, call Call) (Identity, error) {
	a := act{"whoami.read", forgecroft.PermSelf, "api_key", ""}
	return read(ctx, b, call, a, func() (Identity, error) {
		organization, err := b.store.Organization(ctx, call.OrganizationID)
		if err != nil {
			return Identity{}, err
		}
		key, err := b.store.APIKey(ctx, call.OrganizationID, call.KeyID)
		return Identity{organization, key}, err
	})
}
