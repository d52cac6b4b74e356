package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// optionValue finds the value of an option, and whether it is chosen.
var optionValue = regexp.MustCompile(`<option value="([^"]*)"( selected)?>`)

// TestOldProjects has more projects than a page of them: the older ones keep their names, stay chosen in forms, and saving a form changes no scope by itself.
func TestOldProjects(t *testing.T) {
	s := servertest.MustStart(t, nil)
	old := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "the-oldest"}))(t)
	config := must(s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "scoped", CredentialType: "generic_env", ProjectID: sdk.Some(old.ID)}))(t)
	workspace := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "w", ProjectID: old.ID}))(t)
	must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "k", Role: "reader", ProjectID: old.ID}))(t)
	for i := range broker.MaxPage {
		must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprint("newer-", i)}))(t)
	}
	b := mustSignIn(t, s, s.OwnerKey)
	edit := "/console/credentials/" + config.ID + "/edit"
	chosen := `<option value="` + old.ID + `" selected>`
	for _, path := range []string{edit, "/console/workspaces/new?project=" + old.ID, "/console/credentials/new?type=generic_env&project=" + old.ID, "/console/workspaces?project=" + old.ID} {
		if p := b.get(path); !strings.Contains(p.Body, chosen) {
			t.Errorf("%s: the old project is not chosen", path)
		}
	}
	for _, path := range []string{"/console/credentials", "/console/credentials/" + config.ID, "/console/workspaces", "/console/workspaces/" + workspace.ID, "/console/keys"} {
		if p := b.get(path); p.Status != http.StatusOK || !strings.Contains(p.Body, "the-oldest") {
			t.Errorf("%s: status %d, and the old project has no name", path, p.Status)
		}
	}
	sent := "" // by a browser for the select: the value of the chosen option, or else of the first one
	if options := optionValue.FindAllStringSubmatch(b.get(edit).Body, -1); len(options) > 0 {
		sent = options[0][1]
		for _, o := range options {
			if o[2] != "" {
				sent = o[1]
			}
		}
	}
	if p := b.fill(edit, "name", "scoped", "description", "changed", "project_id", sent); p.Path != "/console/credentials/"+config.ID {
		t.Errorf("saving: status %d at %s", p.Status, p.Path)
	}
	got := must(s.Owner.CredentialConfig(t.Context(), config.ID))(t)
	if got.Description != "changed" || got.ProjectID == nil || *got.ProjectID != old.ID {
		t.Errorf("after a change of the description: %+v", got)
	}
}

// TestOldCredentials has more credentials than a page looks at: an old one keeps its name where it is attached, can be found to be attached, and stays the source of a role.
func TestOldCredentials(t *testing.T) {
	s := servertest.MustStart(t, nil)
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "p"}))(t)
	source := mustCredential(t, s, "the-oldest-key", "aws_static", "access_key_id", accessKeyID, "secret_access_key", secretAccessKey)
	loose := mustCredential(t, s, "the-oldest-settings", "generic_env", "TF_VAR_a", "EXAMPLE")
	role := mustCredential(t, s, "role", "aws_assume_role", "role_arn", "arn:aws:iam::123456789012:role/x", "source_credential_config_id", source.ID)
	workspace := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "w", ProjectID: project.ID, CredentialConfigIDs: []string{source.ID}}))(t)
	var group sync.WaitGroup
	for i := range 10 {
		group.Go(func() {
			for j := range 101 {
				if _, err := s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: fmt.Sprint("newer-", i, "-", j), CredentialType: "generic_env"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	b := mustSignIn(t, s, s.OwnerKey)
	attach := "/console/workspaces/" + workspace.ID + "/attach"
	if p := b.get(attach); !strings.Contains(p.Body, "<bdi>the-oldest-key</bdi>") || strings.Contains(p.Body, `<option value="`+loose.ID) || !strings.Contains(p.Body, `name="find"`) {
		t.Errorf("%s: what is attached has no name, or nothing can be looked for:\n%s", attach, p.Body[:min(len(p.Body), 4000)])
	}
	if p := b.get(attach + "?ids=" + source.ID + "&find=oldest"); !strings.Contains(p.Body, `<option value="`+loose.ID) || strings.Contains(p.Body, "newer-0-0") {
		t.Errorf("%s: looking for a name: %s", attach, p.Body)
	}
	if p := b.get("/console/credentials/" + role.ID + "/secrets"); !strings.Contains(p.Body, `<option value="`+source.ID+`" selected>`) {
		t.Error("the source of the role is not chosen")
	}
	if p := b.get("/console/credentials/" + role.ID); !strings.Contains(p.Body, "the-oldest-key") {
		t.Error("the source of the role is not named")
	}
}

// TestOldWorkspaces has more workspaces and credentials in a project than its page names: the page leads to all of them, and an API key can be made for the oldest.
func TestOldWorkspaces(t *testing.T) {
	s := servertest.MustStart(t, nil)
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "p"}))(t)
	var old sdk.Workspace
	for i := range broker.MaxPage + 1 {
		w := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: fmt.Sprint("workspace-", i), ProjectID: project.ID}))(t)
		must(s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: fmt.Sprint("credential-", i), CredentialType: "generic_env", ProjectID: sdk.Some(project.ID)}))(t)
		if i == 0 {
			old = w
		}
	}
	mustCredential(t, s, "elsewhere", "generic_env")
	b := mustSignIn(t, s, s.OwnerKey)
	p := b.get("/console/projects/" + project.ID)
	for _, kind := range []string{"workspaces", "credentials"} {
		all := "/console/" + kind + "?project=" + project.ID
		if !strings.Contains(p.Body, `href="`+all+`"`) {
			t.Errorf("the page of the project does not lead to %s:\n%s", all, p.Body)
		}
		if list := b.get(all); strings.Count(list.Body, `class="name"`) != 50 || strings.Contains(list.Body, "elsewhere") {
			t.Errorf("%s: %s", all, list.Body)
		}
	}
	form := "/console/keys/new?workspace=" + old.ID
	if page := b.get("/console/workspaces/" + old.ID); !strings.Contains(page.Body, `href="`+form+`"`) {
		t.Errorf("the page of the workspace does not lead to %s", form)
	}
	if page := b.get(form); !strings.Contains(page.Body, `<option value="workspace:`+old.ID+`" selected>Workspace workspace-0</option>`) {
		t.Errorf("the workspace is not chosen:\n%s", page.Body)
	}
	if page := b.get("/console/keys/new?project=" + project.ID); !strings.Contains(page.Body, `<option value="`+project.ID+`" selected>`) {
		t.Errorf("the project is not chosen:\n%s", page.Body)
	}
	refused := b.fill(form, "name", "", "role", "runner", "scope", "workspace:"+old.ID, "days", "30")
	if refused.Status != http.StatusUnprocessableEntity || !strings.Contains(refused.Body, `<option value="workspace:`+old.ID+`" selected>`) {
		t.Errorf("after a refusal the workspace is not chosen any more: status %d", refused.Status)
	}
	if made := b.fill(form, "name", "ci", "role", "runner", "scope", "workspace:"+old.ID, "days", "30"); made.Status != http.StatusCreated {
		t.Errorf("making the key: status %d\n%s", made.Status, made.Body)
	}
	if list := b.get("/console/keys"); !strings.Contains(list.Body, "workspace workspace-0") {
		t.Errorf("the list does not name the workspace:\n%s", list.Body)
	}
}

// TestOldDelivery lets many other events come after a delivery: it is still in the history of its credential.
func TestOldDelivery(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	must(s.Owner.Deliver(t.Context(), k.workspace.ID, sdk.DeliverRequest{}))(t)
	for i := range 1010 {
		must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprint("later-", i)}))(t)
	}
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.get("/console/credentials/" + k.env.ID); !strings.Contains(p.Body, "Last deliveries") || !strings.Contains(p.Body, "<small>version 1") {
		t.Errorf("the delivery is not there:\n%s", p.Body)
	}
	if p := b.get("/console/"); !strings.Contains(p.Body, "1 delivery and 0 refusals") {
		t.Errorf("the chart does not count it:\n%s", p.Body)
	}
}

// TestKeysThatGiveRightsAway must be typed, and only who may make keys sees the form (UI-8).
func TestKeysThatGiveRightsAway(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	for confirm, want := range map[string]int{"": http.StatusUnprocessableEntity, "owner": http.StatusUnprocessableEntity, "admin": http.StatusCreated} {
		if p := b.fill("/console/keys/new", "name", "n"+confirm, "role", "admin", "scope", "", "days", "30", "confirm", confirm); p.Status != want {
			t.Errorf("confirmed with %q: got status %d, want %d", confirm, p.Status, want)
		}
	}
	for _, role := range []string{"reader", "runner", "member"} {
		key := must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: role, Role: role}))(t)
		if p := mustSignIn(t, s, key.Key).get("/console/keys/new"); p.Status != http.StatusForbidden {
			t.Errorf("a %s sees the form: status %d", role, p.Status)
		}
	}
}

// TestRevokingSaysWhatEnds names what was delivered to a key.
func TestRevokingSaysWhatEnds(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	key := must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "ci", Role: "runner"}))(t)
	b := mustSignIn(t, s, s.OwnerKey)
	page := "/console/keys/" + key.ID + "/revoke"
	if p := b.get(page); strings.Contains(p.Body, "This stops working") || strings.Contains(p.Body, "Last used") {
		t.Errorf("a key that was never used:\n%s", p.Body)
	}
	for range 2 {
		must(must(sdk.New(s.URL, key.Key))(t).Deliver(t.Context(), k.workspace.ID, sdk.DeliverRequest{}))(t)
	}
	if p := b.get(page); !strings.Contains(p.Body, "This stops working") || !strings.Contains(p.Body, "Last used") || strings.Count(p.Body, "/console/workspaces/"+k.workspace.ID) != 1 {
		t.Errorf("a key that was used:\n%s", p.Body)
	}
}

// TestRefusedKeyForm keeps what was chosen.
func TestRefusedKeyForm(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	p := b.fill("/console/keys/new", "name", strings.Repeat("x", 300), "role", "reader", "scope", "", "days", "30")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `<option value="30" selected>`) || strings.Contains(p.Body, `<option value="90" selected>`) {
		t.Errorf("status %d:\n%s", p.Status, p.Body)
	}
}
