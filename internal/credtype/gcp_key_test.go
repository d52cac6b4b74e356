package credtype_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/forgecroft/forgecroft/internal/credtype"
	fakegcp "github.com/forgecroft/forgecroft/internal/fake/gcp"
)

// sampleKey is one key file for all tests that only read it.
var sampleKey = sync.OnceValue(func() string {
	key, err := fakegcp.New(start).CreateAccount("ci", "demo-project")
	if err != nil {
		panic(err)
	}
	return string(key)
})

// edited is the sample with members changed; a nil value removes one.
func edited(t testing.TB, changes map[string]any) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(sampleKey()), &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// member is a member of the sample.
func member(t testing.TB, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(sampleKey()), &members); err != nil {
		t.Fatal(err)
	}
	return members[name].(string)
}

// inUTF16 is text as little or big endian, with a byte order mark or without.
func inUTF16(text string, big, mark bool) string {
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	var out []byte
	for _, u := range units {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

// store checks a key file alone, and returns what is stored and the code of the only error.
func store(t testing.TB, key any) (stored, code string) {
	t.Helper()
	ct, _ := credtype.Registry(credtype.Config{}).Lookup("gcp_service_account")
	values, broken := ct.Check(encode(t, input{"service_account_key": key}))
	if len(broken) > 1 {
		t.Fatalf("errors: %v", broken)
	}
	if len(broken) == 1 {
		return "", broken[0].Code
	}
	return values["service_account_key"].Reveal(), ""
}

func TestServiceAccountKeyIsRepaired(t *testing.T) {
	base, code := store(t, sampleKey())
	if code != "" || strings.ContainsAny(base, "\n\r") {
		t.Fatalf("code %q, or line breaks in what is stored", code)
	}
	key := sampleKey()
	pkcs8, _ := pem.Decode([]byte(member(t, "private_key")))
	packed := base64.StdEncoding.EncodeToString([]byte(key))
	for name, pasted := range map[string]any{
		"as an object":              json.RawMessage(key),
		"compact already":           base,
		"byte order mark":           "\ufeff" + key,
		"UTF-16 of Windows":         base64.StdEncoding.EncodeToString([]byte(inUTF16(key, false, true))),
		"UTF-16 big endian":         base64.StdEncoding.EncodeToString([]byte(inUTF16(key, true, true))),
		"UTF-16 without a mark":     inUTF16(key, false, false),
		"UTF-16 big, without":       inUTF16(key, true, false),
		"single quotes":             "'" + key + "'",
		"double quotes":             `"` + key + `"`,
		"JSON string of JSON":       quoted(t, key),
		"base64":                    packed,
		"base64 in lines":           packed[:76] + "\n" + packed[76:] + "\n",
		"base64 without padding":    strings.TrimRight(packed, "="),
		"base64 for URLs":           base64.URLEncoding.EncodeToString([]byte(key)),
		"quoted base64":             `"` + packed + `"`,
		"white space":               "\n  " + key + "\n\n",
		"escaped line breaks":       edited(t, map[string]any{"private_key": strings.ReplaceAll(member(t, "private_key"), "\n", `\n`)}),
		"line breaks of Windows":    edited(t, map[string]any{"private_key": strings.ReplaceAll(member(t, "private_key"), "\n", "\r\n")}),
		"real line breaks in JSON":  strings.ReplaceAll(edited(t, nil), `\n`, "\n"),
		"those of Windows in JSON":  strings.ReplaceAll(edited(t, nil), `\n`, "\r\n"),
		"an answer of Google's API": `{"name":"x","privateKeyData":"` + base64.StdEncoding.EncodeToString([]byte(sampleKey())) + `"}`,
		"an answer of Vault":        `{"private_key_data":"` + base64.StdEncoding.EncodeToString([]byte(sampleKey())) + `"}`,
		"without a token_uri":       edited(t, map[string]any{"token_uri": nil}),
		"unknown members":           edited(t, map[string]any{"note": "x", "Token_URI": "https://evil.example/"}),
		"no line break at the end":  edited(t, map[string]any{"private_key": strings.TrimSpace(member(t, "private_key"))}),
		"the same block re-encoded": edited(t, map[string]any{"private_key": string(pem.EncodeToMemory(pkcs8))}),
	} {
		t.Run(name, func(t *testing.T) {
			if got, code := store(t, pasted); got != base {
				t.Errorf("code %q; stored %d bytes, want the %d of the plain file", code, len(got), len(base))
			}
		})
	}
}

func TestServiceAccountKeyIsRefused(t *testing.T) {
	pemOf := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curveDER, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	private := member(t, "private_key")
	edit := func(name string, value any) string { return edited(t, map[string]any{name: value}) }
	tests := []struct {
		name string
		key  any
		code string
	}{
		{"number", 5, "wrong_type"},
		{"list", []string{"x"}, "wrong_type"},
		{"not JSON", "hello", "invalid_json"},
		{"cut off", sampleKey()[:200], "invalid_json"},
		{"member twice", `{"type":"service_account",` + strings.TrimPrefix(edited(t, nil), "{"), "invalid_json"},
		{"two files", sampleKey() + sampleKey(), "invalid_json"},
		{"too large", edit("client_id", strings.Repeat("1", 64<<10)), "too_long"},
		{"wrapped too often", nested(t, sampleKey(), 7), "invalid_json"},
		{"a person's login", `{"type":"authorized_user"}`, "wrong_key_type"},
		{"federation", `{"type":"external_account","credential_source":{"executable":{"command":"id"}}}`, "wrong_key_type"},
		{"OAuth client", `{"installed":{}}`, "wrong_key_type"},
		{"no type", `{}`, "wrong_key_type"},
		{"token_uri elsewhere", edit("token_uri", "https://oauth2.googleapis.com.evil.example/token"), "token_uri_refused"},
		{"token_uri over http", edit("token_uri", "http://oauth2.googleapis.com/token"), "token_uri_refused"},
		{"token_uri is no string", edit("token_uri", 1), "invalid_format"},
		{"other universe", edit("universe_domain", "evil.example"), "universe_refused"},
		{"no e-mail", edit("client_email", nil), "invalid_format"},
		{"a person's e-mail", edit("client_email", "me@example.com"), "invalid_format"},
		{"no key id", edit("private_key_id", nil), "invalid_format"},
		{"short key id", edit("private_key_id", "abc"), "invalid_format"},
		{"odd project", edit("project_id", "A B"), "invalid_format"},
		{"no private key", edit("private_key", nil), "invalid_private_key"},
		{"not PEM", edit("private_key", "EXAMPLE"), "invalid_private_key"},
		{"two blocks", edit("private_key", private+private), "invalid_private_key"},
		{"text before", edit("private_key", "x\n"+private), "invalid_private_key"},
		{"cut off inside", edit("private_key", private[:300]+private[len(private)-60:]), "invalid_private_key"},
		{"elliptic curve", edit("private_key", pemOf("PRIVATE KEY", curveDER)), "invalid_private_key"},
		{"weak", edit("private_key", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small))), "invalid_private_key"},
		{"huge", edit("private_key", pemOf("PRIVATE KEY", make([]byte, 20<<10))), "invalid_private_key"},
		{"encrypted", edit("private_key", pemOf("ENCRYPTED PRIVATE KEY", curveDER)), "invalid_private_key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, code := store(t, tt.key); code != tt.code {
				t.Errorf("code %q, want %q", code, tt.code)
			}
		})
	}
}

func TestServiceAccountFields(t *testing.T) {
	ct := mustType(t, credtype.Registry(credtype.Config{}), "gcp_service_account")
	values, broken := ct.Check(encode(t, input{"service_account_key": sampleKey()}))
	if len(broken) > 0 || values["project"].Reveal() != "demo-project" || values["delivery"].Reveal() != "access_token" {
		t.Errorf("errors %v, project %q, delivery %q", broken, values["project"].Reveal(), values["delivery"].Reveal())
	}
	_, broken = ct.Check(encode(t, input{"service_account_key": sampleKey(), "delivery": "both", "project": "X"}))
	if len(broken) != 2 || broken[0].Code != "invalid_format" || broken[1].Code != "invalid_value" {
		t.Errorf("errors %v", broken)
	}
}

func quoted(t testing.TB, text string) string {
	t.Helper()
	out, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// nested quotes text n times.
func nested(t testing.TB, text string, n int) string {
	for range n {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return text
}
