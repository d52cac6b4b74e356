package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/forgecroft/forgecroft/sdk"
)

const (
	exampleID     = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// kinds are types as the server tells them, as far as reading needs them.
func kinds() (aws, google, variables sdk.CredentialType) {
	aws = sdk.CredentialType{Name: "aws_static", Fields: []sdk.CredentialTypeField{{Name: "access_key_id"}, {Name: "secret_access_key"}, {Name: "session_token"}, {Name: "region"}}}
	google = sdk.CredentialType{Name: "gcp_service_account", Fields: []sdk.CredentialTypeField{{Name: "service_account_key", Kind: "json"}, {Name: "project"}, {Name: "delivery"}}}
	return aws, google, sdk.CredentialType{Name: "generic_env", AnyNames: true}
}

// utf16LE is a text as Windows tools write it.
func utf16LE(text string) string {
	out := "\xff\xfe"
	for _, unit := range utf16.Encode([]rune(text)) {
		out += string([]byte{byte(unit), byte(unit >> 8)})
	}
	return out
}

// TestNativeForms reads what people have at hand: the same key, in every form.
func TestNativeForms(t *testing.T) {
	aws, _, _ := kinds()
	forms := map[string]string{
		"own lines":             "access_key_id=" + exampleID + "\nsecret_access_key=" + exampleSecret + "\n",
		"own JSON":              `{"access_key_id": "` + exampleID + `", "secret_access_key": "` + exampleSecret + `"}`,
		"variables":             "AWS_ACCESS_KEY_ID=" + exampleID + "\nAWS_SECRET_ACCESS_KEY=" + exampleSecret + "\n",
		"export lines":          "export AWS_ACCESS_KEY_ID=" + exampleID + "\nexport AWS_SECRET_ACCESS_KEY='" + exampleSecret + "'\n",
		"an answer of IAM":      `{"AccessKey":{"UserName":"d","AccessKeyId":"` + exampleID + `","Status":"Active","SecretAccessKey":"` + exampleSecret + `"}}`,
		"a profile":             "[default]\naws_access_key_id = " + exampleID + "\naws_secret_access_key = " + exampleSecret + "\n",
		"accessKeys.csv":        "Access key ID,Secret access key\n" + exampleID + "," + exampleSecret + "\n",
		"with a mark":           "\ufeffAccess key ID,Secret access key\r\n" + exampleID + "," + exampleSecret + "\r\n",
		"UTF-16":                utf16LE("access_key_id=" + exampleID + "\r\nsecret_access_key=" + exampleSecret + "\r\n"),
		"CR alone":              "access_key_id=" + exampleID + "\rsecret_access_key=" + exampleSecret + "\r",
		"an answer of Vault v2": `{"request_id":"x","lease_id":"","data":{"data":{"access_key_id":"` + exampleID + `","secret_access_key":"` + exampleSecret + `"},"metadata":{"version":1}}}`,
		"an answer of Vault v1": `{"request_id":"x","lease_id":"","data":{"access_key_id":"` + exampleID + `","secret_access_key":"` + exampleSecret + `"}}`,
	}
	for name, text := range forms {
		t.Run(name, func(t *testing.T) {
			data, err := readFields([]byte(text), aws)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(data)), " "); got != "access_key_id secret_access_key" {
				t.Fatalf("got fields %s", got)
			}
			if string(data["access_key_id"]) != `"`+exampleID+`"` || string(data["secret_access_key"]) != `"`+exampleSecret+`"` {
				t.Errorf("got %s", data)
			}
		})
	}
	for name, text := range map[string]string{
		"another type": "cfut_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234501234567", "an unknown field": "access_key_id=x\nacces_key=y\n", "two keys": "[a]\naws_access_key_id=x\n[b]\naws_access_key_id=y\n",
	} {
		if data, err := readFields([]byte(text), aws); err == nil {
			t.Errorf("%s: got %s", name, data)
		} else if strings.Contains(err.Error(), "=y") || strings.Contains(err.Error(), "cfut_EXAMPLE") {
			t.Errorf("%s: the error repeats a value: %v", name, err)
		}
	}
}

// TestKeyFileAsItIs gives a key file, and what holds one, as the field that takes it.
func TestKeyFileAsItIs(t *testing.T) {
	_, google, _ := kinds()
	for _, text := range []string{`{"type": "service_account", "private_key": "a\nb"}`, "{\"type\": \"service_account\", \"private_key\": \"a\nb\"}", `{"privateKeyData": "e30="}`} {
		data, err := readFields([]byte(text), google)
		if err != nil || len(data) != 1 || string(data["service_account_key"]) != string(quote(text)) {
			t.Errorf("%s: got %s, %v", text, data, err)
		}
	}
	data, err := readFields([]byte(`{"service_account_key": {"type": "service_account"}, "delivery": "key"}`), google)
	if err != nil || len(data) != 2 {
		t.Errorf("own JSON: got %s, %v", data, err)
	}
}

// TestEnvFiles reads .env files in the one dialect that --from documents.
func TestEnvFiles(t *testing.T) {
	_, _, variables := kinds()
	tests := map[string]struct {
		text string
		want map[string]string // nil: refused
	}{
		"comments":                 {"TOKEN=abc123 # rotate in May\nPLAIN=p#1\nNONE= # none yet\nTAB=x\t# y\n", map[string]string{"TOKEN": "abc123", "PLAIN": "p#1", "NONE": "", "TAB": "x"}},
		"a mark in the middle":     {"\ufeffA=1\n\ufeffB=2\n", map[string]string{"A": "1", "B": "2"}},
		"export and a tab":         {"export\tTOKEN=abc\n", map[string]string{"TOKEN": "abc"}},
		"a quote and a semicolon":  {"export TOKEN='abc';\n", map[string]string{"TOKEN": "abc"}},
		"a semicolon of its own":   {"TOKEN=abc;\n", map[string]string{"TOKEN": "abc;"}},
		"single quotes":            {"TOKEN='$(x) `y` #z'\n", map[string]string{"TOKEN": "$(x) `y` #z"}},
		"a dollar":                 {"TOKEN=a$b\n", map[string]string{"TOKEN": "a$b"}},
		"export and a semicolon":   {"export TOKEN=abc;\n", nil},
		"backquotes":               {"TOKEN=`abc`\n", nil},
		"a command":                {"TOKEN=$(cat token)\n", nil},
		"quotes of ANSI C":         {"TOKEN=$'a\\nb'\n", nil},
		"two words before a value": {"set TOKEN=abc\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := readFields([]byte(test.text), variables)
			if test.want == nil {
				if err == nil {
					t.Errorf("got %s, want a refusal", data)
				} else if strings.Contains(err.Error(), "abc") || strings.Contains(err.Error(), "cat token") {
					t.Errorf("the refusal repeats the value: %v", err)
				}
				return
			}
			got := map[string]string{}
			for name, raw := range data {
				var text string
				if json.Unmarshal(raw, &text) != nil {
					t.Fatalf("%s is %s", name, raw)
				}
				got[name] = text
			}
			if err != nil || !maps.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
