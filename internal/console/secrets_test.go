package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
)

// TestReplacingVariables opens the form of variables that are stored: their names stand there and their values do not, so that a name without a value is no empty value.
func TestReplacingVariables(t *testing.T) {
	s := servertest.MustStart(t, nil)
	c := mustCredential(t, s, "settings", "generic_env", "TF_VAR_a", "EXAMPLE-1", "TF_VAR_b", "EXAMPLE-2")
	b := mustSignIn(t, s, s.OwnerKey)
	form := "/console/credentials/" + c.ID + "/secrets"
	if p := b.get(form); strings.Count(p.Body, `placeholder="NAME"`) != 2+4 {
		t.Errorf("the form has no rows for more variables:\n%s", p.Body)
	}
	p := b.upload(form, "name0", "TF_VAR_a", "value0", "", "name1", "TF_VAR_b", "value1", "EXAMPLE-3")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "<strong>TF_VAR_a</strong> Give its value") || strings.Contains(p.Body, "<strong>TF_VAR_b</strong>") {
		t.Errorf("a name without a value: status %d\n%s", p.Status, p.Body)
	}
	if got := delivered(t, s, c.ID, "TF_VAR_a"); got != "EXAMPLE-1" {
		t.Errorf("after the refusal a run gets %q", got)
	}
	kept := b.upload(form, "name0", "TF_VAR_a", "value0", "", "empty0", "yes", "name1", "TF_VAR_b", "value1", "")
	if kept.Status != http.StatusUnprocessableEntity || !strings.Contains(kept.Body, `id="empty0" name="empty0" value="yes" checked`) {
		t.Errorf("what was called empty is not any more: status %d\n%s", kept.Status, kept.Body)
	}
	if p := b.upload(form, "name0", "TF_VAR_a", "value0", "", "empty0", "yes"); p.Status != http.StatusOK || delivered(t, s, c.ID, "TF_VAR_a") != "" {
		t.Errorf("an empty value on purpose: status %d at %s", p.Status, p.Path)
	}
}

// TestTwoPeopleStoreSecrets lets somebody store a version while another one has the form open: the second is told before anything is replaced.
func TestTwoPeopleStoreSecrets(t *testing.T) {
	s := servertest.MustStart(t, nil)
	c := mustCredential(t, s, "settings", "generic_env", "TF_VAR_a", "EXAMPLE-1")
	b := mustSignIn(t, s, s.OwnerKey)
	for _, path := range []string{"/secrets", "/paste"} {
		form := "/console/credentials/" + c.ID + path
		revision := revisionField.FindStringSubmatch(b.get(form).Body)
		if revision == nil {
			t.Fatalf("%s has no revision", form)
		}
		b.upload("/console/credentials/"+c.ID+"/secrets", "name0", "TF_VAR_a", "value0", "EXAMPLE-theirs")
		fields := []string{"revision", revision[1], "name0", "TF_VAR_a", "value0", "EXAMPLE-mine", "paste", "TF_VAR_a=EXAMPLE-mine"}
		p := b.upload(form, fields...)
		if p.Status != http.StatusPreconditionFailed || delivered(t, s, c.ID, "TF_VAR_a") != "EXAMPLE-theirs" {
			t.Errorf("%s: status %d, and a run gets %q", form, p.Status, delivered(t, s, c.ID, "TF_VAR_a"))
		}
		fields[1] = revisionField.FindStringSubmatch(p.Body)[1]
		if p := b.upload(form, fields...); p.Status != http.StatusOK || delivered(t, s, c.ID, "TF_VAR_a") != "EXAMPLE-mine" {
			t.Errorf("%s: knowing of it: status %d, and a run gets %q", form, p.Status, delivered(t, s, c.ID, "TF_VAR_a"))
		}
	}
}

// TestLostAnswer sends a form whose answer is lost, changes it and sends it again: the first answer to that carries what makes it count.
func TestLostAnswer(t *testing.T) {
	s := servertest.MustStart(t, nil)
	c := mustCredential(t, s, "settings", "generic_env")
	b := mustSignIn(t, s, s.OwnerKey)
	path := "/console/credentials/" + c.ID + "/secrets"
	form := formOf(b, path)
	send := func(value string) page {
		return b.upload(path, "once", form.Get("once"), "revision", form.Get("revision"), "name0", "TF_VAR_a", "value0", value)
	}
	send("EXAMPLE-1")
	refused := send("EXAMPLE-2")
	if refused.Status != http.StatusUnprocessableEntity || !strings.Contains(refused.Body, "was sent before with other contents") {
		t.Fatalf("status %d\n%s", refused.Status, refused.Body)
	}
	for _, input := range hidden.FindAllStringSubmatch(refused.Body, -1) {
		form.Set(input[1], input[2])
	}
	form.Set("revision", revisionField.FindStringSubmatch(refused.Body)[1])
	if p := send("EXAMPLE-2"); p.Status != http.StatusOK || delivered(t, s, c.ID, "TF_VAR_a") != "EXAMPLE-2" {
		t.Errorf("once more: status %d\n%s", p.Status, p.Body)
	}
}

// TestSecretsInTheWrongPlace puts a secret where something stands that is no secret: it is refused, and comes back nowhere.
func TestSecretsInTheWrongPlace(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	credential := strings.TrimSuffix(b.fill("/console/credentials/new?type=aws_static", "name", "aws").Path, "/secrets")
	tests := []struct {
		name string
		ask  func() page
	}{
		{"swapped in a form", func() page {
			return b.upload(credential+"/secrets", "data.access_key_id", secretAccessKey, "data.secret_access_key", accessKeyID)
		}},
		{"in both places", func() page {
			return b.upload(credential+"/secrets", "data.access_key_id", secretAccessKey, "data.secret_access_key", secretAccessKey)
		}},
		{"as the region", func() page {
			return b.upload(credential+"/secrets", "data.access_key_id", accessKeyID, "data.secret_access_key", secretAccessKey, "data.region", secretAccessKey)
		}},
		{"swapped in a pasted text", func() page {
			return b.post(credential+"/paste?look=1", url.Values{"paste": {"AWS_ACCESS_KEY_ID=" + secretAccessKey + "\nAWS_SECRET_ACCESS_KEY=" + accessKeyID}})
		}},
		{"as the region of a pasted text", func() page {
			return b.post("/console/credentials/paste?look=1", url.Values{"paste": {"AWS_ACCESS_KEY_ID=" + accessKeyID + "\nAWS_SECRET_ACCESS_KEY=" + secretAccessKey + "\nAWS_REGION=" + secretAccessKey}})
		}},
		{"beside a pasted text", func() page {
			return b.post("/console/credentials/paste?look=1", url.Values{
				"paste": {"AWS_ACCESS_KEY_ID=" + accessKeyID + "\nAWS_SECRET_ACCESS_KEY=" + secretAccessKey}, "recognised": {"aws_static"}, "data.region": {secretAccessKey},
			})
		}},
	}
	for _, tt := range tests {
		p := tt.ask()
		if strings.Contains(p.Body, secretAccessKey) {
			t.Errorf("%s: the secret came back", tt.name)
		}
		if !strings.Contains(p.Body, "access_key_id") && !strings.Contains(p.Body, "region") {
			t.Errorf("%s: nothing is said of it:\n%s", tt.name, p.Body)
		}
	}
	if p := b.get(credential); !strings.Contains(p.Body, "No version is stored.") {
		t.Errorf("something was stored:\n%s", p.Body)
	}
}

// TestTextAndFile gives a value twice: which one was meant is not guessed.
func TestTextAndFile(t *testing.T) {
	s := servertest.MustStart(t, nil)
	c := mustCredential(t, s, "settings", "generic_env", "TF_VAR_a", "EXAMPLE-1")
	b := mustSignIn(t, s, s.OwnerKey)
	p := b.upload("/console/credentials/"+c.ID+"/secrets", "name0", "TF_VAR_a", "value0", "EXAMPLE-text", "value0.file", "EXAMPLE-file")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "There is a text and a file") || delivered(t, s, c.ID, "TF_VAR_a") != "EXAMPLE-1" {
		t.Errorf("status %d\n%s", p.Status, p.Body)
	}
}
