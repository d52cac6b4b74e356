package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// formOf opens a page and returns what its form sends by itself, with what a person fills in.
func formOf(b *browser, path string, pairs ...string) url.Values {
	b.Helper()
	form := url.Values{}
	for _, input := range hidden.FindAllStringSubmatch(b.get(path).Body, -1) {
		form.Set(input[1], input[2])
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// TestKeySentTwice clicks twice on making an API key: there is one, and the second answer says where the first one went.
func TestKeySentTwice(t *testing.T) {
	b := mustBench(t)
	form := formOf(&b.browser, "/console/keys/new", "name", "ci", "role", "runner", "scope", "", "days", "30")
	if p := b.post("/console/keys/new", form); p.Status != http.StatusCreated {
		t.Fatalf("making a key: status %d\n%s", p.Status, p.Body)
	}
	b.advance(3 * time.Second)
	p := b.post("/console/keys/new", form)
	if p.Status != http.StatusConflict || !strings.Contains(p.Body, "has made an API key already") || !strings.Contains(p.Body, `<a href="/console/keys"><bdi>ci</bdi></a>`) {
		t.Errorf("the second click: status %d\n%s", p.Status, p.Body)
	}
	if n := strings.Count(b.get("/console/keys").Body, "<bdi>ci</bdi>"); n != 1 {
		t.Errorf("%d keys were made", n)
	}
}

// TestRotationSentTwice clicks twice on Rotate: there is one rotation.
func TestRotationSentTwice(t *testing.T) {
	b := mustBench(t)
	form := formOf(&b.browser, "/console/system/rotate", "confirm", "rotate")
	if p := b.post("/console/system/rotate", form); !strings.Contains(p.Body, "A new primary key seals") {
		t.Fatalf("rotating: status %d\n%s", p.Status, p.Body)
	}
	if p := b.post("/console/system/rotate", form); !strings.Contains(p.Body, "It was not rotated once more") {
		t.Errorf("the second click: status %d\n%s", p.Status, p.Body)
	}
	if n := strings.Count(b.get("/console/system").Body, "seals "); n != 2 {
		t.Errorf("the ring has %d keys, want 2", n)
	}
}

// TestRotationsMeet sends one form three times at the same moment.
func TestRotationsMeet(t *testing.T) {
	b := mustBench(t)
	form := formOf(&b.browser, "/console/system/rotate", "confirm", "rotate")
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() { b.post("/console/system/rotate", form) })
	}
	group.Wait()
	if n := strings.Count(b.get("/console/system").Body, "seals "); n != 2 {
		t.Errorf("the ring has %d keys, want 2", n)
	}
}

// TestDeletedTwice clicks twice on what ends an object: the second answer does not call it unknown.
func TestDeletedTwice(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	key := mustKey(t, s, "reader")
	b := mustSignIn(t, s, s.OwnerKey)
	for _, object := range []struct{ path, act, name, list string }{
		{"/console/workspaces/" + k.workspace.ID, "/delete", "network", "/console/workspaces"},
		{"/console/credentials/" + k.env.ID, "/delete", "database", "/console/credentials"},
		{"/console/projects/" + k.project.ID, "/delete", "platform", "/console/projects"},
		{"/console/keys/" + key.ID, "/revoke", "reader-key", "/console/keys"},
	} {
		form := formOf(b, object.path+object.act, "confirm", object.name)
		if p := b.post(object.path+object.act, form); p.Path != object.list {
			t.Errorf("%s: status %d at %s\n%s", object.path, p.Status, p.Path, p.Body)
		}
		if p := b.post(object.path+object.act, form); p.Path != object.list || !strings.Contains(p.Body, "It is gone already.") {
			t.Errorf("%s once more: status %d at %s", object.path, p.Status, p.Path)
		}
	}
}

// TestSavedTwice clicks twice on Save: nobody is told of somebody else.
func TestSavedTwice(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	for _, tt := range []struct {
		name, path string
		form       url.Values
	}{
		{"attachments", "/console/workspaces/" + k.workspace.ID + "/attach", formOf(b, "/console/workspaces/"+k.workspace.ID+"/attach?ids="+k.env.ID+"&revision=1")},
		{"workspace", "/console/workspaces/" + k.workspace.ID + "/edit", formOf(b, "/console/workspaces/"+k.workspace.ID+"/edit", "name", "new", "revision", "2")},
		{"credential", "/console/credentials/" + k.env.ID + "/edit", formOf(b, "/console/credentials/"+k.env.ID+"/edit", "name", "new", "description", "", "project_id", "")},
		{"project", "/console/projects/" + k.project.ID + "/edit", formOf(b, "/console/projects/"+k.project.ID+"/edit", "name", "new")},
	} {
		for click := range 2 {
			if p := b.post(tt.path, tt.form); p.Status != http.StatusOK || !strings.Contains(p.Body, "Saved.") {
				t.Errorf("%s, click %d: status %d at %s\n%s", tt.name, click, p.Status, p.Path, p.Body)
			}
		}
	}
}

// TestEditsMeet has somebody rename an object while another person describes it: the second is shown the new name before it is undone.
func TestEditsMeet(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	for _, object := range []string{"/console/workspaces/" + k.workspace.ID, "/console/credentials/" + k.env.ID, "/console/projects/" + k.project.ID} {
		mine := formOf(b, object+"/edit", "name", "old-name", "description", "mine", "project_id", "")
		b.fill(object+"/edit", "name", "their-name", "project_id", "")
		p := b.post(object+"/edit", mine)
		if p.Status != http.StatusPreconditionFailed || !strings.Contains(p.Body, "It is &#34;their-name&#34; now. Saving again puts yours in its place.") {
			t.Errorf("%s: status %d\n%s", object, p.Status, p.Body)
		}
		if !strings.Contains(b.get(object).Body, "their-name") {
			t.Errorf("%s: the other change is undone", object)
		}
		mine.Set("revision", revisionField.FindStringSubmatch(p.Body)[1])
		if p := b.post(object+"/edit", mine); p.Status != http.StatusOK || !strings.Contains(p.Body, "old-name") {
			t.Errorf("%s, knowing of it: status %d\n%s", object, p.Status, p.Body)
		}
	}
}

// TestDangerPageGrowsOld leaves a question open until the API key has to be given again, and until somebody changes the object: the answer is a form that can be sent.
func TestDangerPageGrowsOld(t *testing.T) {
	b := mustBench(t)
	project := b.fill("/console/projects/new", "name", "platform").Path
	send := func(form url.Values) page {
		return b.post(project+"/delete", form, "HX-Request", "true", "HX-Target", "content")
	}
	form := formOf(&b.browser, project+"/delete", "confirm", "platform")
	b.advance(6 * time.Minute)
	if p := send(form); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="f-api_key"`) {
		t.Errorf("after six minutes: status %d\n%s", p.Status, p.Body)
	}
	form.Set("api_key", b.key)
	b.fill(project+"/edit", "name", "platform", "description", "changed")
	p := send(form)
	if p.Status != http.StatusPreconditionFailed {
		t.Fatalf("after a change: status %d\n%s", p.Status, p.Body)
	}
	form.Set("revision", revisionField.FindStringSubmatch(p.Body)[1])
	if p := send(form); p.Status != http.StatusNoContent || p.Header.Get("HX-Redirect") != "/console/projects" {
		t.Errorf("the next try: status %d to %q\n%s", p.Status, p.Header.Get("HX-Redirect"), p.Body)
	}
}

// TestSignedOutAtWork lets the session end under a draft: signing in leads back to it.
func TestSignedOutAtWork(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustBrowser(t, s)
	workspace := "/console/workspaces/" + k.workspace.ID
	tests := []struct{ path, body, next string }{
		{workspace + "/attach", "ids=" + k.env.ID + "&revision=7", workspace + "/attach?ids=" + k.env.ID + "&amp;revision=7"},
		{workspace + "/edit", "name=new", workspace + "/edit"},
		{"/console/credentials/" + k.aws.ID + "/verify", "", "/console/"},
	}
	for _, tt := range tests {
		p := b.do(http.MethodPost, tt.path, "application/x-www-form-urlencoded", strings.NewReader(tt.body))
		if p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, `name="next" value="`+tt.next+`"`) {
			t.Errorf("%s: status %d, and signing in leads elsewhere:\n%s", tt.path, p.Status, p.Body)
		}
		if !strings.Contains(p.Body, "What you sent was not saved.") {
			t.Errorf("%s: nobody is told:\n%s", tt.path, p.Body)
		}
	}
}

// TestAddressOfACheck opens the address that a check of the trail leaves behind without scripts.
func TestAddressOfACheck(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.get("/console/audit/check?action=project."); p.Status != http.StatusOK || p.Path != "/console/audit?action=project." {
		t.Errorf("status %d at %s", p.Status, p.Path)
	}
}

// TestLinkFromAnotherSite comes without the session, which browsers keep to themselves then, and goes on to the same address from a page of ours.
func TestLinkFromAnotherSite(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustBrowser(t, s)
	p := b.get("/console/credentials?q=a", "Sec-Fetch-Site", "cross-site")
	if p.Status != http.StatusOK || p.Header.Get("Refresh") != "0; url=/console/credentials?q=a" || !strings.Contains(p.Body, `href="/console/credentials?q=a"`) {
		t.Errorf("status %d, Refresh %q\n%s", p.Status, p.Header.Get("Refresh"), p.Body)
	}
	if p := b.get("/console/credentials?q=a", "Sec-Fetch-Site", "same-origin"); p.Path != "/console/sign-in?next=%2Fconsole%2Fcredentials%3Fq%3Da" {
		t.Errorf("from our own page: at %s", p.Path)
	}
}

// TestRoleByHand makes a role to assume in the order in which a person does: create, say what it is, paste the policy, verify. No policy is offered to be copied before it names whom the role has to trust.
func TestRoleByHand(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s) // Its AWS user is the one that assumes.
	source := mustCredential(t, s, "source", "aws_static", "access_key_id", accessKeyID, "secret_access_key", secretAccessKey)
	b := mustSignIn(t, s, s.OwnerKey)
	form := b.fill("/console/credentials/new?type=aws_assume_role", "name", "deploy", "project_id", "")
	if !strings.HasSuffix(form.Path, "/secrets") || !strings.Contains(form.Body, "The trust policy to paste comes next.") {
		t.Fatalf("after creating: at %s\n%s", form.Path, form.Body)
	}
	role := strings.TrimSuffix(form.Path, "/secrets")
	if p := b.get(role); strings.Contains(p.Body, "data-copy") || !strings.Contains(p.Body, "with the credential that assumes it; then the policy is here to copy") {
		t.Errorf("before the source is known:\n%s", p.Body)
	}
	stored := b.upload(role+"/secrets", "data.role_arn", "arn:aws:iam::123456789012:role/deploy", "data.source_credential_config_id", source.ID)
	if strings.Contains(stored.Body, "data-copy") || !strings.Contains(stored.Body, "Verify that credential first") || !strings.Contains(stored.Body, `href="/console/credentials/`+source.ID+`"`) {
		t.Errorf("before the source is verified:\n%s", stored.Body)
	}
	must(s.Owner.Verify(t.Context(), source.ID))(t)
	if p := b.get(role); !strings.Contains(p.Body, `data-copy="trust-policy"`) || !strings.Contains(p.Body, "arn:aws:iam::123456789012:user/ci") || strings.Contains(p.Body, "ACCOUNT-OF") {
		t.Errorf("once the source is verified:\n%s", p.Body)
	}
	w := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "assumes", ProjectID: k.project.ID, CredentialConfigIDs: []string{strings.TrimPrefix(role, "/console/credentials/")}}))(t)
	config := must(s.Owner.CredentialConfig(t.Context(), strings.TrimPrefix(role, "/console/credentials/")))(t)
	s.AWS.AddRole(fakeaws.Role{ARN: "arn:aws:iam::123456789012:role/deploy", Trusted: []string{"arn:aws:iam::123456789012:user/ci"}, ExternalID: config.ExternalID})
	if p := b.post(role+"/verify", nil); !strings.Contains(p.Body, ">valid<") {
		t.Errorf("the verification:\n%s", p.Body)
	}
	must(s.Owner.Deliver(t.Context(), w.ID, sdk.DeliverRequest{}))(t)
	if used := must(s.Owner.CredentialConfig(t.Context(), source.ID))(t); used.LastDeliveredAt == nil {
		t.Error("what a role is assumed with counts as never used")
	}
}
