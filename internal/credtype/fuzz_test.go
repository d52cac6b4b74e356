package credtype_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// canary stands for a secret that no message may repeat.
const canary = "canaryEXAMPLE0d9f"

// FuzzCheck holds every type's Check to: no panic, errors or values but never both, no message that repeats a value, and what
// was stored is accepted again unchanged.
func FuzzCheck(f *testing.F) {
	f.Add("access_key_id", []byte(`"AKIAIOSFODNN7EXAMPLE"`), "secret_access_key", []byte(`"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"`))
	f.Add("role_arn", []byte(`"arn:aws:iam::123456789012:role/ci"`), "duration_seconds", []byte(`900`))
	f.Add("role_arn", []byte(`"CANARY"`), "external_id", []byte(`"CANARY"`))
	f.Add("api_token", []byte(`"Bearer CANARY"`), "account_id", []byte(`"CANARY"`))
	f.Add("service_account_key", []byte(`{"type":"CANARY","token_uri":"CANARY"}`), "delivery", []byte(`"CANARY"`))
	f.Add("service_account_key", []byte(`"{\"type\":\"service_account\",\"token_uri\":\"CANARY\"}"`), "project", []byte(`"CANARY"`))
	f.Add("TF_VAR_a", []byte(`"CANARY"`), "tf_var_A", []byte(`null`))
	f.Add("1", []byte(`{"a":[CANARY`), "PATH", []byte(``))
	types := credtype.Registry(credtype.Config{})
	f.Fuzz(func(t *testing.T, name1 string, raw1 []byte, name2 string, raw2 []byte) {
		raw1 = []byte(strings.ReplaceAll(string(raw1), "CANARY", canary))
		raw2 = []byte(strings.ReplaceAll(string(raw2), "CANARY", canary))
		for _, ct := range types {
			values, broken := ct.Check(map[string]json.RawMessage{name1: raw1, name2: raw2})
			if (len(broken) > 0) == (values != nil) {
				t.Fatalf("%s: values beside errors, or neither: %v", ct.Name, broken)
			}
			checkErrors(t, ct, broken)
			if values != nil {
				checkStable(t, ct, values)
			}
		}
	})
}

// checkErrors holds errors to their form, and to silence about values.
func checkErrors(t *testing.T, ct forgecroft.CredentialType, broken []forgecroft.FieldError) {
	t.Helper()
	for _, e := range broken {
		if e.Code == "" || e.Message == "" || !strings.HasPrefix(e.Field, "data") || len(e.Field) > 100 {
			t.Errorf("%s: error %+v", ct.Name, e)
		}
		if strings.Contains(e.Message, canary) {
			t.Errorf("%s: the message of %s repeats a value", ct.Name, e.Field)
		}
	}
}

// checkStable stores again what was stored.
func checkStable(t *testing.T, ct forgecroft.CredentialType, values forgecroft.Values) {
	t.Helper()
	again := map[string]json.RawMessage{}
	for name, value := range values {
		fragment, err := json.Marshal(value.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := ct.Field(name); d.Kind == forgecroft.FieldInteger {
			fragment = []byte(value.Reveal())
		}
		again[name] = fragment
	}
	second, broken := ct.Check(again)
	if len(broken) > 0 || second.Encode().Reveal() != values.Encode().Reveal() {
		t.Errorf("%s: what was stored is not accepted again as it is: %v", ct.Name, broken)
	}
}

// FuzzServiceAccountKey changes a good key file at one place. Whatever is still accepted is on one line, calls nobody but Google, and is stable.
func FuzzServiceAccountKey(f *testing.F) {
	f.Add("", 0, 0)
	f.Add("\ufeff", 0, 0)
	f.Add("https://evil.example/token", 900, 40)
	f.Add(`"Token_URI":"https://evil.example/",`, 1, 0)
	f.Add("\\n", 100, 1)
	f.Add("\x00", 3, 0)
	ct, _ := credtype.Registry(credtype.Config{}).Lookup("gcp_service_account")
	f.Fuzz(func(t *testing.T, insert string, at, drop int) {
		base := sampleKey()
		at = min(max(at, 0), len(base))
		drop = min(max(drop, 0), len(base)-at)
		values, broken := ct.Check(encode(t, input{"service_account_key": base[:at] + insert + base[at+drop:]}))
		checkErrors(t, ct, broken)
		if values == nil {
			return
		}
		checkStable(t, ct, values)
		text := values["service_account_key"].Reveal()
		var got map[string]string
		if err := json.Unmarshal([]byte(text), &got); err != nil || strings.ContainsAny(text, "\r\n") {
			t.Fatalf("stored is not one line of JSON: %v", err)
		}
		if got["type"] != "service_account" || !strings.Contains("https://oauth2.googleapis.com/token https://accounts.google.com/o/oauth2/token https://www.googleapis.com/oauth2/v4/token", got["token_uri"]) {
			t.Errorf("stored type %q, token_uri %q", got["type"], got["token_uri"])
		}
		for name := range got {
			if diff := cmp.Diff(strings.ToLower(name), name); diff != "" {
				t.Errorf("stored a member %q", name)
			}
		}
	})
}
