package hostile_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/envname"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestRefusedValues names values that must not be stored, in the field where they would do harm. Everything else about the request is right.
func TestRefusedValues(t *testing.T) {
	w := mustMakeWorld(t)
	long := strings.Repeat("a", 64<<10+1)
	for _, tt := range []struct {
		name, kind, field string
		values            []any
	}{
		{"access key ids", "aws_static", "access_key_id", []any{"AKIA0123456789ABCDEFG", "AKIAIOSFODNN7EXAMPLE\r\nX: y", "AKIA", "", " ", nil, 5, "a\x00b", "AKIAIOSFODNN7EXAMPLÉ", "AKIAIOSFODNN7\u200bEXAMPLE"}},
		{"secret keys", "aws_static", "secret_access_key", []any{secret + "\r\nX: y", secret + "\n", secret + "\x00", "", accessKeyID, secret + long, []string{secret}}},
		{"session tokens", "aws_static", "session_token", []any{secret}},
		{"regions", "aws_static", "region", []any{"us-east-1.evil.example", "../", "us-east-1#", "us-east-1@", "us-east-1/x", "us-east-1:22", "US-EAST-1", "mars-1"}},
		{"accounts", "aws_static", "expected_account_id", []any{"123", "１２３４５６７８９０１２", "*", "123456789012\n"}},
		{"external ids", "aws_assume_role", "external_id", []any{"mine", ""}},
		{"roles", "aws_assume_role", "role_arn", []any{
			"arn:aws:iam::123:role/x", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/a b", "arn:aws:iam::123456789012:role/ä", "arn:aws:iam::123456789012:user/x",
			"arn:aws:sts::123456789012:assumed-role/x/y", "arn:aws:iam::123456789012:role/" + strings.Repeat("r", 2049), "arn:evil:iam::123456789012:role/x", roleARN + "\n",
		}},
		{"regions of another partition", "aws_assume_role", "region", []any{"cn-north-1", "us-gov-west-1", "us-east-1.evil.example"}},
		{"durations", "aws_assume_role", "duration_seconds", []any{1, 43201, -1, 900.5, "900", json.RawMessage("1e3"), json.RawMessage("1e999999"), json.RawMessage("9223372036854775808"), true}},
		{"session names", "aws_assume_role", "session_name", []any{"a\nb", "a", strings.Repeat("s", 65), "a b", "é-"}},
		{"sources", "aws_assume_role", "source_credential_config_id", []any{"..", "00000000-0000-0000-0000-000000000000", "x;id=y", strings.Repeat("i", 10<<10)}},
		{"tokens", "cloudflare_api_token", "api_token", []any{"a b" + secret, secret + "\r\nX: y", strings.Repeat("t", 4<<10), "0123456789abcdef0123456789abcdef01234", "Bearer " + cloudflareToken, cloudflareToken + "x"}},
		{"accounts of Cloudflare", "cloudflare_api_token", "account_id", []any{"../user", strings.Repeat("a", 31), strings.Repeat("A", 32), strings.Repeat("é", 32), "0123456789abcdef0123456789abcdef/x"}},
		{"values of variables", "generic_env", "TF_VAR_x", []any{secret + "\x00", secret + long, []string{secret}, map[string]string{"x": secret}, 1, nil}},
		{"names of variables that take over a run", "generic_env", "", anyOf(variableNames())},
		{"names that are none", "generic_env", "", anyOf([]string{"", " ", "1A", "A=B", "A B", "A-B", "A\nB", "A\x00B", "Ａ", "A\u200bB", strings.Repeat("A", 129)})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, value := range tt.values {
				field := tt.field
				if field == "" {
					field, value = value.(string), secret
				}
				w.refuse(t, tt.kind, field, value)
			}
		})
	}
	w.mustHaveAskedNobody(t)
}

// anyOf converts a list.
func anyOf(names []string) []any {
	var list []any
	for _, name := range names {
		list = append(list, name)
	}
	return list
}

// refuse stores one bad field among good ones: 422, naming it, and nothing is stored.
func (w *world) refuse(t *testing.T, kind, field string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]string{}
	for _, k := range w.types {
		if k.Name == kind {
			members = w.data(k)
		}
	}
	members[field] = string(text)
	path := "/credential-configs/" + w.configs[kind] + "/secrets"
	reply := w.MustCall(t, w.OwnerKey, "POST", path, `{"data":`+object(members)+`}`)
	var p sdk.Problem
	mustDecode(t, reply.Body, &p)
	if complaint := judge(reply); complaint != "" || reply.Status != 422 || len(p.Errors) == 0 || strings.Contains(reply.Body, secret) {
		t.Errorf("%s = %.60q: %s: got %d %.400s, want 422 that names the field and no value", field, value, complaint, reply.Status, reply.Body)
		return
	}
	if want := "data." + field; p.Errors[0].Field != want && isPlain(field) {
		t.Errorf("%s = %.60q: the refusal names %s", field, value, p.Errors[0].Field)
	}
}

// isPlain reports whether a name is shown as it is in a refusal.
func isPlain(name string) bool {
	return len(name) <= 64 && envname.Valid(name)
}

// TestRefusedTexts holds names and descriptions to what can be shown without deceiving anyone.
func TestRefusedTexts(t *testing.T) {
	w := mustMakeWorld(t)
	for _, field := range []string{"name", "description"} {
		values := []string{" ", "\t", " a", "a ", "a\r\nSet-Cookie: x=y", "a\x00b", "\u202egnp.exe", "\u2066a\u2069", "a\u200bdmin", "\ufeffa", "\x1b[2J", "a\x7f", "a\u0085b", "a\u2028b", strings.Repeat("d", 2049)}
		if field == "name" {
			values = append(values, "", strings.Repeat("n", 257), "a\nb")
		}
		for _, path := range []string{"/projects", "/workspaces", "/credential-configs", "/api-keys"} {
			if path == "/api-keys" && field == "description" {
				continue // They have none.
			}
			for _, value := range values {
				text, _ := json.Marshal(value) // A string can always be encoded.
				members := map[string]string{"name": fmt.Sprintf(`"n%d"`, w.serial.Add(1))}
				switch path {
				case "/workspaces":
					members["project_id"] = fmt.Sprintf("%q", w.ids["projects"])
				case "/credential-configs":
					members["credential_type"] = `"generic_env"`
				case "/api-keys":
					members["role"] = `"reader"`
				}
				members[field] = string(text)
				reply := w.MustCall(t, w.OwnerKey, "POST", path, object(members))
				if complaint := judge(reply); complaint != "" || reply.Status != 422 {
					t.Errorf("POST %s with %s %.40q: %s: %d %.300s, want 422", path, field, value, complaint, reply.Status, reply.Body)
				}
			}
		}
	}
}
