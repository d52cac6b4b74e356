package credtype_test

import (
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/credtype"
)

// TestAWSSecretMistakes stores what cannot be a secret of AWS's: each is refused, with the mistake named and nothing repeated.
func TestAWSSecretMistakes(t *testing.T) {
	const temporary = "ASIAQNZGKIQY5EXAMPLE"
	tests := map[string]struct {
		id, secret, token string
		field, says       string
	}{
		"asterisks":             {keyID, "****************", "", "secret_access_key", "placeholder"},
		"bullets":               {keyID, strings.Repeat("•", 40), "", "secret_access_key", "placeholder"},
		"percent-encoded":       {keyID, "wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYEXAMPLEKEY", "", "secret_access_key", "percent-encoded"},
		"a shell's reference":   {keyID, "$AWS_SECRET_ACCESS_KEY", "", "secret_access_key", "reference"},
		"a template":            {keyID, "{{secret}}", "", "secret_access_key", "reference"},
		"a vault's address":     {keyID, "op://vault/aws/secret", "", "secret_access_key", "reference"},
		"a place":               {keyID, "<secret>", "", "secret_access_key", "reference"},
		"smart quotes":          {keyID, "“" + secretKey + "”", "", "secret_access_key", "quotation marks"},
		"low quotes":            {keyID, "„" + secretKey + "“", "", "secret_access_key", "quotation marks"},
		"a comma":               {keyID, secretKey + ",", "", "secret_access_key", "comma"},
		"a semicolon":           {keyID, secretKey + ";", "", "secret_access_key", "semicolon"},
		"a zero-width space":    {keyID, secretKey + "\u200b", "", "secret_access_key", "cannot be seen"},
		"a word joiner":         {keyID, "\u2060" + secretKey, "", "secret_access_key", "cannot be seen"},
		"a no-break space":      {keyID, secretKey + "\u00a0", "", "secret_access_key", "white space"},
		"an ideographic space":  {keyID, secretKey + "\u3000", "", "secret_access_key", "white space"},
		"another alphabet":      {keyID, strings.Replace(secretKey, "E", "Е", 1), "", "secret_access_key", "never have"},
		"a token cut short":     {temporary, secretKey, "FwoGZXIvYXdz…EXAMPLE", "session_token", "ellipsis"},
		"a token with dots":     {temporary, secretKey, "FwoGZXIvYXdz...", "session_token", "ellipsis"},
		"an id in smart quotes": {"“" + keyID + "”", secretKey, "", "access_key_id", "quotation marks"},
	}
	check := mustType(t, credtype.Registry(credtype.Config{}), "aws_static").Check
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fields := input{"access_key_id": test.id, "secret_access_key": test.secret}
			if test.token != "" {
				fields["session_token"] = test.token
			}
			_, broken := check(encode(t, fields))
			if len(broken) != 1 || broken[0].Field != "data."+test.field || !strings.Contains(broken[0].Message, test.says) {
				t.Fatalf("got %+v, want one about %s that says %q", broken, test.field, test.says)
			}
			for _, value := range []string{test.id, test.secret, test.token} {
				if value != "" && strings.Contains(broken[0].Message, value) {
					t.Errorf("the message repeats a value: %s", broken[0].Message)
				}
			}
		})
	}
}

// TestAWSSecretsOfOthers stores secrets of other stores, whose forms are their own.
func TestAWSSecretsOfOthers(t *testing.T) {
	check := mustType(t, credtype.Registry(credtype.Config{}), "aws_static").Check
	for _, fields := range []input{
		{"access_key_id": "minioadmin", "secret_access_key": "minio-admin_EXAMPLE!"},
		{"access_key_id": "0123456789abcdef0123456789abcdef", "secret_access_key": strings.Repeat("0a", 32)},
		{"access_key_id": "DO00EXAMPLE0123456789", "secret_access_key": "a+b/c=d-e_fEXAMPLE"},
	} {
		if _, broken := check(encode(t, fields)); len(broken) > 0 {
			t.Errorf("%v: %+v", fields["access_key_id"], broken)
		}
	}
}

// TestAWSSecretWarnings stores what may be a mistake.
func TestAWSSecretWarnings(t *testing.T) {
	ct := mustType(t, credtype.Registry(credtype.Config{}), "aws_static")
	for secret, want := range map[string]string{secretKey: "", secretKey[:39]: "has 39 characters", secretKey + "A": "has 41 characters"} {
		values, broken := ct.Check(encode(t, input{"access_key_id": keyID, "secret_access_key": secret}))
		if len(broken) > 0 {
			t.Fatal(broken)
		}
		got := strings.Join(ct.Warn(values), "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) || strings.Contains(got, secret[:10]) {
			t.Errorf("%d characters: warned %q, want %q", len(secret), got, want)
		}
	}
	values, _ := ct.Check(encode(t, input{"access_key_id": "minioadmin", "secret_access_key": "short"}))
	if got := ct.Warn(values); len(got) > 0 {
		t.Errorf("another store's secret: warned %q", got)
	}
}

// TestSecretsAsNames puts a secret in the place of a name, for every type: no message repeats it.
func TestSecretsAsNames(t *testing.T) {
	for _, ct := range credtype.Registry(credtype.Config{}) {
		for _, name := range []string{secretKey, "wJalrXUtnFEMI-K7MDENG", "1EXAMPLEsecret", "EXAMPLE secret"} {
			_, broken := ct.Check(encode(t, input{name: "x"}))
			if len(broken) == 0 {
				t.Errorf("%s: %q is taken for a field", ct.Name, name)
			}
			for _, b := range broken {
				if strings.Contains(b.Field, name) || strings.Contains(b.Message, name) {
					t.Errorf("%s: %+v repeats the name", ct.Name, b)
				}
			}
		}
	}
}
