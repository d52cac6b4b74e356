package credtype_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func TestNames(t *testing.T) {
	want := []string{"aws_static", "aws_assume_role", "gcp_service_account", "cloudflare_api_token", "generic_env"}
	if diff := cmp.Diff(want, credtype.Registry(credtype.Config{}).Names()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

// TestDeclarations is the lint of every type: what forms, CLIs and the broker rely on.
func TestDeclarations(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for _, ct := range credtype.Registry(credtype.Config{}) {
		t.Run(ct.Name, func(t *testing.T) {
			if !snake.MatchString(ct.Name) || ct.Title == "" || ct.Description == "" || !strings.HasPrefix(ct.DocsURL, "https://") {
				t.Errorf("name, title, description or documentation is missing")
			}
			if ct.Check == nil || ct.Variables == nil || ct.Deliver == nil || ct.Verify == nil {
				t.Error("a function is missing")
			}
			if ct.AWSIdentity != (ct.Principal != nil) || ct.ExternalID != (ct.TrustPolicy != nil) || ct.AnyNames != (len(ct.Fields) == 0) {
				t.Error("what the type says of itself does not fit its functions")
			}
			seen := map[string]bool{}
			for _, f := range ct.Fields {
				if problem := lint(f); problem != "" || seen[f.Name] || !snake.MatchString(f.Name) {
					t.Errorf("field %s: %s", f.Name, problem)
				}
				seen[f.Name] = true
			}
			for _, v := range everyVariable(ct) {
				if broken := forgecroft.CheckEnvName(v.Name, v.Name); len(broken) > 0 {
					t.Errorf("variable %s: %s", v.Name, broken[0].Message)
				}
			}
		})
	}
}

// lint returns what is wrong with the declaration of a field.
func lint(f forgecroft.Field) string {
	switch {
	case f.Title == "" || f.Description == "" || f.Example == "" || f.Kind == "":
		return "title, description, example or kind is missing"
	case f.Pattern != "" && (!strings.HasPrefix(f.Pattern, "^") || !strings.HasSuffix(f.Pattern, "$")):
		return "the pattern is not anchored"
	case f.Pattern != "" && !regexp.MustCompile(f.Pattern).MatchString(f.Example):
		return "the example does not match the pattern"
	case len(f.Enum) > 0 && !slices.Contains(f.Enum, f.Example):
		return "the example is not among the values"
	case f.Default != "" && (f.Required || f.Secret):
		return "a required or secret field has a default"
	case f.Secret && !strings.Contains(f.Example, "EXAMPLE"):
		return "the example of a secret does not say that it is one"
	case (f.Minimum != 0 || f.Maximum != 0) && (f.Kind != forgecroft.FieldInteger || f.Minimum > f.Maximum):
		return "the bounds make no sense"
	}
	return ""
}

// TestExamplesAreAccepted stores each type's own examples.
func TestExamplesAreAccepted(t *testing.T) {
	for _, ct := range credtype.Registry(credtype.Config{}) {
		fields := map[string]json.RawMessage{}
		for _, f := range ct.Fields {
			fields[f.Name] = json.RawMessage(fmt.Sprintf("%q", f.Example))
			if f.Kind == forgecroft.FieldInteger {
				fields[f.Name] = json.RawMessage(f.Example)
			}
		}
		switch ct.Name {
		case "aws_static": // The example is a user's key, which has no session token.
			delete(fields, "session_token")
		case "gcp_service_account": // A key file is too long for an example.
			fields["service_account_key"] = json.RawMessage(sampleKey())
		case "generic_env":
			fields["TF_VAR_example"] = json.RawMessage(`"EXAMPLE"`)
		}
		if _, broken := ct.Check(fields); len(broken) > 0 {
			t.Errorf("%s: %v", ct.Name, broken)
		}
	}
}

// everyVariable lists what a type can set, under each value of its choices.
func everyVariable(ct forgecroft.CredentialType) []forgecroft.EffectVariable {
	var variables []forgecroft.EffectVariable
	for _, c := range choices(ct) {
		for _, v := range ct.Variables(c.fields, c.public) {
			if !slices.Contains(variables, v) {
				variables = append(variables, v)
			}
		}
	}
	return variables
}

// choice is one way of filling in a type.
type choice struct {
	name   string
	fields []string
	public map[string]string
}

// choices lists the ways of filling in a type that differ in what is set: all fields, under each value of an enumeration.
func choices(ct forgecroft.CredentialType) []choice {
	var fields []string
	for _, f := range ct.Fields {
		fields = append(fields, f.Name)
	}
	var ways []choice
	for _, f := range ct.Fields {
		for _, value := range f.Enum {
			ways = append(ways, choice{f.Name + " = " + value, fields, map[string]string{f.Name: value}})
		}
	}
	if len(ways) == 0 {
		ways = append(ways, choice{"", fields, nil})
	}
	return ways
}

func TestTrustPolicy(t *testing.T) {
	ct := mustType(t, credtype.Registry(credtype.Config{}), "aws_assume_role")
	const want = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:user/ci"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "org-EXAMPLE@config-EXAMPLE"
        }
      }
    }
  ]
}`
	if diff := cmp.Diff(want, string(ct.TrustPolicy(externalID, "arn:aws:iam::123456789012:user/ci"))); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	for principal, want := range map[string]string{
		"": "arn:aws:iam::ACCOUNT-OF-THE-SOURCE-CREDENTIAL:root",
		"arn:aws:sts::123456789012:assumed-role/ci/i-1": "arn:aws:iam::123456789012:role/ci",
	} {
		if got := string(ct.TrustPolicy(externalID, principal)); !strings.Contains(got, want) {
			t.Errorf("principal %q: no %s in %s", principal, want, got)
		}
	}
}

// TestConflictGroups checks that an AWS identity excludes another one, and that one beside Google's is fine.
func TestConflictGroups(t *testing.T) {
	types := credtype.Registry(credtype.Config{})
	effect := func(name string) forgecroft.Effect {
		ct := mustType(t, types, name)
		return ct.Effect(forgecroft.CredentialConfig{ID: name, Type: name, SecretVersion: 1})
	}
	if got := forgecroft.Conflicts([]forgecroft.Effect{effect("aws_static"), effect("aws_assume_role")}); len(got) != 1 {
		t.Errorf("two AWS identities: %v", got)
	}
	apart := []forgecroft.Effect{effect("aws_static"), effect("gcp_service_account"), effect("cloudflare_api_token")}
	if got := forgecroft.Conflicts(apart); len(got) != 0 {
		t.Errorf("one of each: %v", got)
	}
	if unset := forgecroft.Unset(apart); !slices.Contains(unset, "AWS_PROFILE") || !slices.Contains(unset, "GOOGLE_CREDENTIALS") || slices.Contains(unset, "AWS_ACCESS_KEY_ID") {
		t.Errorf("unset: %v", unset)
	}
}

func TestSource(t *testing.T) {
	ct := mustType(t, credtype.Registry(credtype.Config{}), "aws_assume_role")
	r := mustStore(t, ct, input{"role_arn": roleARN, "source_credential_config_id": configID})
	if got := ct.Source(r.Config.Public); got != configID {
		t.Errorf("source %q", got)
	}
	want := map[string]string{"role_arn": roleARN, "source_credential_config_id": configID, "duration_seconds": "3600"}
	if diff := cmp.Diff(want, maps.Clone(r.Config.Public)); diff != "" {
		t.Errorf("shown back (-want +got):\n%s", diff)
	}
	if got := ct.Principal(r.Config); got != roleARN {
		t.Errorf("principal %q", got)
	}
}
