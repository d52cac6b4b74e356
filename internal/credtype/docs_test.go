package credtype_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const docsPath = "../../docs/credential-types.md"

// TestGoldenDocs holds docs/credential-types.md to the registry; -update rewrites it.
func TestGoldenDocs(t *testing.T) {
	got := document(credtype.Registry(credtype.Config{}))
	if *update {
		if err := os.WriteFile(docsPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/credential-types.md is not what the registry says; run with -update (-file +registry):\n%s", diff)
	}
}

const intro = `<!-- Made from the registry by: go test ./internal/credtype -run TestGoldenDocs -update -->
# Credential types

What each credential type is made of, what it sets in a run's environment, and what verifying it can say. ` + "`GET /credential-types`" + ` serves the same
declarations. Unknown fields are refused, secret fields are never shown back, and new secrets replace all fields of the old ones.

A verification has three outcomes. **Valid**: the provider knows the credential, and says as whom. **Invalid**: the provider said no; the result has its code. **Could
not tell**: the provider was not reached or not understood, or there is none to ask; this never replaces an earlier answer.
`

const groupsIntro = `
## Conflict groups

The variables of a group compete for one identity. Two credentials of one group cannot be attached to the same workspace, and a run that gets a
member of a group inherits none of its others. Variables of ` + "`generic_env`" + ` count by their names. Where a token of
Azure is delivered, the tokens of CI systems (` + "`ACTIONS_ID_TOKEN_REQUEST_URL`, `SYSTEM_OIDCREQUESTURI`" + ` and so on) are unset, too.

Files in the home directory bring an identity in without a variable. ` + "`forgecroft exec` and `forgecroft env`" + ` therefore set ` + "`AWS_CONFIG_FILE`" + ` and
` + "`AWS_SHARED_CREDENTIALS_FILE`" + ` to empty files beside delivered AWS credentials (the region then comes from ` + "`AWS_REGION`" + ` alone; a workspace that
delivers ` + "`AWS_PROFILE`" + ` keeps the files), and ` + "`GOOGLE_APPLICATION_CREDENTIALS`" + ` beside Google's unless it is delivered: tools that know
neither ` + "`GOOGLE_OAUTH_ACCESS_TOKEN` nor `GOOGLE_CREDENTIALS`" + ` fail, instead of using the personal login of the machine's user.

| group | variables |
|---|---|
`

const reservedIntro = `
## Reserved names

No credential may set these variables, in any case of letters; ` + "`*`" + ` stands for any characters.

| why | names |
|---|---|
`

// document writes the whole page.
func document(types forgecroft.Registry) string {
	var b strings.Builder
	b.WriteString(intro)
	for _, ct := range types {
		fmt.Fprintf(&b, "\n## %s: %s\n\n%s [The provider's page](%s).\n", code(ct.Name), ct.Title, ct.Description, ct.DocsURL)
		writeFields(&b, ct)
		writeVariables(&b, ct)
		writeOutcomes(&b, ct)
	}
	fmt.Fprint(&b, "\n## Outcomes of every provider\n\n| outcome | code | when |\n|---|---|---|\n")
	for _, o := range commonOutcomes() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", o.outcome, code(o.code), o.when)
	}
	b.WriteString(groupsIntro)
	for _, group := range envname.Groups() {
		fmt.Fprintf(&b, "| %s | %s |\n", group.Name, codes(slices.Sorted(slices.Values(group.Members))))
	}
	b.WriteString(reservedIntro)
	byReason := map[string][]string{} // :: reason → names
	for name, reason := range forgecroft.ReservedNames() {
		byReason[reason] = append(byReason[reason], name)
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		fmt.Fprintf(&b, "| %s | %s |\n", reason, codes(slices.Sorted(slices.Values(byReason[reason]))))
	}
	return b.String()
}

// writeFields writes the table of a type's fields.
func writeFields(b *strings.Builder, ct forgecroft.CredentialType) {
	if ct.AnyNames {
		fmt.Fprintf(b, "\nThe fields are the variables: from 1 to %d pairs of a name and a JSON string of at most %d bytes; all of them together fit into a request body of 256 KiB. Names begin with a letter or underscore, go on with letters, digits and underscores, and have at most %d characters. They must differ in more than case and must not be [reserved](#reserved-names). Values may hold anything but NUL.\n",
			forgecroft.MaxFields, forgecroft.MaxValue, forgecroft.MaxEnvName)
		return
	}
	b.WriteString("\n| field | | rule | meaning |\n|---|---|---|---|\n")
	for _, f := range ct.Fields {
		marks := []string{"optional"}
		if f.Required {
			marks[0] = "required"
		}
		if f.Secret {
			marks = append(marks, "secret")
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", code(f.Name), strings.Join(marks, ", "), rule(f), f.Description)
	}
}

// rule sums up what a value must be.
func rule(f forgecroft.Field) string {
	var parts []string
	switch f.Kind {
	case forgecroft.FieldInteger:
		parts = append(parts, fmt.Sprintf("whole number, %d to %d", f.Minimum, f.Maximum))
	case forgecroft.FieldJSON:
		parts = append(parts, "JSON object, or the same as a string")
	case forgecroft.FieldConfig:
		parts = append(parts, "id of a credential config")
	}
	if len(f.Enum) > 0 {
		parts = append(parts, codes(f.Enum))
	}
	if f.Pattern != "" {
		parts = append(parts, code(strings.ReplaceAll(f.Pattern, "|", `\|`)))
	}
	if f.Default != "" {
		parts = append(parts, "default "+code(f.Default))
	}
	return strings.Join(parts, "; ")
}

// writeVariables writes which variables a type sets, when, and what runs must not inherit beside them.
func writeVariables(b *strings.Builder, ct forgecroft.CredentialType) {
	if ct.AnyNames {
		b.WriteString("\nEvery pair is set as it is, byte for byte.\n")
		return
	}
	b.WriteString("\n| sets | when |\n|---|---|\n")
	for _, c := range choices(ct) {
		var required []string
		for _, f := range ct.Fields {
			if f.Required {
				required = append(required, f.Name)
			}
		}
		base := ct.Variables(required, c.public)
		when := "always"
		if c.name != "" {
			when = code(c.name)
		}
		fmt.Fprintf(b, "| %s | %s |\n", shown(base), when)
		for _, f := range ct.Fields {
			if more := added(base, ct.Variables(append(slices.Clone(required), f.Name), c.public)); len(more) > 0 {
				fmt.Fprintf(b, "| %s | %s is stored%s |\n", shown(more), code(f.Name), beside(c.name))
			}
		}
		fmt.Fprintf(b, "| *unset:* %s | %s, unless set above |\n", codes(forgecroft.Unset([]forgecroft.Effect{{Groups: ct.Groups, Variables: base}})), when)
	}
	if ct.ShortLived {
		b.WriteString("\nThe provider is asked at every delivery; what it gives expires.\n")
	}
}

// beside names the choice under which a line holds.
func beside(choice string) string {
	if choice == "" {
		return ""
	}
	return ", " + code(choice)
}

// added lists what is in more beyond base.
func added(base, more []forgecroft.EffectVariable) []forgecroft.EffectVariable {
	return slices.DeleteFunc(slices.Clone(more), func(v forgecroft.EffectVariable) bool { return slices.Contains(base, v) })
}

// shown writes variables, marking files.
func shown(variables []forgecroft.EffectVariable) string {
	parts := make([]string, len(variables))
	for i, v := range variables {
		parts[i] = code(v.Name)
		if v.File {
			parts[i] += " (path of a private file)"
		}
	}
	return strings.Join(parts, ", ")
}

func code(text string) string { return "`" + text + "`" }

func codes(texts []string) string {
	parts := make([]string, len(texts))
	for i, text := range texts {
		parts[i] = code(text)
	}
	return strings.Join(parts, ", ")
}

// writeOutcomes writes what verification can say of a type.
func writeOutcomes(b *strings.Builder, ct forgecroft.CredentialType) {
	b.WriteString("\n| verification | code | when |\n|---|---|---|\n")
	for _, o := range outcomes(ct.Name) {
		shownCode := ""
		if o.code != "" {
			shownCode = code(o.code)
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", o.outcome, shownCode, o.when)
	}
}
