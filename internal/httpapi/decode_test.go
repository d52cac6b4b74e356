package httpapi_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/sdk"
)

const canary = "CANARY-EXAMPLE-4f1d"

// codesOf lists field and code of every broken rule.
func codesOf(t *testing.T, err error) []string {
	t.Helper()
	var known *forgecroft.Error
	if !errors.As(err, &known) {
		t.Fatalf("got error %v, want a *forgecroft.Error", err)
	}
	var codes []string
	for _, f := range known.Fields {
		codes = append(codes, f.Field+" "+f.Code)
	}
	return codes
}

func TestMalformedBodies(t *testing.T) {
	cases := map[string]struct{ body, code string }{
		"empty":                 {``, "malformed_json"},
		"white space":           {" \n", "malformed_json"},
		"no JSON":               {`name=` + canary, "malformed_json"},
		"repeated member":       {`{"name":"a","name":"` + canary + `"}`, "malformed_json"},
		"repeated inside":       {`{"name":{"x":1,"x":"` + canary + `"}}`, "malformed_json"},
		"repeated by escape":    {`{"name":"a","n\u0061me":"` + canary + `"}`, "malformed_json"},
		"invalid UTF-8":         {"{\"name\":\"" + canary + "\xff\"}", "malformed_json"},
		"lone surrogate":        {`{"name":"` + canary + `\ud800"}`, "malformed_json"},
		"trailing data":         {`{"name":"a"} ` + canary, "malformed_json"},
		"two values":            {`{"name":"a"}{"name":"` + canary + `"}`, "malformed_json"},
		"trailing comma":        {`{"name":"` + canary + `",}`, "malformed_json"},
		"comment":               {`{"name":"` + canary + `"} // x`, "malformed_json"},
		"byte order mark":       {"\ufeff{\"name\":\"" + canary + "\"}", "malformed_json"},
		"UTF-16":                {"\xff\xfe{\x00}\x00", "malformed_json"},
		"cut off":               {`{"name":"` + canary, "malformed_json"},
		"NaN":                   {`{"name":NaN}`, "malformed_json"},
		"control character":     {"{\"name\":\"" + canary + "\n\"}", "malformed_json"},
		"33 levels":             {strings.Repeat(`[`, 33) + strings.Repeat(`]`, 33), "too_deep"},
		"20,000 levels":         {strings.Repeat(`[`, 20000), "too_deep"},
		"1,001 values":          {`[` + strings.Repeat(`0,`, 999) + `0]`, "too_many_members"},
		"many members":          {`{"a0":0` + strings.Repeat(`,"`+strings.Repeat("a", 9)+`":0`, 1) + manyMembers(1000) + `}`, "too_many_members"},
		"repeated in the depth": {`{"data":[[[{"` + canary + `":1,"` + canary + `":2}]]]}`, "malformed_json"},
	}
	decode := httpapi.Decoder("create-project")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var in sdk.CreateProject
			err := decode([]byte(c.body), &in)
			var known *forgecroft.Error
			if !errors.As(err, &known) || known.Kind != forgecroft.KindMalformed || known.Code != c.code {
				t.Errorf("got %v, want a malformed request with code %s", err, c.code)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the message repeats input: %v", err)
			}
		})
	}
}

// manyMembers makes n different members.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"m`)
		b.WriteString(strings.Repeat("x", i))
		b.WriteString(`":0`)
	}
	return b.String()
}

func TestInvalidBodies(t *testing.T) {
	cases := map[string]struct {
		operation, body string
		want            []string
	}{
		"not an object":      {"create-project", `["` + canary + `"]`, []string{"body wrong_type"}},
		"null":               {"create-project", `null`, []string{"body wrong_type"}},
		"missing":            {"create-credential-config", `{}`, []string{"name required", "credential_type required"}},
		"unknown":            {"create-project", `{"name":"a","nmae":"` + canary + `"}`, []string{"nmae unknown_member"}},
		"unreadable name":    {"create-project", `{"name":"a","` + canary + ` \u0000":1}`, []string{"(unreadable name) unknown_member"}},
		"another case":       {"create-project", `{"Name":"` + canary + `"}`, []string{"Name unknown_member", "name required"}},
		"every rule":         {"create-project", `{"name":1,"description":null,"x":{"y":[1]}}`, []string{"name wrong_type", "description wrong_type", "x unknown_member"}},
		"empty name":         {"create-project", `{"name":""}`, []string{"name too_short"}},
		"257 characters":     {"create-project", `{"name":"` + strings.Repeat("é", 257) + `"}`, []string{"name too_long"}},
		"long description":   {"create-project", `{"name":"a","description":"` + strings.Repeat("x", 2049) + `"}`, []string{"description too_long"}},
		"null name":          {"update-project", `{"name":null}`, []string{"name wrong_type"}},
		"upper-case id":      {"create-workspace", `{"name":"a","project_id":"019A3B5E-7C1D-7000-8000-000000000001"}`, []string{"project_id invalid_id"}},
		"id of another type": {"create-workspace", `{"name":"a","project_id":["` + canary + `"]}`, []string{"project_id wrong_type"}},
		"empty id":           {"update-credential-config", `{"project_id":""}`, []string{"project_id invalid_id"}},
		"51 configs":         {"update-workspace", `{"credential_config_ids":["` + strings.Repeat(`","`, 50) + `"]}`, []string{"credential_config_ids too_many"}},
		"config as number":   {"update-workspace", `{"credential_config_ids":["a",7]}`, []string{"credential_config_ids[1] wrong_type"}},
		"null list":          {"update-workspace", `{"credential_config_ids":null}`, []string{"credential_config_ids wrong_type"}},
		"external ID":        {"create-credential-config", `{"name":"a","credential_type":"aws_assume_role","external_id":"` + canary + `"}`, []string{"external_id unknown_member"}},
		"data as list":       {"store-secrets", `{"data":["` + canary + `"]}`, []string{"data wrong_type"}},
		"run id":             {"deliver-environment", `{"run_id":"a\nb"}`, []string{"run_id invalid_format"}},
		"long run id":        {"deliver-environment", `{"run_id":"` + strings.Repeat("a", 129) + `"}`, []string{"run_id too_long"}},
		"time":               {"create-api-key", `{"name":"a","role":"reader","expires_at":"tomorrow"}`, []string{"expires_at invalid_format"}},
		"time as number":     {"create-api-key", `{"name":"a","role":"reader","expires_at":1e3}`, []string{"expires_at wrong_type"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var in any
			err := httpapi.Decoder(c.operation)([]byte(c.body), &in)
			if !errors.Is(err, forgecroft.KindInvalid) {
				t.Fatalf("got %v, want invalid input", err)
			}
			if diff := cmp.Diff(c.want, codesOf(t, err)); diff != "" {
				t.Errorf("broken rules (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the message repeats input: %v", err)
			}
		})
	}
}

func TestUpdateTellsAbsentFromNull(t *testing.T) {
	cases := map[string]sdk.UpdateCredentialConfig{
		`{}`:                  {},
		`{"project_id":null}`: {ProjectID: sdk.Null[string]()},
		`{"project_id":"019a3b5e-7c1d-7000-8000-000000000001"}`: {ProjectID: sdk.Some("019a3b5e-7c1d-7000-8000-000000000001")},
	}
	for body, want := range cases {
		var got sdk.UpdateCredentialConfig
		if err := httpapi.Decoder("update-credential-config")([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// FuzzDecode checks that whatever is accepted means the same to encoding/json, which every other program reads JSON with: two readings of one text are how
// checks are got around.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","project_id":"019a3b5e-7c1d-7000-8000-000000000001","credential_config_ids":["x"]}`,
		`{"name":"a","name":"b"}`, `{"Name":"a"}`, `{"name":"\ud800"}`, `{"name":"a"}x`, "\xff", `[[[[`, `{"name":null}`, `{"description":"` + "\u2028" + `"}`,
	} {
		f.Add([]byte(seed))
	}
	decode := httpapi.Decoder("create-workspace")
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, plain sdk.CreateWorkspace
		err := decode(text, &got)
		if err != nil {
			if !errors.Is(err, forgecroft.KindMalformed) && !errors.Is(err, forgecroft.KindInvalid) {
				t.Fatalf("got %v, want a malformed or an invalid request", err)
			}
			return
		}
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		if diff := cmp.Diff(plain, got); diff != "" {
			t.Fatalf("encoding/json reads it differently (-encoding/json +ours):\n%s", diff)
		}
	})
}
