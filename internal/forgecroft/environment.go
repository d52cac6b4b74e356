package forgecroft

import (
	"slices"
	"strings"
	"time"
)

// Variable is one environment variable of a delivery.
type Variable struct {
	Name     string
	Value    Secret
	SourceID string // credential config id
}

// File is a private file of a delivery, whose path goes into the variable Env.
type File struct {
	Name     string // a base name, without a directory
	Content  Secret
	Env      string
	SourceID string // credential config id
}

// Contribution is what one credential adds to an environment.
type Contribution struct {
	Variables []Variable
	Files     []File
	ExpiresAt time.Time // zero: does not expire
}

// Lookup returns the value of a variable.
func (c Contribution) Lookup(name string) Secret {
	for _, v := range c.Variables {
		if v.Name == name {
			return v.Value
		}
	}
	return Secret{}
}

// Environment is what one run receives.
type Environment struct {
	DeliveryID string
	Variables  []Variable // ordered by the attachment, then as the type orders them
	Files      []File
	Unset      []string  // rivals the run must not inherit, sorted
	ExpiresAt  time.Time // the earliest expiry; zero: none
}

// Add appends a contribution; the earliest expiry wins.
func (e *Environment) Add(c Contribution) {
	e.Variables = append(e.Variables, c.Variables...)
	e.Files = append(e.Files, c.Files...)
	if !c.ExpiresAt.IsZero() && (e.ExpiresAt.IsZero() || c.ExpiresAt.Before(e.ExpiresAt)) {
		e.ExpiresAt = c.ExpiresAt
	}
}

// Names are all variable names that the environment sets, those of files included.
func (e Environment) Names() []string {
	names := make([]string, 0, len(e.Variables)+len(e.Files))
	for _, v := range e.Variables {
		names = append(names, v.Name)
	}
	for _, f := range e.Files {
		names = append(names, f.Env)
	}
	return names
}

// Size is the number of bytes that names and values take.
func (e Environment) Size() int {
	size := 0
	for _, v := range e.Variables {
		size += len(v.Name) + v.Value.Len() + 2 // "=" and the terminating NUL
	}
	return size
}

// Effect is what a credential will set, known without its values.
type Effect struct {
	ConfigID   string
	ConfigName string
	Type       string
	Variables  []EffectVariable
	Groups     []string // conflict groups that the type claims whatever its fields
}

// EffectVariable is a variable that a credential will set.
type EffectVariable struct {
	Name   string
	File   bool // its value is the path of a private file
	Secret bool
}

// Conflict is a variable, or a group of rivals, that two credentials claim.
type Conflict struct {
	Variable string // the variable, or the first one of the group that stands in the way
	Group    string // empty: the very same variable
	First    Related
	Second   Related
}

// groups are the conflict groups: variables that compete for one identity. Two credentials of one group conflict, and a run that
// gets one member must not inherit the others.
//
// Sources: the AWS SDKs' credential provider chain; the google provider's precedence list; the cloudflare provider's
// "exactly one of". See docs/credential-types.md.
var groups = []struct {
	name    string
	members []string
}{
	{"aws", []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_EXPIRATION",
	}},
	{"google", []string{
		"GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON",
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_BACKEND_CREDENTIALS",
		"GOOGLE_BACKEND_IMPERSONATE_SERVICE_ACCOUNT", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_CONFIG", "GCE_METADATA_HOST",
	}},
	{"cloudflare", []string{
		"CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_USER_SERVICE_KEY", "CF_API_TOKEN", "CF_API_KEY", "CF_API_EMAIL",
	}},
	{"azure", []string{
		"ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE_PASSWORD",
		"ARM_OIDC_TOKEN", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_USE_OIDC", "ARM_USE_MSI", "ARM_USE_CLI", "ARM_TENANT_ID", "ARM_ACCESS_KEY", "ARM_SAS_TOKEN",
	}},
}

// groupOf returns the conflict group of a variable, or "".
func groupOf(variable string) string {
	for _, g := range groups {
		if slices.Contains(g.members, variable) {
			return g.name
		}
	}
	return ""
}

// groupMembers returns the variables of a group.
func groupMembers(name string) []string {
	for _, g := range groups {
		if g.name == name {
			return g.members
		}
	}
	return nil
}

// Conflicts finds every pair of credentials that would set the same variable or that belong to the same conflict group. There
// is never a last one that wins. Names are compared in any case: some tools fold it.
func Conflicts(effects []Effect) []Conflict {
	var conflicts []Conflict
	for i, first := range effects {
		for _, second := range effects[i+1:] {
			if c, found := conflictOf(first, second); found {
				conflicts = append(conflicts, c)
			}
		}
	}
	return conflicts
}

// conflictOf compares two credentials: equal variables first, because they say it best, then groups.
func conflictOf(first, second Effect) (Conflict, bool) {
	c := Conflict{
		First:  Related{"credential_config", first.ConfigID, first.ConfigName},
		Second: Related{"credential_config", second.ConfigID, second.ConfigName},
	}
	for _, v := range first.Variables {
		for _, w := range second.Variables {
			if strings.EqualFold(v.Name, w.Name) {
				c.Variable = w.Name
				return c, true
			}
		}
	}
	theirs := second.claims()
	for _, mine := range first.claims() {
		for _, other := range theirs {
			if mine.group == other.group {
				c.Variable, c.Group = other.variable, other.group
				return c, true
			}
		}
	}
	return c, false
}

// claim is a conflict group that a credential takes, with the variable that takes it.
type claim struct{ group, variable string }

// claims lists the groups of an effect, each with the variable through which it is claimed.
func (e Effect) claims() []claim {
	var claims []claim
	for _, v := range e.Variables {
		if g := groupOf(v.Name); g != "" {
			claims = append(claims, claim{g, v.Name})
		}
	}
	for _, g := range e.Groups {
		claims = append(claims, claim{g, groupMembers(g)[0]})
	}
	return claims
}

// Unset lists the variables that a run must not inherit beside these credentials: the other members of every group they claim,
// without those that are set.
func Unset(effects []Effect) []string {
	set := map[string]bool{}  // variable → is delivered
	drop := map[string]bool{} // variable → is a rival
	for _, e := range effects {
		for _, v := range e.Variables {
			set[v.Name] = true
		}
		for _, c := range e.claims() {
			for _, member := range groupMembers(c.group) {
				drop[member] = true
			}
		}
	}
	var names []string
	for name := range drop {
		if !set[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
