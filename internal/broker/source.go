package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// maxChain is how many credential configs may build on one another: keys, a role, and roles assumed from roles.
const maxChain = 4

// sourceField is where clients name the source.
const sourceField = "data.source_credential_config_id"

// checkSourceScope checks the config that another one builds on: it exists where the caller sees it, is available wherever the config is, and
// does not build on it in turn.
func (b *Broker) checkSourceScope(ctx context.Context, r forgecroft.Reader, call Call, config forgecroft.CredentialConfig, sourceID string) error {
	for range maxChain {
		if sourceID == "" {
			return nil
		}
		if sourceID == config.ID {
			return sourceError("cycle", "A credential config cannot build on itself.")
		}
		source, err := r.CredentialConfig(ctx, call.OrganizationID, sourceID)
		if errors.Is(err, forgecroft.KindNotFound) || (err == nil && !call.Sees(source.Location())) {
			return sourceError("not_found", "There is no such credential config in this organization.")
		}
		if err != nil {
			return err
		}
		if source.ProjectID != "" && source.ProjectID != config.ProjectID {
			return sourceError("out_of_scope", fmt.Sprintf("Credential config %q is scoped to a project; what builds on it must be scoped to the same one.", source.Name))
		}
		if t, _ := b.types.Lookup(source.Type); !t.AWSIdentity {
			return sourceError("wrong_type", fmt.Sprintf("Credential config %q is of type %s, which gives no AWS identity to assume a role with.", source.Name, source.Type))
		}
		sourceID = source.SourceID
	}
	return sourceError("chain_too_long", fmt.Sprintf("At most %d credential configs build on one another.", maxChain))
}

// sourceError is a refusal of the source field.
func sourceError(code, message string) error {
	return forgecroft.Invalid([]forgecroft.FieldError{{Field: sourceField, Code: code, Message: message}})
}

// basePrincipal is the ARN of the identity that assumes a config's role: the source's as last verified, or the server's own. Empty if
// it is not known yet.
func (b *Broker) basePrincipal(ctx context.Context, c forgecroft.CredentialConfig) string {
	if c.SourceID == "" {
		if b.serverPrincipal == nil {
			return ""
		}
		arn, err := b.serverPrincipal(ctx)
		if err != nil {
			b.logger.WarnContext(ctx, "asking for the server's own AWS identity", "error", err)
		}
		return arn
	}
	source, err := b.store.CredentialConfig(ctx, c.OrganizationID, c.SourceID)
	if err != nil {
		return ""
	}
	if t, _ := b.types.Lookup(source.Type); t.Principal != nil {
		return t.Principal(source)
	}
	return ""
}

// lookup finds a config by id among those of one consistent state.
type lookup func(id string) (forgecroft.CredentialConfig, error)

// resolve opens a config's secrets and, if it builds on another config, what that one delivers.
func (b *Broker) resolve(ctx context.Context, config forgecroft.CredentialConfig, find lookup, deliveryID string, depth int) (forgecroft.CredentialType, forgecroft.Resolution, error) {
	r := forgecroft.Resolution{Config: config, DeliveryID: deliveryID, Now: b.instant()}
	t, known := b.types.Lookup(config.Type)
	switch {
	case !known:
		return t, r, unknownType(config)
	case config.SecretVersion == 0:
		return t, r, forgecroft.Errorf(forgecroft.KindUnprocessable, "secrets_missing", "No secrets are stored for credential config %q (%s).", config.Name, config.ID)
	case depth == maxChain:
		return t, r, forgecroft.Errorf(forgecroft.KindUnprocessable, "chain_too_long", "More than %d credential configs build on one another.", maxChain)
	}
	packed, err := b.vault.Get(ctx, config.Reference, config.Binding())
	if err != nil {
		return t, r, fmt.Errorf("opening the secrets of credential config %s: %w", config.ID, err)
	}
	if r.Values, err = forgecroft.DecodeValues(packed); err != nil {
		return t, r, err
	}
	r.FreshUntil = freshUntil(t, config)
	if config.SourceID == "" {
		return t, r, nil
	}
	source, err := find(config.SourceID)
	if err != nil {
		return t, r, fmt.Errorf("looking up the source of credential config %s: %w", config.ID, err)
	}
	sourceType, sourceResolution, err := b.resolve(ctx, source, find, deliveryID, depth+1)
	if err != nil {
		return t, r, err
	}
	contribution, err := sourceType.Deliver(ctx, sourceResolution)
	if err != nil {
		return t, r, fmt.Errorf("resolving the source %s: %w", source.ID, err)
	}
	r.Source, r.Chained = &contribution, sourceType.ShortLived
	if sourceResolution.FreshUntil.After(r.FreshUntil) {
		r.FreshUntil = sourceResolution.FreshUntil
	}
	return t, r, nil
}

// freshUntil is until when a provider may not have heard of a config's secrets, or of what was set up for them. Once it has called
// this version valid, it has.
func freshUntil(t forgecroft.CredentialType, c forgecroft.CredentialConfig) time.Time {
	if v := c.Verification; v != nil && v.Valid && v.SecretVersion == c.SecretVersion {
		return time.Time{}
	}
	if t.Settles == 0 || c.SecretsStoredAt.IsZero() {
		return time.Time{}
	}
	return c.SecretsStoredAt.Add(t.Settles)
}
