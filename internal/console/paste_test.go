package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// accessKeysCSV is the file that the AWS console offers.
const accessKeysCSV = "\ufeffAccess key ID,Secret access key\r\n" + accessKeyID + "," + secretAccessKey + "\r\n"

// TestPasteMakesCredentials makes credentials of what people have at hand, and looks at what a run gets.
func TestPasteMakesCredentials(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	tests := []struct{ name, field, text, credentialType, variable, want string }{
		{"a file of the AWS console", "paste.file", accessKeysCSV, "aws_static", "AWS_SECRET_ACCESS_KEY", secretAccessKey},
		{"lines of a shell", "paste", "export AWS_ACCESS_KEY_ID=" + accessKeyID + "\r\nexport AWS_SECRET_ACCESS_KEY=" + secretAccessKey, "aws_static", "AWS_ACCESS_KEY_ID", accessKeyID},
		{"a Cloudflare token", "paste", "EXAMPLEexampleEXAMPLEexampleEXAMPLE01234\n", "cloudflare_api_token", "CLOUDFLARE_API_TOKEN", "EXAMPLEexampleEXAMPLEexampleEXAMPLE01234"},
		{"a .env file", "paste.file", "DATABASE_URL='" + variableValue + "'\nLINES='one\ntwo'\n", "generic_env", "LINES", "one\ntwo"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := &browser{t, b.base, b.client}
			p := b.upload("/console/credentials/paste", "name", test.name, test.field, test.text)
			id := strings.TrimPrefix(p.Path, "/console/credentials/")
			notice := "The secrets are stored. Verify them now"
			if test.credentialType == "generic_env" {
				notice = "The variables are stored."
			}
			if p.Status != http.StatusOK || !strings.Contains(p.Body, notice) {
				t.Fatalf("status %d at %s, want %q\n%s", p.Status, p.Path, notice, p.Body)
			}
			config := must(s.Owner.CredentialConfig(t.Context(), id))(t)
			if config.CredentialType != test.credentialType {
				t.Errorf("it is of the type %s", config.CredentialType)
			}
			if got := delivered(t, s, id, test.variable); got != test.want {
				t.Errorf("a run gets %s=%q", test.variable, got)
			}
		})
	}
}

// TestPasteFillsTheRest looks at the fields that a pasted text says nothing about: they are offered, and what is put there is stored with it.
func TestPasteFillsTheRest(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	const account = "111122223333"
	look := b.upload("/console/credentials/paste?look=1", "paste.file", accessKeysCSV)
	for _, want := range []string{`name="recognised" value="aws_static"`, `name="data.region"`, `name="data.expected_account_id"`} {
		if !strings.Contains(look.Body, want) {
			t.Errorf("%s is not offered:\n%s", want, look.Body)
		}
	}
	if strings.Contains(look.Body, `name="data.access_key_id"`) || strings.Contains(look.Body, `name="data.session_token"`) {
		t.Error("what the text says, or what this key cannot have, is asked for")
	}
	temporary := b.post("/console/credentials/paste?look=1", url.Values{"paste": {"ASIAIOSFODNN7EXAMPLE " + secretAccessKey}})
	if !strings.Contains(temporary.Body, `name="data.session_token"`) || !strings.Contains(temporary.Body, `id="e-data.session_token"`) {
		t.Errorf("the session token of a temporary key is not asked for:\n%s", temporary.Body)
	}
	again := b.upload("/console/credentials/paste?look=1", "paste.file", accessKeysCSV, "recognised", "aws_static", "data.region", "eu-west-1", "data.expected_account_id", "12")
	if !strings.Contains(again.Body, `value="eu-west-1"`) || !strings.Contains(again.Body, `id="e-data.expected_account_id"`) {
		t.Errorf("what was filled in is lost, or not judged:\n%s", again.Body)
	}
	p := b.upload("/console/credentials/paste", "name", "aws", "paste.file", accessKeysCSV, "recognised", "aws_static", "data.region", "eu-west-1", "data.expected_account_id", account)
	id := strings.TrimPrefix(p.Path, "/console/credentials/")
	config := must(s.Owner.CredentialConfig(t.Context(), id))(t)
	if config.Values["region"] != "eu-west-1" || config.Values["expected_account_id"] != account || delivered(t, s, id, "AWS_ACCESS_KEY_ID") != accessKeyID {
		t.Errorf("stored: %+v", config)
	}

	stored := b.upload("/console/credentials/"+id+"/paste?look=1", "paste.file", accessKeysCSV)
	if !strings.Contains(stored.Body, `name="data.region" value="eu-west-1"`) {
		t.Errorf("the region that is stored is not filled in:\n%s", stored.Body)
	}
	b.upload("/console/credentials/"+id+"/paste", "paste.file", accessKeysCSV, "recognised", "aws_static", "data.region", "", "data.expected_account_id", account)
	if config = must(s.Owner.CredentialConfig(t.Context(), id))(t); config.Values["region"] != "" {
		t.Errorf("a region that was taken away is still there: %v", config.Values)
	}

	other := b.upload("/console/credentials/paste", "name", "dns", "paste", "EXAMPLEexampleEXAMPLEexampleEXAMPLE01234", "recognised", "aws_static", "data.region", "eu-west-1", "data.account_id", "0123456789abcdef0123456789abcdef")
	config = must(s.Owner.CredentialConfig(t.Context(), strings.TrimPrefix(other.Path, "/console/credentials/")))(t)
	if config.CredentialType != "cloudflare_api_token" || len(config.Values) != 0 {
		t.Errorf("fields that were shown for another type were taken: %+v", config)
	}
}

// TestPasteOnceTwice sends one form twice: one credential comes of it, with one version.
func TestPasteOnceTwice(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	once := hidden.FindStringSubmatch(b.get("/console/credentials/paste").Body)
	for range 2 {
		if p := b.upload("/console/credentials/paste", once[1], once[2], "name", "aws", "paste.file", accessKeysCSV); p.Status != http.StatusOK || !strings.Contains(p.Body, "The secrets are stored.") {
			t.Fatalf("status %d at %s\n%s", p.Status, p.Path, p.Body)
		}
	}
	list := must(s.Owner.CredentialConfigs(t.Context(), sdk.ListOptions{}))(t)
	if len(list.Items) != 1 || list.Items[0].SecretVersion != 1 {
		t.Errorf("there are %d credentials: %+v", len(list.Items), list.Items)
	}
}

// TestPasteStoresSecrets replaces a key by what was pasted: what is no secret and was not pasted stays.
func TestPasteStoresSecrets(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	form := b.fill("/console/credentials/new?type=aws_static", "name", "aws")
	credential := strings.TrimSuffix(form.Path, "/secrets")
	b.upload(form.Path, "data.access_key_id", "AKIAI44QH8DHBEXAMPLE", "data.secret_access_key", secretAccessKey, "data.region", "eu-west-1")
	if p := b.get(form.Path); !strings.Contains(p.Body, credential+"/paste") {
		t.Error("the page of the secrets does not lead to the box")
	}
	p := b.upload(credential+"/paste", "paste.file", accessKeysCSV)
	if p.Path != credential || !strings.Contains(p.Body, "The secrets are stored.") {
		t.Fatalf("status %d at %s\n%s", p.Status, p.Path, p.Body)
	}
	id := strings.TrimPrefix(credential, "/console/credentials/")
	config := must(s.Owner.CredentialConfig(t.Context(), id))(t)
	if config.SecretVersion != 2 || delivered(t, s, id, "AWS_ACCESS_KEY_ID") != accessKeyID {
		t.Errorf("version %d holds another key", config.SecretVersion)
	}
	if config.Values["region"] != "eu-west-1" {
		t.Errorf("the region is gone: %v", config.Values)
	}
	wrong := b.upload(credential+"/paste", "paste", "EXAMPLEexampleEXAMPLEexampleEXAMPLE01234")
	if wrong.Status != http.StatusUnprocessableEntity || !strings.Contains(wrong.Body, "this credential is of another kind") {
		t.Errorf("another kind: status %d\n%s", wrong.Status, wrong.Body)
	}
}

// TestPasteSaysWhatItIs asks what a text is while the form is filled in: nothing is stored, and no secret comes back.
func TestPasteSaysWhatItIs(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"a key", accessKeysCSV, []string{"AWS access key", "a CSV file of the AWS console", accessKeyID, "40 characters, not shown"}},
		{"a temporary key without its token", "ASIAIOSFODNN7EXAMPLE " + secretAccessKey, []string{"AWS access key", "only works with its session token"}},
		{"a mistake", `{"type":"authorized_user"}`, []string{"Runs need the key of a service account"}},
		{"nothing", "", []string{"Nothing was pasted"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := &browser{t, b.base, b.client}
			p := b.post("/console/credentials/paste?look=1", url.Values{"paste": {test.text}})
			for _, want := range test.want {
				if !strings.Contains(p.Body, want) {
					t.Errorf("it does not say %q:\n%s", want, p.Body)
				}
			}
			if p.Status != http.StatusOK || strings.Contains(p.Body, secretAccessKey) {
				t.Errorf("status %d, or the secret came back:\n%s", p.Status, p.Body)
			}
		})
	}
	if list := must(s.Owner.CredentialConfigs(t.Context(), sdk.ListOptions{}))(t); len(list.Items) != 0 {
		t.Errorf("%d credentials were made", len(list.Items))
	}
}

// TestPasteRefused leaves nothing behind: no credential, no secret in the answer, and what is no secret still in the form.
func TestPasteRefused(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	tests := []struct{ name, text, want string }{
		{"unknown", "nothing that anybody knows", "nothing that is recognised"},
		{"half a key", "AWS_ACCESS_KEY_ID=" + accessKeyID, "secret_access_key"},
		{"a takeover", "LD_PRELOAD=/tmp/x.so\nPASSWORD=" + secretAccessKey, "LD_PRELOAD"},
		{"a Global API Key", "CLOUDFLARE_API_KEY=" + secretAccessKey, "Global API Key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := &browser{t, b.base, b.client}
			p := b.upload("/console/credentials/paste", "name", "kept in the form", "paste", test.text)
			if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, test.want) || !strings.Contains(p.Body, `value="kept in the form"`) {
				t.Errorf("status %d\n%s", p.Status, p.Body)
			}
			if strings.Contains(p.Body, secretAccessKey) {
				t.Error("the secret came back")
			}
		})
	}
	if list := must(s.Owner.CredentialConfigs(t.Context(), sdk.ListOptions{}))(t); len(list.Items) != 0 {
		t.Errorf("%d credentials were made", len(list.Items))
	}
}
