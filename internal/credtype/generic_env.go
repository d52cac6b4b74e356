package credtype

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// genericEnv is for every provider without a type of its own: the client names the variables.
func genericEnv() forgecroft.CredentialType {
	return forgecroft.CredentialType{
		Name:        "generic_env",
		Title:       "Environment variables",
		Description: "Any environment variables, delivered byte for byte. No provider is known to ask, so it is never verified.",
		DocsURL:     "https://opentofu.org/docs/language/providers/configuration/",
		AnyNames:    true,
		Check:       checkGenericEnv,
		Variables:   genericEnvVariables,
		Deliver:     deliverGenericEnv,
		Verify: func(context.Context, forgecroft.Resolution) (forgecroft.Verification, error) {
			return unclear("not_verifiable", "Nobody can be asked about plain environment variables. The first run that uses them will tell."), nil
		},
	}
}

// checkGenericEnv holds names to the rules of environment variables and takes values as they are.
func checkGenericEnv(input map[string]json.RawMessage) (forgecroft.Values, []forgecroft.FieldError) {
	switch {
	case len(input) == 0:
		return nil, []forgecroft.FieldError{{Field: "data", Code: "required", Message: "At least one variable is needed."}}
	case len(input) > forgecroft.MaxFields:
		return nil, []forgecroft.FieldError{{Field: "data", Code: "too_many", Message: fmt.Sprintf("At most %d variables fit into one credential.", forgecroft.MaxFields)}}
	}
	f := &form{values: map[string]string{}}
	seen := map[string]string{} // :: name in upper case → name as given
	invalid := 0
	for _, name := range slices.Sorted(maps.Keys(input)) {
		field := "data." + name
		broken := forgecroft.CheckEnvName(field, name)
		if len(broken) > 0 && broken[0].Code == "env_name_invalid" { // It may be a secret in the wrong place, so it is not repeated.
			invalid++
			continue
		}
		if len(broken) > 0 {
			f.errors = append(f.errors, broken...)
			continue
		}
		if other, twice := seen[strings.ToUpper(name)]; twice {
			f.errors = append(f.errors, forgecroft.FieldError{Field: field, Code: "duplicate", Message: fmt.Sprintf("The names %s and %s differ only in case, which some tools do not tell apart.", other, name)})
			continue
		}
		seen[strings.ToUpper(name)] = name
		value, ok := stringOf(input[name])
		if !ok {
			f.errors = append(f.errors, forgecroft.FieldError{Field: field, Code: "wrong_type", Message: fmt.Sprintf("The value of %s must be a JSON string. Write numbers and objects as strings.", name)})
			continue
		}
		f.errors = append(f.errors, forgecroft.CheckEnvValue(field, forgecroft.NewSecret(value))...)
		f.values[name] = value
	}
	if invalid > 0 {
		f.errors = append(f.errors, forgecroft.FieldError{Field: "data", Code: "env_name_invalid", Message: fmt.Sprintf(
			"There are names that no environment variable can have (%d). A name starts with a letter or underscore, then has only letters, digits and underscores (ASCII), at most %d.", invalid, forgecroft.MaxEnvName)})
	}
	return f.result()
}

// genericEnvVariables are the stored fields themselves.
func genericEnvVariables(fields []string, _ map[string]string) []forgecroft.EffectVariable {
	variables := make([]forgecroft.EffectVariable, len(fields))
	for i, name := range slices.Sorted(slices.Values(fields)) {
		variables[i] = forgecroft.EffectVariable{Name: name, Secret: true}
	}
	return variables
}

// deliverGenericEnv sets every stored value under its own name, sorted.
func deliverGenericEnv(_ context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
	var c forgecroft.Contribution
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		c.Variables = append(c.Variables, forgecroft.Variable{Name: name, Value: r.Values[name], SourceID: r.Config.ID})
	}
	return c, nil
}
