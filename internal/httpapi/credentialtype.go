package httpapi

import (
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

func (a *api) listCredentialTypes(r *request) (sdk.List[sdk.CredentialType], error) {
	types, err := a.broker.ListCredentialTypes(r.Context(), r.call)
	return allOf(types, wireCredentialType), err
}

// wireCredentialType converts the declaration of a credential type.
func wireCredentialType(t forgecroft.CredentialType) sdk.CredentialType {
	wire := sdk.CredentialType{
		Name: t.Name, Title: t.Title, Description: t.Description, DocsURL: t.DocsURL,
		AnyNames: t.AnyNames, ExternalID: t.ExternalID, ShortLived: t.ShortLived, Sets: variables(t),
	}
	for _, f := range t.Fields {
		wire.Fields = append(wire.Fields, sdk.CredentialTypeField{
			Name: f.Name, Title: f.Title, Description: f.Description, Kind: string(f.Kind), Required: f.Required, Secret: f.Secret,
			Multiline: f.Multiline, Pattern: f.Pattern, Enum: f.Enum, Minimum: f.Minimum, Maximum: f.Maximum, Default: f.Default, Derived: f.Derived, Example: f.Example,
		})
	}
	return wire
}

// variables lists what a type can set: with all its fields, under every value of those that have a choice. A type whose fields are the variables sets
// whatever the client names.
func variables(t forgecroft.CredentialType) []string {
	if t.AnyNames {
		return nil
	}
	fields := make([]string, len(t.Fields))
	choices := []map[string]string{{}}
	for i, f := range t.Fields {
		fields[i] = f.Name
		for _, choice := range f.Enum {
			choices = append(choices, map[string]string{f.Name: choice})
		}
	}
	var names []string
	for _, public := range choices {
		for _, v := range t.Variables(fields, public) {
			if !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	return names
}
