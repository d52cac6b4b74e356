package forgecroft

import (
	"fmt"
	"strings"

	"github.com/forgecroft/forgecroft/internal/envname"
)

// CheckEnvName checks the name of an environment variable: its grammar, and that it takes over nothing. The field error's
// message gives the reason. Names are compared with the reserved ones in any case.
func CheckEnvName(field, name string) []FieldError {
	switch {
	case name == "":
		return []FieldError{{field, "env_name_invalid", "An environment variable needs a name."}}
	case len(name) > MaxEnvName:
		return []FieldError{{field, "env_name_invalid", fmt.Sprintf("The name of an environment variable has at most %d bytes.", MaxEnvName)}}
	case !envname.Valid(name):
		return []FieldError{{field, "env_name_invalid", "The name of an environment variable starts with a letter or underscore, then has only letters, digits and underscores (ASCII)."}}
	}
	if reason := ReservedReason(name); reason != "" {
		return []FieldError{{field, "env_name_forbidden", fmt.Sprintf("The variable %s is refused: %s.", name, reason)}}
	}
	return nil
}

// ReservedReason says why a variable name is reserved, or "" if it is not.
func ReservedReason(name string) string { return envname.ReservedReason(name) }

// ReservedNames returns every reserved name or pattern with its reason, for documentation.
func ReservedNames() map[string]string { return envname.Reserved() }

// CheckEnvValue checks a value that becomes an environment string: execve(2) takes no NUL.
func CheckEnvValue(field string, value Secret) []FieldError {
	switch {
	case value.Len() > MaxValue:
		return []FieldError{{field, "too_long", fmt.Sprintf("A value has at most %d bytes; it has %d.", MaxValue, value.Len())}}
	case strings.IndexByte(value.Reveal(), 0) >= 0:
		return []FieldError{{field, "contains_nul", "A value must not contain a NUL byte: no environment variable can hold one."}}
	}
	return nil
}
