package forgecroft

import (
	"context"
	"encoding/json"
	"time"
)

// FieldKind says how a field of a credential type is written.
type FieldKind string

// The kinds of fields.
const (
	FieldString  FieldKind = "string"
	FieldInteger FieldKind = "integer"
	FieldJSON    FieldKind = "json"                 // a JSON object, or the same as a string
	FieldConfig  FieldKind = "credential_config_id" // the id of another credential config
)

// Field describes one field of a credential type: what forms and CLIs are built from.
type Field struct {
	Name        string
	Title       string
	Description string
	Kind        FieldKind
	Required    bool
	Secret      bool // write-only; the others are shown back
	Multiline   bool
	Pattern     string   // RE2, anchored; empty: free
	Enum        []string // the only values allowed; empty: free
	Minimum     int64    // for integers; both 0: free
	Maximum     int64
	Default     string
	Derived     bool   // filled in from other fields if it is left out
	Example     string // visibly not real
}

// CredentialType is one kind of credential as a declaration: fields, delivery, verification. One file of internal/credtype each.
type CredentialType struct {
	Name        string
	Title       string
	Description string
	DocsURL     string // the provider's page on this kind of credential
	Fields      []Field
	AnyNames    bool     // the fields are whatever variables the client names
	Groups      []string // conflict groups that it always claims
	ExternalID  bool     // each config gets an external ID that we generate
	ShortLived  bool     // delivers credentials that expire, by asking the provider
	AWSIdentity bool     // delivers an AWS identity that can assume a role

	// Settles is how long after secrets were stored a refusal may only mean that the provider has not heard
	// of a key, a token or a trust policy yet. 0: there is no provider to hear of anything.
	Settles time.Duration

	// Check turns input into the values to store: canonical, repaired where that is safe. It reports every broken rule. The
	// JSON fragments hold secrets, so no message may quote them.
	Check func(input map[string]json.RawMessage) (Values, []FieldError)

	// Warn names what is odd about values that Check let pass: what is stored, but probably a mistake. nil: nothing is.
	Warn func(Values) []string

	// Variables lists what a credential with these fields will set, without its values. public holds the fields that are not secret.
	Variables func(fields []string, public map[string]string) []EffectVariable

	// Source returns the credential config whose identity this one builds on, or "".
	Source func(public map[string]string) string

	// Deliver resolves the values for one run, calling the provider if the type is short-lived. A provider that refuses, or that could not
	// be asked, is a [*ProviderError].
	Deliver func(ctx context.Context, r Resolution) (Contribution, error)

	// Verify asks the provider. It returns an error only when ctx is done or our own stores fail; a provider's failure
	// is an inconclusive result.
	Verify func(ctx context.Context, r Resolution) (Verification, error)

	// Principal is the ARN that a trust policy names for a config of this type, as far as its metadata tells, or "". nil for types
	// without an AWS identity.
	Principal func(c CredentialConfig) string

	// TrustPolicy is the policy document that the owner of the role pastes, or nil for types without one. principal is the ARN of
	// the identity that will assume it; empty if it is not known yet.
	TrustPolicy func(externalID, principal string) json.RawMessage
}

// Field returns the declaration of a field.
func (t CredentialType) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Public returns the values that are not secret, which metadata may show back.
func (t CredentialType) Public(values Values) map[string]string {
	public := map[string]string{}
	for _, f := range t.Fields {
		if v, stored := values[f.Name]; stored && !f.Secret {
			public[f.Name] = v.Reveal()
		}
	}
	return public
}

// Effect is what config will set, by its metadata alone.
func (t CredentialType) Effect(config CredentialConfig) Effect {
	effect := Effect{ConfigID: config.ID, ConfigName: config.Name, Type: config.Type, Groups: t.Groups}
	if config.SecretVersion > 0 {
		effect.Variables = t.Variables(config.Fields, config.Public)
	}
	return effect
}

// Resolution is everything a type needs to deliver or verify one secret version.
type Resolution struct {
	Config     CredentialConfig
	Values     Values
	Source     *Contribution // what the source config delivers; nil: the server's own identity, or no source
	Chained    bool          // the source is itself a temporary session of a role (role chaining)
	DeliveryID string        // a UUID: of the delivery, or of the verification
	Now        time.Time
	FreshUntil time.Time // until then a refusal may only mean that the provider has not heard of it; see [CredentialType.Settles]
}

// Registry is the set of credential types, in the order they are shown.
type Registry []CredentialType

// Lookup returns the type of that name.
func (r Registry) Lookup(name string) (CredentialType, bool) {
	for _, t := range r {
		if t.Name == name {
			return t, true
		}
	}
	return CredentialType{}, false
}

// Effect is what config will set. A config of a type that is not in the registry claims nothing.
func (r Registry) Effect(config CredentialConfig) Effect {
	t, known := r.Lookup(config.Type)
	if !known {
		return Effect{ConfigID: config.ID, ConfigName: config.Name, Type: config.Type}
	}
	return t.Effect(config)
}

// Names lists the names of all types.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, t := range r {
		names[i] = t.Name
	}
	return names
}
