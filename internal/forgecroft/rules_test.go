package forgecroft_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const (
	org     = "0192f3a0-0000-7000-8000-000000000001"
	project = "0192f3a0-0000-7000-8000-00000000000a"
	other   = "0192f3a0-0000-7000-8000-00000000000b"
	space   = "0192f3a0-0000-7000-8000-00000000000c"
)

// codes returns "field: code" of every field error.
func codes(err error) []string {
	var invalid *forgecroft.Error
	if !errors.As(err, &invalid) {
		return nil
	}
	var codes []string
	for _, f := range invalid.Fields {
		codes = append(codes, f.Field+": "+f.Code)
	}
	return codes
}

func TestNames(t *testing.T) {
	tests := []struct {
		name, input string
		want        []string
	}{
		{"plain", "Production AWS", nil},
		{"as long as allowed", strings.Repeat("a", 256), nil},
		{"markup is only text", `<script>alert(1)</script>`, nil},
		{"path is only text", "../../etc/passwd", nil},
		{"homoglyph is only text", "аdmin", nil},
		{"empty", "", []string{"name: required"}},
		{"one byte too long", strings.Repeat("a", 257), []string{"name: too_long"}},
		{"only a space", " ", []string{"name: invalid_whitespace"}},
		{"only a tab", "\t", []string{"name: invalid_character"}},
		{"space at the end", "a ", []string{"name: invalid_whitespace"}},
		{"line break", "a\r\nSet-Cookie: x=y", []string{"name: invalid_character"}},
		{"NUL", "a\x00b", []string{"name: invalid_character"}},
		{"right-to-left override", "\u202Egnp.exe", []string{"name: invalid_character"}},
		{"zero width", "a\u200bdmin", []string{"name: invalid_character"}},
		{"filler of Hangul", "a\u3164dmin", []string{"name: invalid_character"}},
		{"initial filler of Hangul", "a\u115fdmin", []string{"name: invalid_character"}},
		{"half-width filler of Hangul", "a\uffa0dmin", []string{"name: invalid_character"}},
		{"grapheme joiner", "a\u034fdmin", []string{"name: invalid_character"}},
		{"variation selector", "a\ufe0fdmin", []string{"name: invalid_character"}},
		{"selector of Mongolian", "a\u180bdmin", []string{"name: invalid_character"}},
		{"blank of Braille", "a\u2800dmin", []string{"name: invalid_character"}},
		{"id", "01890000-0000-7000-8000-00000000000a", []string{"name: id_as_name"}},
		{"id in capitals", "01890000-0000-7000-8000-00000000000A", []string{"name: id_as_name"}},
		{"like an id", "01890000-0000-7000-8000-00000000000g", nil},
		{"byte order mark", "\ufeffa", []string{"name: invalid_character"}},
		{"terminal escape", "\x1b[2J", []string{"name: invalid_character"}},
		{"line separator", "a\u2028b", []string{"name: invalid_character"}},
		{"invalid UTF-8", "a\xffb", []string{"name: invalid_utf8"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := codes(forgecroft.Project{Name: test.input}.Validate())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("field errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescriptionsMayHaveLines(t *testing.T) {
	if err := (forgecroft.Project{Name: "a", Description: "one\n\ttwo"}).Validate(); err != nil {
		t.Errorf("lines and tabs: %v", err)
	}
	if got := codes(forgecroft.Project{Name: "a", Description: strings.Repeat("x", 2049)}.Validate()); len(got) != 1 {
		t.Errorf("too long: got %v", got)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		org: true, strings.ToUpper(org): true, "": false, "..": false, org + "/": false, org + "\x00": false, strings.Replace(org, "-", "_", 1): false,
		strings.ReplaceAll(org, "-", ""): false, "0192F3A0-0000-7000-8000-000000000001": false, strings.Repeat("a", 10<<10): false, "%2e%2e": false,
		"0192f3a0-0000-7000-8000-00000000000g": false,
	} {
		if id == strings.ToUpper(org) { // org has a letter, so its upper case differs.
			want = id == org
		}
		if got := forgecroft.ValidID(id); got != want {
			t.Errorf("ValidID(%.40q): got %v, want %v", id, got, want)
		}
	}
}

func TestEnvNames(t *testing.T) {
	tests := map[string]string{ // name → code of the refusal, or ""
		"AWS_REGION": "", "_x": "", "TF_VAR_db": "", "TF_TOKEN_app_terraform_io": "", "ARM_CLIENT_ID": "", "a1": "", strings.Repeat("A", 128): "",
		"": "env_name_invalid", "1A": "env_name_invalid", "A=B": "env_name_invalid", "A B": "env_name_invalid", "A-B": "env_name_invalid", "A\nB": "env_name_invalid",
		"Ａ": "env_name_invalid", "BASH_FUNC_x%%": "env_name_invalid", strings.Repeat("A", 129): "env_name_invalid",
		"LD_PRELOAD": "env_name_forbidden", "ld_preload": "env_name_forbidden", "LD_ANYTHING": "env_name_forbidden", "DYLD_INSERT_LIBRARIES": "env_name_forbidden",
		"PATH": "env_name_forbidden", "Path": "env_name_forbidden", "HOME": "env_name_forbidden", "XDG_CONFIG_HOME": "env_name_forbidden", "IFS": "env_name_forbidden",
		"BASH_ENV": "env_name_forbidden", "ENV": "env_name_forbidden", "PYTHONPATH": "env_name_forbidden", "NODE_OPTIONS": "env_name_forbidden",
		"GIT_SSH_COMMAND": "env_name_forbidden", "TF_CLI_ARGS": "env_name_forbidden", "TF_CLI_ARGS_plan": "env_name_forbidden", "TF_CLI_CONFIG_FILE": "env_name_forbidden",
		"TF_LOG": "env_name_forbidden", "TF_LOG_PROVIDER_AWS": "env_name_forbidden", "https_proxy": "env_name_forbidden", "AWS_ENDPOINT_URL_S3": "env_name_forbidden",
		"GOOGLE_COMPUTE_CUSTOM_ENDPOINT": "env_name_forbidden", "GODEBUG": "env_name_forbidden", "FORGECROFT_API_KEY": "env_name_forbidden", "SSLKEYLOGFILE": "env_name_forbidden",
	}
	for name, want := range tests {
		got := ""
		if fields := forgecroft.CheckEnvName("data", name); len(fields) > 0 {
			got = fields[0].Code
		}
		if got != want {
			t.Errorf("%.40q: got %q, want %q", name, got, want)
		}
	}
}

// effect is one credential that sets variables.
func effect(name string, variables ...string) forgecroft.Effect {
	e := forgecroft.Effect{ConfigID: name, ConfigName: name}
	for _, v := range variables {
		e.Variables = append(e.Variables, forgecroft.EffectVariable{Name: v})
	}
	return e
}

func TestConflicts(t *testing.T) {
	aws := effect("aws", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	bare := forgecroft.Effect{ConfigID: "bare", ConfigName: "bare", Groups: []string{"aws"}}
	tests := []struct {
		name    string
		effects []forgecroft.Effect
		want    []string // "first second variable group"
	}{
		{"different clouds", []forgecroft.Effect{aws, effect("g", "GOOGLE_OAUTH_ACCESS_TOKEN"), effect("c", "CLOUDFLARE_API_TOKEN"), effect("e", "TF_VAR_x")}, nil},
		{"same variable", []forgecroft.Effect{effect("a", "TF_VAR_x"), effect("b", "TF_VAR_x")}, []string{"a b TF_VAR_x "}},
		{"same variable in another case", []forgecroft.Effect{effect("a", "aws_region"), effect("b", "AWS_REGION")}, []string{"a b AWS_REGION "}},
		{"same group", []forgecroft.Effect{effect("a", "GOOGLE_OAUTH_ACCESS_TOKEN"), effect("b", "GOOGLE_CREDENTIALS")}, []string{"a b GOOGLE_CREDENTIALS google"}},
		{"session token of another", []forgecroft.Effect{aws, effect("b", "AWS_SESSION_TOKEN")}, []string{"aws b AWS_SESSION_TOKEN aws"}},
		{"type without secrets yet", []forgecroft.Effect{aws, bare}, []string{"aws bare AWS_ACCESS_KEY_ID aws"}},
		{"three of one kind", []forgecroft.Effect{effect("a", "X"), effect("b", "X"), effect("c", "X")}, []string{"a b X ", "a c X ", "b c X "}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range forgecroft.Conflicts(test.effects) {
				got = append(got, fmt.Sprintf("%s %s %s %s", c.First.Name, c.Second.Name, c.Variable, c.Group))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnset(t *testing.T) {
	unset := forgecroft.Unset([]forgecroft.Effect{effect("a", "CLOUDFLARE_API_TOKEN", "TF_VAR_x")})
	want := []string{"CF_API_EMAIL", "CF_API_KEY", "CF_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_API_USER_SERVICE_KEY", "CLOUDFLARE_EMAIL"}
	if diff := cmp.Diff(want, unset); diff != "" {
		t.Errorf("unset (-want +got):\n%s", diff)
	}
	if got := forgecroft.Unset([]forgecroft.Effect{effect("a", "TF_VAR_x")}); len(got) != 0 {
		t.Errorf("nothing to unset: got %v", got)
	}
}

// TestSecretVariables holds an environment to what the types declare; what a type did not declare counts as secret.
func TestSecretVariables(t *testing.T) {
	var env forgecroft.Environment
	e := forgecroft.Effect{Variables: []forgecroft.EffectVariable{{Name: "AWS_REGION"}, {Name: "AWS_SECRET_ACCESS_KEY", Secret: true}}}
	env.Add(forgecroft.Contribution{Variables: []forgecroft.Variable{{Name: "AWS_REGION"}, {Name: "AWS_SECRET_ACCESS_KEY"}, {Name: "OTHER"}}}, e)
	var secret []string
	for _, v := range env.Variables {
		if v.Secret {
			secret = append(secret, v.Name)
		}
	}
	if diff := cmp.Diff([]string{"AWS_SECRET_ACCESS_KEY", "OTHER"}, secret); diff != "" {
		t.Errorf("secret variables (-want +got):\n%s", diff)
	}
}

func TestScopes(t *testing.T) {
	orgKey := forgecroft.Principal{OrganizationID: org}
	projectKey := forgecroft.Principal{OrganizationID: org, Scope: forgecroft.KeyScope{ProjectID: project}}
	spaceKey := forgecroft.Principal{OrganizationID: org, Scope: forgecroft.KeyScope{ProjectID: project, WorkspaceID: space}}
	locations := map[string]forgecroft.Location{
		"organization":    {OrganizationID: org},
		"project":         {OrganizationID: org, ProjectID: project},
		"other project":   {OrganizationID: org, ProjectID: other},
		"workspace":       {OrganizationID: org, ProjectID: project, WorkspaceID: space},
		"other workspace": {OrganizationID: org, ProjectID: project, WorkspaceID: other},
		"foreign":         {OrganizationID: other, ProjectID: project, WorkspaceID: space},
		"nowhere":         {},
	}
	tests := []struct {
		key           forgecroft.Principal
		name          string
		reaches, sees []string
	}{
		{orgKey, "organization key", []string{"organization", "project", "other project", "workspace", "other workspace"}, nil},
		{projectKey, "project key", []string{"project", "workspace", "other workspace"}, []string{"organization"}},
		{spaceKey, "workspace key", []string{"workspace"}, []string{"organization", "project"}},
		{forgecroft.Principal{}, "nobody", nil, nil},
	}
	for _, test := range tests {
		for name, location := range locations {
			reaches, also := contains(test.reaches, name), contains(test.sees, name)
			if got := test.key.Reaches(location); got != reaches {
				t.Errorf("%s reaches %s: got %v, want %v", test.name, name, got, reaches)
			}
			if got := test.key.Sees(location); got != (reaches || also) {
				t.Errorf("%s sees %s: got %v, want %v", test.name, name, got, reaches || also)
			}
		}
	}
}

func contains(list []string, item string) bool {
	for _, i := range list {
		if i == item {
			return true
		}
	}
	return false
}

// TestRoles is product.md's table of roles.
func TestRoles(t *testing.T) {
	p := func(permissions ...forgecroft.Permission) []forgecroft.Permission { return permissions }
	want := map[forgecroft.Role][]forgecroft.Permission{
		"reader": p("self", "read_workspace", "read"),
		"runner": p("self", "read_workspace", "deliver"),
		"member": p("self", "read_workspace", "read", "deliver", "write", "verify"),
		"admin":  p("self", "read_workspace", "read", "deliver", "write", "verify", "keys", "audit"),
		"owner":  p("self", "read_workspace", "read", "deliver", "write", "verify", "keys", "audit", "instance"),
		"Admin":  nil, " admin": nil, "admin\u200b": nil, "": nil, "root": nil,
	}
	for role, permissions := range want {
		var got []forgecroft.Permission
		for _, permission := range p("self", "read_workspace", "read", "deliver", "write", "verify", "keys", "audit", "instance") {
			if role.Allows(permission) {
				got = append(got, permission)
			}
		}
		if diff := cmp.Diff(permissions, got); diff != "" {
			t.Errorf("role %q (-want +got):\n%s", role, diff)
		}
	}
	if forgecroft.RoleOwner.Allows("unheard of") {
		t.Error("an unknown permission is allowed")
	}
	if forgecroft.Role("root").AtMost(forgecroft.RoleOwner) || !forgecroft.RoleAdmin.AtMost(forgecroft.RoleAdmin) || forgecroft.RoleOwner.AtMost(forgecroft.RoleAdmin) {
		t.Error("AtMost is wrong")
	}
}

func TestAPIKeyRules(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	good := forgecroft.APIKey{Name: "ci", Role: forgecroft.RoleRunner}
	tests := []struct {
		name   string
		change func(*forgecroft.APIKey)
		want   []string
	}{
		{"good", func(*forgecroft.APIKey) {}, nil},
		{"expires later", func(k *forgecroft.APIKey) { k.ExpiresAt = now.Add(time.Second) }, nil},
		{"expired", func(k *forgecroft.APIKey) { k.ExpiresAt = now }, []string{"expires_at: in_the_past"}},
		{"role in another case", func(k *forgecroft.APIKey) { k.Role = "Admin" }, []string{"role: unknown_role"}},
		{"owner of a project", func(k *forgecroft.APIKey) { k.Role = "owner"; k.Scope.ProjectID = project }, []string{"role: scope_too_narrow"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := good
			test.change(&k)
			if diff := cmp.Diff(test.want, codes(k.Validate(now))); diff != "" {
				t.Errorf("field errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerificationHistory(t *testing.T) {
	c := forgecroft.CredentialConfig{SecretVersion: 1}
	if got := c.VerificationState(); got != "unverified" {
		t.Errorf("never asked: got %s", got)
	}
	c.Record(forgecroft.Verification{Valid: true, Conclusive: true, SecretVersion: 1})
	c.Record(forgecroft.Verification{Error: "throttled", SecretVersion: 1})
	if got := c.VerificationState(); got != "valid" {
		t.Errorf("an inconclusive attempt overwrote the result: got %s", got)
	}
	if c.LastAttempt.Error != "throttled" {
		t.Errorf("the last attempt is %+v", c.LastAttempt)
	}
	c.Record(forgecroft.Verification{Conclusive: true, SecretVersion: 1})
	if got := c.VerificationState(); got != "invalid" {
		t.Errorf("after a refusal: got %s", got)
	}
	c.SecretVersion = 2
	if got := c.VerificationState(); got != "unverified" {
		t.Errorf("new secrets: got %s", got)
	}
}

// TestMatchedNamesAreExact checks with random names that a reserved name is refused in every case of its letters.
func TestReservedNamesInAnyCase(t *testing.T) {
	names := []string{}
	for name := range forgecroft.ReservedNames() {
		names = append(names, strings.ReplaceAll(name, "*", "X"))
	}
	rapid.Check(t, func(t *rapid.T) {
		name := []byte(rapid.SampledFrom(names).Draw(t, "name"))
		for i := range name {
			if rapid.Bool().Draw(t, "lower") {
				name[i] = strings.ToLower(string(name[i]))[0]
			}
		}
		if forgecroft.ReservedReason(string(name)) == "" {
			t.Fatalf("%s is not reserved", name)
		}
	})
}

func TestKindsSurviveWrapping(t *testing.T) {
	err := fmt.Errorf("doing: %w", forgecroft.NotFound("project"))
	if !errors.Is(err, forgecroft.KindNotFound) || errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("errors.Is does not match the kind of %v", err)
	}
}
