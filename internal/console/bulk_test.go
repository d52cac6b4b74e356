package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestAttachToMany attaches a credential to three workspaces, of which one has a rival and one is gone: the others are changed, and the page reports on each. Sent twice, it
// changes nothing more. Detaching does the same backwards.
func TestAttachToMany(t *testing.T) {
	s := servertest.MustStart(t, nil)
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "p"}))(t)
	config, other := mustCredential(t, s, "settings", "generic_env", "TF_VAR_a", "EXAMPLE"), mustCredential(t, s, "other", "generic_env", "TF_VAR_b", "EXAMPLE")
	rival := mustCredential(t, s, "rival", "generic_env", "TF_VAR_a", "EXAMPLE")
	make := func(name string, ids ...string) sdk.Workspace {
		return must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: name, ProjectID: project.ID, CredentialConfigIDs: ids}))(t)
	}
	first, second, conflicting, gone := make("first", other.ID), make("second"), make("conflicting", rival.ID), make("gone")
	if err := s.Owner.DeleteWorkspace(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	b := mustSignIn(t, s, s.OwnerKey)
	page := "/console/credentials/" + config.ID + "/workspaces"
	if p := b.get("/console/credentials/" + config.ID); !strings.Contains(p.Body, page) {
		t.Errorf("the page of the credential does not lead to its workspaces:\n%s", p.Body)
	}
	if p := b.get(page + "?q=first"); strings.Count(p.Body, `type="checkbox"`) != 1 {
		t.Errorf("the picker does not filter:\n%s", p.Body)
	}
	if p := b.post(page, url.Values{"do": {"attach"}}); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Select at least one") {
		t.Errorf("nothing is selected: status %d\n%s", p.Status, p.Body)
	}
	has := func(w sdk.Workspace, want ...string) {
		t.Helper()
		if got := must(s.Owner.Workspace(t.Context(), w.ID))(t).CredentialConfigIDs; !slices.Equal(got, want) {
			t.Errorf("%s has %v attached, want %v", w.Name, got, want)
		}
	}
	send := func(do string, want map[string]int) {
		t.Helper()
		p := b.post(page, url.Values{"do": {do}, "id": {first.ID, second.ID, conflicting.ID, gone.ID, first.ID}})
		if p.Status != http.StatusOK {
			t.Errorf("%s: status %d", do, p.Status)
		}
		for text, n := range want {
			if got := strings.Count(p.Body, ">"+text+"<"); got != n {
				t.Errorf("%s: %q is there %d times, want %d:\n%s", do, text, got, n, p.Body)
			}
		}
	}
	send("attach", map[string]int{"attached": 2, "failed": 2})
	has(first, other.ID, config.ID)
	has(second, config.ID)
	has(conflicting, rival.ID)
	revision := must(s.Owner.Workspace(t.Context(), second.ID))(t).Revision
	send("attach", map[string]int{"attached already": 2, "failed": 2})
	if again := must(s.Owner.Workspace(t.Context(), second.ID))(t).Revision; again != revision {
		t.Errorf("sent twice, it changed the workspace twice: revision %d, then %d", revision, again)
	}
	send("detach", map[string]int{"detached": 2, "not attached": 1, "failed": 1})
	has(first, other.ID)
	has(second)
	reader := mustSignIn(t, s, mustKey(t, s, "reader").Key)
	if p := reader.get(page); p.Status != http.StatusForbidden {
		t.Errorf("a reader sees the form: status %d", p.Status)
	}
	if p := reader.post(page, url.Values{"do": {"attach"}, "id": {second.ID}}); strings.Contains(p.Body, ">attached<") {
		t.Errorf("a reader attaches:\n%s", p.Body)
	}
	has(second)
}

// TestVerifyMany verifies what is selected in the list, and reports on each.
func TestVerifyMany(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	empty := mustCredential(t, s, "without", "gcp_service_account")
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.get("/console/credentials"); !strings.Contains(p.Body, `value="`+k.aws.ID+`"`) || strings.Contains(p.Body, `value="`+empty.ID+`"`) || strings.Contains(p.Body, `value="`+k.env.ID+`"`) {
		t.Errorf("what can be verified cannot be selected, or the other way round:\n%s", p.Body)
	}
	for range 2 {
		p := b.post("/console/credentials/verify", url.Values{"id": {k.aws.ID, empty.ID, k.aws.ID}})
		if p.Status != http.StatusOK || strings.Count(p.Body, ">valid<") != 1 || strings.Count(p.Body, ">failed<") != 1 || !strings.Contains(p.Body, "<bdi>without</bdi>") {
			t.Errorf("status %d:\n%s", p.Status, p.Body)
		}
	}
	if got := must(s.Owner.CredentialConfig(t.Context(), k.aws.ID))(t).Verification; got == nil || !got.Valid {
		t.Errorf("the verification is not kept: %+v", got)
	}
	many := url.Values{}
	for i := range 201 {
		many.Add("id", fmt.Sprint(i))
	}
	for name, form := range map[string]url.Values{"none": {}, "too many": many} {
		if p := b.post("/console/credentials/verify", form); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", name, p.Status)
		}
	}
	if p := mustSignIn(t, s, mustKey(t, s, "reader").Key).get("/console/credentials"); strings.Contains(p.Body, `type="checkbox"`) {
		t.Errorf("a reader can select:\n%s", p.Body)
	}
}

// TestDetachEverywhereAndDelete deletes a credential that two workspaces use. A workspace that attached it after the question was asked keeps it, and the credential.
func TestDetachEverywhereAndDelete(t *testing.T) {
	s := servertest.MustStart(t, nil)
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "p"}))(t)
	config, other := mustCredential(t, s, "doomed", "generic_env", "TF_VAR_a", "EXAMPLE"), mustCredential(t, s, "other", "generic_env", "TF_VAR_b", "EXAMPLE")
	var ids []string
	for i := range 2 {
		w := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: fmt.Sprint("w", i), ProjectID: project.ID, CredentialConfigIDs: []string{config.ID, other.ID}}))(t)
		ids = append(ids, w.ID)
	}
	b := mustSignIn(t, s, s.OwnerKey)
	page := "/console/credentials/" + config.ID + "/delete"
	asked := b.get(page)
	if !strings.Contains(asked.Body, "Detach everywhere and delete") || !strings.Contains(asked.Body, "<bdi>w0</bdi>") {
		t.Fatalf("the question: %s", asked.Body)
	}
	if p := b.fill(page, "confirm", "dumed"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong name: status %d", p.Status)
	}
	if got := must(s.Owner.Workspace(t.Context(), ids[0]))(t).CredentialConfigIDs; len(got) != 2 {
		t.Errorf("a wrong name detaches: %v are left", got)
	}
	late := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "late", ProjectID: project.ID, CredentialConfigIDs: []string{config.ID}}))(t)
	form := url.Values{"confirm": {"doomed"}, "detach": {strings.Join(ids, ",")}, "revision": {"0"}}
	if p := b.post(page, form); p.Status != http.StatusConflict || !strings.Contains(p.Body, "<bdi>late</bdi>") {
		t.Errorf("with a workspace that the question did not name: status %d\n%s", p.Status, p.Body)
	}
	if got := must(s.Owner.Workspace(t.Context(), late.ID))(t).CredentialConfigIDs; len(got) != 1 {
		t.Errorf("the late workspace lost it: %v are left", got)
	}
	if p := b.fill(page, "confirm", "doomed"); p.Path != "/console/credentials" {
		t.Errorf("status %d at %s\n%s", p.Status, p.Path, p.Body)
	}
	for _, id := range ids {
		if got := must(s.Owner.Workspace(t.Context(), id))(t).CredentialConfigIDs; !slices.Equal(got, []string{other.ID}) {
			t.Errorf("after the deletion: %v are attached", got)
		}
	}
	if p := b.post(page, form); p.Path != "/console/credentials" {
		t.Errorf("sent twice: status %d at %s", p.Status, p.Path)
	}
}
