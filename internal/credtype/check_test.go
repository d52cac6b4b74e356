package credtype_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
)

// input is the fields of a request.
type input = map[string]any

func TestCheck(t *testing.T) {
	const temporary = "ASIAIOSFODNN7EXAMPLE"
	types := credtype.Registry(credtype.Config{})
	keys := func(more input) input {
		return with(input{"access_key_id": keyID, "secret_access_key": secretKey}, more)
	}
	role := func(more input) input { return with(input{"role_arn": roleARN}, more) }
	tests := []struct {
		name  string
		typ   string
		input input
		want  map[string]string // :: field → code; empty: accepted
	}{
		{"user's key", "aws_static", keys(nil), nil},
		{"all fields", "aws_static", keys(input{"access_key_id": temporary, "session_token": "IQoJEXAMPLE", "region": "us-gov-west-1", "expected_account_id": account}), nil},
		{"R2", "aws_static", input{"access_key_id": "0123456789abcdef0123456789abcdef", "secret_access_key": strings.Repeat("0a", 32), "region": "auto"}, nil},
		{"MinIO", "aws_static", input{"access_key_id": "minio", "secret_access_key": "minioEXAMPLE"}, nil},
		{"nothing", "aws_static", input{}, map[string]string{"data.access_key_id": "required", "data.secret_access_key": "required"}},
		{"unknown field", "aws_static", keys(input{"acces_key": "x"}), map[string]string{"data": "unknown_field"}},
		{"unknown field with odd characters", "aws_static", keys(input{"a\n\"b" + strings.Repeat("c", 100): "x"}), map[string]string{"data": "unknown_field"}},
		{"number", "aws_static", keys(input{"secret_access_key": 5}), map[string]string{"data.secret_access_key": "wrong_type"}},
		{"null", "aws_static", keys(input{"region": nil}), map[string]string{"data.region": "wrong_type"}},
		{"empty", "aws_static", keys(input{"secret_access_key": "", "region": ""}), map[string]string{"data.secret_access_key": "required", "data.region": "invalid_format"}},
		{"white space", "aws_static", keys(input{"secret_access_key": secretKey + "\n"}), map[string]string{"data.secret_access_key": "invalid_format"}},
		{"quotes", "aws_static", keys(input{"access_key_id": `"` + keyID + `"`}), map[string]string{"data.access_key_id": "invalid_format"}},
		{"NUL", "aws_static", keys(input{"secret_access_key": "a\x00b"}), map[string]string{"data.secret_access_key": "invalid_format"}},
		{"short id", "aws_static", keys(input{"access_key_id": keyID[:19]}), map[string]string{"data.access_key_id": "invalid_format"}},
		{"long id", "aws_static", keys(input{"access_key_id": keyID + "X"}), map[string]string{"data.access_key_id": "invalid_format"}},
		{"temporary without token", "aws_static", keys(input{"access_key_id": temporary}), map[string]string{"data.session_token": "required"}},
		{"user's with token", "aws_static", keys(input{"session_token": "IQoJEXAMPLE"}), map[string]string{"data.session_token": "not_allowed"}},
		{"swapped", "aws_static", input{"access_key_id": secretKey, "secret_access_key": keyID}, map[string]string{"data.access_key_id": "invalid_format", "data.secret_access_key": "invalid_format"}},
		{"secret in both places", "aws_static", input{"access_key_id": secretKey, "secret_access_key": secretKey}, map[string]string{"data.access_key_id": "invalid_format"}},
		{"another store's secret in both places", "aws_static", input{"access_key_id": "minioEXAMPLE", "secret_access_key": "minioEXAMPLE"}, map[string]string{"data.access_key_id": "invalid_format"}},
		{"Oracle Cloud", "aws_static", input{"access_key_id": strings.Repeat("0a", 20), "secret_access_key": "EXAMPLE="}, nil},
		{"no region", "aws_static", keys(input{"region": "mars-1"}), map[string]string{"data.region": "invalid_value"}},
		{"short account", "aws_static", keys(input{"expected_account_id": "12345678901"}), map[string]string{"data.expected_account_id": "invalid_format"}},
		{"too long", "aws_static", keys(input{"secret_access_key": strings.Repeat("a", 64<<10+1)}), map[string]string{"data.secret_access_key": "too_long"}},

		{"role", "aws_assume_role", role(nil), nil},
		{"role with all", "aws_assume_role", role(input{"session_name": "ci", "duration_seconds": 43200, "region": "eu-west-1", "source_credential_config_id": configID, "expected_account_id": account}), nil},
		{"role with path", "aws_assume_role", input{"role_arn": "arn:aws-cn:iam::123456789012:role/a/b/ci"}, nil},
		{"no role", "aws_assume_role", input{}, map[string]string{"data.role_arn": "required"}},
		{"a user's ARN", "aws_assume_role", input{"role_arn": "arn:aws:iam::123456789012:user/ci"}, map[string]string{"data.role_arn": "invalid_format"}},
		{"endless ARN", "aws_assume_role", input{"role_arn": "arn:aws:iam::123456789012:role/" + strings.Repeat("a/", 1100) + "b"}, map[string]string{"data.role_arn": "too_long"}},
		{"own external id", "aws_assume_role", role(input{"external_id": "mine"}), map[string]string{"data.external_id": "not_allowed"}},
		{"too short a session", "aws_assume_role", role(input{"duration_seconds": 899}), map[string]string{"data.duration_seconds": "out_of_range"}},
		{"too long a session", "aws_assume_role", role(input{"duration_seconds": 43201}), map[string]string{"data.duration_seconds": "out_of_range"}},
		{"duration in words", "aws_assume_role", role(input{"duration_seconds": "1h"}), map[string]string{"data.duration_seconds": "wrong_type"}},
		{"duration with a fraction", "aws_assume_role", role(input{"duration_seconds": 900.5}), map[string]string{"data.duration_seconds": "wrong_type"}},
		{"session name", "aws_assume_role", role(input{"session_name": "a b"}), map[string]string{"data.session_name": "invalid_format"}},
		{"other partition", "aws_assume_role", role(input{"region": "cn-north-1"}), map[string]string{"data.region": "invalid_value"}},
		{"R2's region", "aws_assume_role", role(input{"region": "auto"}), map[string]string{"data.region": "invalid_value"}},
		{"other account", "aws_assume_role", role(input{"expected_account_id": "210987654321"}), map[string]string{"data.expected_account_id": "invalid_value"}},
		{"source by name", "aws_assume_role", role(input{"source_credential_config_id": "prod"}), map[string]string{"data.source_credential_config_id": "invalid_id"}},

		{"user's token", "cloudflare_api_token", input{"api_token": cfUser}, nil},
		{"account's token", "cloudflare_api_token", input{"api_token": cfOwned, "account_id": cfAccount}, nil},
		{"older token", "cloudflare_api_token", input{"api_token": cfLegacy}, nil},
		{"account's token alone", "cloudflare_api_token", input{"api_token": cfOwned}, map[string]string{"data.account_id": "required"}},
		{"bad account", "cloudflare_api_token", input{"api_token": cfOwned, "account_id": "me"}, map[string]string{"data.account_id": "invalid_format"}},
		{"header", "cloudflare_api_token", input{"api_token": "Bearer " + cfUser}, map[string]string{"data.api_token": "invalid_format"}},
		{"global key", "cloudflare_api_token", input{"api_token": strings.Repeat("a", 37)}, map[string]string{"data.api_token": "invalid_format"}},
		{"new global key", "cloudflare_api_token", input{"api_token": "cfk_EXAMPLE"}, map[string]string{"data.api_token": "invalid_format"}},
		{"cut off", "cloudflare_api_token", input{"api_token": cfUser[:52]}, map[string]string{"data.api_token": "invalid_format"}},
		{"no token", "cloudflare_api_token", input{"api_token": "EXAMPLE"}, map[string]string{"data.api_token": "invalid_format"}},

		{"any variables", "generic_env", input{"TF_VAR_x": "1", "_a": ""}, nil},
		{"no variables", "generic_env", input{}, map[string]string{"data": "required"}},
		{"reserved", "generic_env", input{"PATH": "/", "ld_preload": "x"}, map[string]string{"data.PATH": "env_name_forbidden", "data.ld_preload": "env_name_forbidden"}},
		{"bad name", "generic_env", input{"1A": "x", "A-B": "x"}, map[string]string{"data": "env_name_invalid"}},
		{"not a string", "generic_env", input{"A": 1, "B": nil, "C": input{}}, map[string]string{"data.A": "wrong_type", "data.B": "wrong_type", "data.C": "wrong_type"}},
		{"twice", "generic_env", input{"Token": "x", "TOKEN": "y"}, map[string]string{"data.Token": "duplicate"}},
		{"NUL in a value", "generic_env", input{"A": "a\x00"}, map[string]string{"data.A": "contains_nul"}},
		{"long value", "generic_env", input{"A": strings.Repeat("x", 64<<10+1)}, map[string]string{"data.A": "too_long"}},
	}
	for _, tt := range tests {
		t.Run(tt.typ+"/"+tt.name, func(t *testing.T) {
			values, broken := mustType(t, types, tt.typ).Check(encode(t, tt.input))
			got := map[string]string{}
			for _, e := range broken {
				got[e.Field] = e.Code
			}
			if diff := cmp.Diff(orEmpty(tt.want), got); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			if (len(broken) == 0) != (values != nil) {
				t.Errorf("values %v beside errors %v", values, broken)
			}
		})
	}
}

func TestCheckTooManyVariables(t *testing.T) {
	fields := map[string]json.RawMessage{}
	for i := range 201 {
		fields["V"+strings.Repeat("x", i)] = json.RawMessage(`""`)
	}
	_, broken := mustType(t, credtype.Registry(credtype.Config{}), "generic_env").Check(fields)
	if len(broken) != 1 || broken[0].Code != "too_many" {
		t.Errorf("errors: %v", broken)
	}
}

func TestMessagesNameTheMistake(t *testing.T) {
	types := credtype.Registry(credtype.Config{})
	for _, tt := range []struct{ typ, field, value, want string }{
		{"aws_static", "access_key_id", "AKIAshort", "^(AKIA|ASIA)[A-Z0-9]{16}$"},
		{"aws_static", "secret_access_key", keyID, "swapped"},
		{"cloudflare_api_token", "api_token", "Bearer x", "Bearer"},
		{"cloudflare_api_token", "api_token", "cfk_x", "Global API Key"},
		{"aws_assume_role", "external_id", "x", "generates"},
	} {
		_, broken := mustType(t, types, tt.typ).Check(encode(t, input{tt.field: tt.value}))
		found := false
		for _, e := range broken {
			found = found || (e.Field == "data."+tt.field && strings.Contains(e.Message, tt.want))
		}
		if !found {
			t.Errorf("%s %s: no message says %q: %v", tt.typ, tt.field, tt.want, broken)
		}
	}
}

// with returns base with more over it.
func with(base, more input) input {
	for name, value := range more {
		base[name] = value
	}
	return base
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
