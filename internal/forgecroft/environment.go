package forgecroft

import (
	"slices"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/envname"
)

// Variable is one environment variable of a delivery.
type Variable struct {
	Name     string
	Value    Secret
	SourceID string // credential config id
	Secret   bool   // as the type declares the variable; set when the environment is put together
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

// Add appends the contribution of a credential that was to set effect; the earliest expiry wins. A variable that the effect does not name
// counts as secret.
func (e *Environment) Add(c Contribution, effect Effect) {
	for _, v := range c.Variables {
		v.Secret = effect.Secret(v.Name)
		e.Variables = append(e.Variables, v)
	}
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

// Secret reports whether a variable's value is secret: unless the type says otherwise, it is.
func (e Effect) Secret(name string) bool {
	for _, v := range e.Variables {
		if v.Name == name {
			return v.Secret
		}
	}
	return true
}

// Conflict is a variable, or a group of rivals, that two credentials claim.
type Conflict struct {
	Variable string // the variable, or the first one of the group that stands in the way
	Group    string // empty: the very same variable
	First    Related
	Second   Related
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
		if g := envname.GroupOf(v.Name); g != "" {
			claims = append(claims, claim{g, v.Name})
		}
	}
	for _, g := range e.Groups {
		claims = append(claims, claim{g, envname.Members(g)[0]})
	}
	return claims
}

// Unset lists the variables that a run must not inherit beside these credentials: the other members of every group they claim,
// without those that are set.
func Unset(effects []Effect) []string {
	set := map[string]bool{}  // variable → is delivered
	drop := map[string]bool{} // variable → is a rival
	for _, e := range effects {
		var rivals []string
		for _, v := range e.Variables {
			set[v.Name] = true
			rivals = append(rivals, envname.Rivals(v.Name)...)
		}
		for _, group := range e.Groups {
			rivals = append(rivals, envname.Members(group)...)
		}
		for _, name := range rivals {
			drop[name] = true
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
