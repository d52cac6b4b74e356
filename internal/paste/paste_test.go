package paste_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/paste"
)

const (
	keyID      = "AKIAIOSFODNN7EXAMPLE"
	tempID     = "ASIAIOSFODNN7EXAMPLE"
	secret     = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	token      = "abcdEXAMPLEabcdEXAMPLEabcdEXAMPLEabcd_-1"
	account    = "0123456789abcdef0123456789abcdef"
	googleKey  = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN PRIVATE KEY-----\\nEXAMPLE\\n-----END PRIVATE KEY-----\\n\"\n}"
	googleLine = `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nEXAMPLE\n-----END PRIVATE KEY-----\n"}`
)

// values makes the values of a text from pairs.
func values(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func TestRead(t *testing.T) {
	awsKey := values("access_key_id", keyID, "secret_access_key", secret)
	awsRegion := values("access_key_id", keyID, "secret_access_key", secret, "region", "eu-west-1")
	temporary := values("access_key_id", tempID, "secret_access_key", secret, "session_token", "EXAMPLE==")
	google := values("service_account_key", googleKey)
	cloudflare := values("api_token", token)
	tests := []struct {
		name, text, want string
		values           map[string]string
	}{
		{"accessKeys.csv", "\ufeffAccess key ID,Secret access key\r\n" + keyID + "," + secret + "\r\n", paste.AWSStatic, awsKey},
		{"older accessKeys.csv", "User Name,Access Key Id,Secret Access Key\n\"ci\"," + keyID + "," + secret, paste.AWSStatic, awsKey},
		{"new_user_credentials.csv", "User name,Password,Access key ID,Secret access key,Console login link\nci,," + keyID + "," + secret + ",https://example.com", paste.AWSStatic, awsKey},
		{"a profile", "[default]\naws_access_key_id = " + keyID + "\naws_secret_access_key=" + secret + "\nregion = eu-west-1\noutput = json\n", paste.AWSStatic, awsRegion},
		{"a profile after a comment, beside one without keys", "# mine\n[profile sso]\nsso_session = corp\n\n[ci]\naws_access_key_id = " + keyID + "\naws_secret_access_key = " + secret, paste.AWSStatic, awsKey},
		{"a profile's lines", "aws_access_key_id=" + tempID + "\naws_secret_access_key=" + secret + "\naws_session_token=EXAMPLE==", paste.AWSStatic, temporary},
		{"export lines", "export AWS_ACCESS_KEY_ID=" + keyID + "\nexport AWS_SECRET_ACCESS_KEY='" + secret + "'; \nexport AWS_DEFAULT_REGION=\"eu-west-1\" # home", paste.AWSStatic, awsRegion},
		{"a .env file", "# CI\nAWS_ACCESS_KEY_ID=" + keyID + "\n\nAWS_SECRET_ACCESS_KEY=" + secret + "\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\n", paste.AWSStatic, awsRegion},
		{"PowerShell", "$Env:AWS_ACCESS_KEY_ID=\"" + tempID + "\"\r\n$env:AWS_SECRET_ACCESS_KEY = \"" + secret + "\"\r\n$Env:AWS_SESSION_TOKEN=\"EXAMPLE==\"\r\n", paste.AWSStatic, temporary},
		{"cmd.exe", "SET AWS_ACCESS_KEY_ID=" + keyID + "\r\nSET AWS_SECRET_ACCESS_KEY=" + secret + "\r\n", paste.AWSStatic, awsKey},
		{"setx", "setx AWS_ACCESS_KEY_ID " + keyID + "\nsetx AWS_SECRET_ACCESS_KEY " + secret, paste.AWSStatic, awsKey},
		{"fish", "set -gx AWS_ACCESS_KEY_ID " + keyID + "\nset -gx AWS_SECRET_ACCESS_KEY \"" + secret + "\"", paste.AWSStatic, awsKey},
		{"aws iam create-access-key", `{"AccessKey":{"UserName":"ci","AccessKeyId":"` + keyID + `","Status":"Active","SecretAccessKey":"` + secret + `"}}`, paste.AWSStatic, awsKey},
		{"aws sts assume-role", `{"Credentials":{"AccessKeyId":"` + tempID + `","SecretAccessKey":"` + secret + `","SessionToken":"EXAMPLE=="},"AssumedRoleUser":{}}`, paste.AWSStatic, temporary},
		{"a credential process", `{"Version":1,"AccessKeyId":"` + keyID + `","SecretAccessKey":"` + secret + `"}`, paste.AWSStatic, awsKey},
		{"copied from the page", "Access key\n" + keyID + "\nSecret access key\n" + secret + "\n", paste.AWSStatic, awsKey},
		{"id and secret in a line", keyID + "," + secret, paste.AWSStatic, awsKey},
		{"an AWS key without its secret in lines", "AWS_ACCESS_KEY_ID=" + keyID, paste.AWSStatic, values("access_key_id", keyID)},

		{"a Google key file", "\n" + googleKey + "\n", paste.GCPServiceAccount, google},
		{"a Google key with broken line ends", strings.ReplaceAll(googleLine, `\n`, "\n"), paste.GCPServiceAccount, values("service_account_key", strings.ReplaceAll(googleLine, `\n`, "\n"))},
		{"a Google key in base64", base64.StdEncoding.EncodeToString([]byte(googleKey)), paste.GCPServiceAccount, google},
		{"a Google key in a variable", "GOOGLE_CREDENTIALS='" + googleLine + "'\nGOOGLE_PROJECT=shop-123456", paste.GCPServiceAccount, values("service_account_key", googleLine, "project", "shop-123456")},
		{"a Google key in a quoted .env value", `GOOGLE_CREDENTIALS="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(googleLine) + `"`, paste.GCPServiceAccount, values("service_account_key", googleLine)},

		{"a Cloudflare token", token + "\n", paste.CloudflareToken, cloudflare},
		{"a Cloudflare token of today", "cfut_EXAMPLEexampleEXAMPLEexampleEXAMPLE0123400000000", paste.CloudflareToken, values("api_token", "cfut_EXAMPLEexampleEXAMPLEexampleEXAMPLE0123400000000")},
		{"the command that Cloudflare shows", "curl \"https://api.cloudflare.com/client/v4/accounts/" + account + "/tokens/verify\" \\\n  -H \"Authorization: Bearer " + token + "\"", paste.CloudflareToken, values("api_token", token, "account_id", account)},
		{"a header", "Authorization: Bearer " + token, paste.CloudflareToken, cloudflare},
		{"Cloudflare's variables", "export CLOUDFLARE_API_TOKEN=" + token + "\nexport CLOUDFLARE_ACCOUNT_ID=" + account, paste.CloudflareToken, values("api_token", token, "account_id", account)},
		{"Cloudflare's answer", `{"success":true,"result":{"id":"x","value":"` + token + `"}}`, paste.CloudflareToken, cloudflare},

		{"other variables", "DATABASE_URL=postgres://app:EXAMPLE@db/x?a=b#c\nEMPTY=\nTF_VAR_region='eu'", paste.GenericEnv, values("DATABASE_URL", "postgres://app:EXAMPLE@db/x?a=b#c", "EMPTY", "", "TF_VAR_region", "eu")},
		{"a value of several lines", "export KEY='-----BEGIN EXAMPLE-----\na#b\n-----END EXAMPLE-----'\nNEXT=1", paste.GenericEnv, values("KEY", "-----BEGIN EXAMPLE-----\na#b\n-----END EXAMPLE-----", "NEXT", "1")},
		{"escapes of a shell", `export A="say \"a\\b\" \$HOME \n"`, paste.GenericEnv, values("A", `say "a\b" $HOME \n`)},
		{"escapes of a .env file", `A="one\ntwo"`, paste.GenericEnv, values("A", "one\ntwo")},
		{"escapes of PowerShell", "$env:A = \"C:\\new `\"x`\"\"", paste.GenericEnv, values("A", `C:\new "x"`)},
		{"single quotes keep everything", `A='$HOME \n "x"'`, paste.GenericEnv, values("A", `$HOME \n "x"`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := paste.Read(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if got.Type != test.want || !maps.Equal(got.Values, test.values) {
				t.Errorf("it is taken for %s with %q; want %s with %q", got.Type, got.Values, test.want, test.values)
			}
			if got.Form == "" {
				t.Error("it does not say what it is")
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "\ufeff \r\n", "Nothing was pasted"},
		{"prose", "please find the key attached", "nothing that is recognised"},
		{"a CSV file with a password", "User name,Password,Console login link\nci,EXAMPLE-password,https://example.com", "password for people"},
		{"a CSV file without a key", "Access key ID,Secret access key\n", "headings of a CSV file only"},
		{"a CSV file of several", "Access key ID,Secret access key\n" + keyID + "," + secret + "\n" + keyID + "," + secret, "holds 2 keys"},
		{"a CSV file that is cut off", "Access key ID,Secret access key\n\"" + keyID, "a quote may be missing"},
		{"several profiles", "[a]\naws_access_key_id=" + keyID + "\naws_secret_access_key=" + secret + "\n[b]\naws_access_key_id=" + keyID + "\naws_secret_access_key=" + secret, `2 profiles: "a", "b"`},
		{"a profile with a role", "[profile prod]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = ci", "assumes a role"},
		{"a profile of IAM Identity Center", "[profile prod]\nsso_session = corp", "IAM Identity Center"},
		{"a profile with a program", "[profile prod]\ncredential_process = /bin/x", "from a program"},
		{"an id alone", keyID, "without its secret"},
		{"a secret alone", secret, "without its id"},
		{"two ids", keyID + " " + tempID, "several AWS access keys"},
		{"a person's Google credentials", `{"type":"authorized_user","refresh_token":"EXAMPLE"}`, "person's Google credentials"},
		{"workload identity federation", `{"type":"external_account"}`, "holds no key"},
		{"other JSON", `{"a":1}`, "neither a service account key"},
		{"JSON that is cut off", `{"a":`, "cut off"},
		{"a private key", "-----BEGIN PRIVATE KEY-----\nEXAMPLE\n-----END PRIVATE KEY-----", "private key alone"},
		{"the path of a Google key", "export GOOGLE_APPLICATION_CREDENTIALS=/home/me/key.json", "names a file"},
		{"a Global API Key", strings.Repeat("0123456789", 4)[:37], "Global API Key"},
		{"a Global API Key of today", "cfk_EXAMPLE", "Global API Key"},
		{"a Global API Key in a variable", "CLOUDFLARE_API_KEY=EXAMPLE\nCLOUDFLARE_EMAIL=me@example.com", "Global API Key"},
		{"two providers", "AWS_ACCESS_KEY_ID=" + keyID + "\nAWS_SECRET_ACCESS_KEY=" + secret + "\nCLOUDFLARE_API_TOKEN=" + token, "of AWS and of Cloudflare"},
		{"a stranger among an AWS key", "AWS_ACCESS_KEY_ID=" + keyID + "\nAWS_SECRET_ACCESS_KEY=" + secret + "\nDATABASE_URL=EXAMPLE", "DATABASE_URL does not belong"},
		{"two regions", "AWS_ACCESS_KEY_ID=" + keyID + "\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=us-east-1", "different things"},
		{"a variable twice", "A=EXAMPLE1\nA=EXAMPLE2", "A is set twice"},
		{"a quote that never ends", "A=\"EXAMPLE\nB=2", "never ends"},
		{"something after a quote", "A='EXAMPLE' B='x'", "one variable in each line"},
		{"names without values", "AWS_ACCESS_KEY_ID=\nAWS_SECRET_ACCESS_KEY=\n", "without their values"},
		{"a command", "export A=$(cat secret.txt)", "Paste the value itself"},
		{"a reference", "export A=\"${OTHER}\"", "Paste the value itself"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := paste.Read(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %q, %v; want an error with %q", got.Values, err, test.want)
			}
			for _, value := range []string{keyID, tempID, secret, token, "EXAMPLE"} {
				if strings.Contains(err.Error(), value) {
					t.Errorf("the error repeats what was pasted: %v", err)
				}
			}
		})
	}
}

// FuzzRead looks for texts that are a panic, an error of another kind, or a credential without a value.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{googleKey, "A='x'\nB=\"y\\\"\"", "Access key ID,Secret access key\n" + keyID + "," + secret, "[a]\naws_access_key_id=x", token, "$env:A=\"`\"\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := paste.Read(text)
		var known paste.Error
		switch {
		case err != nil && !errors.As(err, &known):
			t.Errorf("an error that is none of ours: %v", err)
		case err == nil && (found.Type == "" || found.Form == "" || len(found.Values) == 0):
			t.Errorf("%+v was found", found)
		}
	})
}
