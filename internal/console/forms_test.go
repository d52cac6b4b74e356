package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// revisionField is the hidden field of what a form was made for.
var revisionField = regexp.MustCompile(`name="revision" value="([0-9]+)"`)

// TestTheTourByHand does by forms what the README does by commands: project, credential, secrets, verification, workspace, attachment; then a run gets it all.
func TestTheTourByHand(t *testing.T) {
	s := servertest.MustStart(t, nil)
	mustStock(t, s) // Its AWS user is the one that verifies.
	b := mustSignIn(t, s, s.OwnerKey)
	project := b.fill("/console/projects/new", "name", "shop", "description", "Sells things.\r\nTo people.")
	if !strings.Contains(project.Body, "Created.") || !strings.Contains(project.Body, "Sells things.\nTo people.") {
		t.Fatalf("the project: status %d at %s\n%s", project.Status, project.Path, project.Body)
	}
	form := b.fill("/console/credentials/new?type=aws_static", "name", "shop-keys")
	if form.Status != http.StatusOK || !strings.HasSuffix(form.Path, "/secrets") {
		t.Fatalf("the credential: status %d at %s\n%s", form.Status, form.Path, form.Body)
	}
	stored := b.upload(form.Path, "data.access_key_id", accessKeyID, "data.secret_access_key", secretAccessKey, "data.region", "eu-west-1")
	credential := strings.TrimSuffix(form.Path, "/secrets")
	if stored.Path != credential || !strings.Contains(stored.Body, "The secrets are stored.") {
		t.Fatalf("the secrets: status %d at %s\n%s", stored.Status, stored.Path, stored.Body)
	}
	if p := b.post(credential+"/verify", nil); !strings.Contains(p.Body, "arn:aws:iam::123456789012:user/ci") || !strings.Contains(p.Body, ">valid<") {
		t.Errorf("the verification:\n%s", p.Body)
	}
	draft := b.fill("/console/workspaces/new", "name", "checkout", "project_id", strings.TrimPrefix(project.Path, "/console/projects/"))
	if !strings.HasSuffix(draft.Path, "/attach") {
		t.Fatalf("the workspace: status %d at %s\n%s", draft.Status, draft.Path, draft.Body)
	}
	id := strings.TrimPrefix(credential, "/console/credentials/")
	added := b.get(draft.Path + "?ids=&revision=1&add=" + id)
	if !strings.Contains(added.Body, "not saved") || !strings.Contains(added.Body, "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("the draft does not show what it would do:\n%s", added.Body)
	}
	saved := b.fill(added.Path)
	if saved.Path != strings.TrimSuffix(draft.Path, "/attach") {
		t.Fatalf("saving: status %d at %s", saved.Status, saved.Path)
	}
	env := must(s.Owner.Deliver(t.Context(), strings.TrimPrefix(saved.Path, "/console/workspaces/"), sdk.DeliverRequest{}))(t)
	if len(env.Env) < 3 {
		t.Errorf("the run gets %d variables", len(env.Env))
	}
}

// deliveries counts those of [delivered]: each has a project of its own.
var deliveries atomic.Int64

// delivered returns the value that a run gets for a variable.
func delivered(t *testing.T, s *servertest.Server, configID, name string) string {
	t.Helper()
	place := fmt.Sprint("for ", configID, " ", deliveries.Add(1))
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: place}))(t)
	w := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: place, ProjectID: project.ID, CredentialConfigIDs: []string{configID}}))(t)
	return must(s.Owner.Deliver(t.Context(), w.ID, sdk.DeliverRequest{}))(t).Env[name]
}

// TestBytesOfSecrets stores values of several lines by hand and from a file, and looks at what a run gets (UI-12).
func TestBytesOfSecrets(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	tests := []struct {
		name, field, sent, want string
	}{
		{"one line", "value0", " EXAMPLE with spaces ", " EXAMPLE with spaces "},
		{"lines of a text area", "value0", "-----BEGIN EXAMPLE-----\r\nabc\r\n-----END EXAMPLE-----\r\n", "-----BEGIN EXAMPLE-----\nabc\n-----END EXAMPLE-----\n"},
		{"a file", "value0.file", "EXAMPLE\r\n\n\ttext\r", "EXAMPLE\r\n\n\ttext\r"},
		{"markup", "value0", `<&>"'\u2028 EXAMPLE`, `<&>"'\u2028 EXAMPLE`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := mustCredential(t, s, test.name, "generic_env")
			p := b.upload("/console/credentials/"+c.ID+"/secrets", "name0", "VALUE", test.field, test.sent)
			if p.Path != "/console/credentials/"+c.ID {
				t.Fatalf("storing: status %d\n%s", p.Status, p.Body)
			}
			if got := delivered(t, s, c.ID, "VALUE"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	c := mustCredential(t, s, "not text", "generic_env")
	if p := b.upload("/console/credentials/"+c.ID+"/secrets", "name0", "VALUE", "value0.file", "EXAMPLE \xff"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a file that is no text: got status %d, want 422", p.Status)
	}
	if p := b.upload("/console/credentials/"+c.ID+"/secrets", "name0", "VALUE", "value0", "a", "place", "VALUE", "value1", "b"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a name twice: got status %d, want 422", p.Status)
	}
}

// TestSecretFormsAreWriteOnly looks at the inputs: nothing to autofill, nothing filled in (UI-3, UI-12).
func TestSecretFormsAreWriteOnly(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	body := b.get("/console/credentials/" + k.aws.ID + "/secrets").Body
	inputs := regexp.MustCompile(`<input [^>]*type="password"[^>]*>|<textarea[^>]*>[^<]*</textarea>`).FindAllString(body, -1)
	if len(inputs) < 2 {
		t.Fatalf("got %q", inputs)
	}
	for _, input := range inputs {
		if !strings.Contains(input, `autocomplete="off"`) || strings.Contains(input, "value=") || !strings.Contains(input, `spellcheck="false"`) {
			t.Errorf("got %s", input)
		}
	}
	if !strings.Contains(body, "eu-central-1") {
		t.Error("a field that is no secret is not shown back")
	}
}

// TestTwoPeopleSave has two people change a workspace from the same state: the second one is asked, and nothing is lost.
func TestTwoPeopleSave(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	first, second := mustSignIn(t, s, s.OwnerKey), mustSignIn(t, s, s.OwnerKey)
	path := "/console/workspaces/" + k.workspace.ID + "/attach"
	mine := url.Values{"ids": {k.aws.ID}, "revision": {"1"}}
	if p := first.post(path, url.Values{"ids": {k.env.ID}, "revision": {"1"}}); p.Status != http.StatusOK || !strings.Contains(p.Body, "exactly this environment") {
		t.Fatalf("the first save: status %d\n%s", p.Status, p.Body)
	}
	p := second.post(path, mine)
	if p.Status != http.StatusPreconditionFailed || !strings.Contains(p.Body, "Somebody else saved this workspace meanwhile") || !strings.Contains(p.Body, "<bdi>database</bdi>") {
		t.Fatalf("the second save: status %d\n%s", p.Status, p.Body)
	}
	if w := must(s.Owner.Workspace(t.Context(), k.workspace.ID))(t); len(w.CredentialConfigIDs) != 1 || w.CredentialConfigIDs[0] != k.env.ID {
		t.Errorf("the workspace has %v attached", w.CredentialConfigIDs)
	}
	again := second.fill(path + "?ids=" + k.aws.ID + "&revision=2")
	if w := must(s.Owner.Workspace(t.Context(), k.workspace.ID))(t); again.Status != http.StatusOK || w.CredentialConfigIDs[0] != k.aws.ID {
		t.Errorf("going on after the question: status %d, attached %v", again.Status, w.CredentialConfigIDs)
	}
}

// TestDraftShowsConflicts attaches two identities of one provider: the page says so and does not save.
func TestDraftShowsConflicts(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	second := mustCredential(t, s, "aws-sandbox", "aws_static", "access_key_id", "AKIAI44QH8DHBEXAMPLE", "secret_access_key", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
	b := mustSignIn(t, s, s.OwnerKey)
	path := "/console/workspaces/" + k.workspace.ID + "/attach"
	ids := k.aws.ID + "," + second.ID
	p := b.get(path + "?ids=" + ids)
	if !strings.Contains(p.Body, "is wanted by both") || !strings.Contains(p.Body, `type="submit" disabled`) {
		t.Errorf("the draft:\n%s", p.Body)
	}
	if p := b.post(path, url.Values{"ids": {ids}, "revision": {"1"}}); p.Status != http.StatusConflict {
		t.Errorf("saving it all the same: got status %d, want 409", p.Status)
	}
}

// TestPickerOffersWhatMayBeAttached keeps another project's credential out of the picker, and out of the workspace.
func TestPickerOffersWhatMayBeAttached(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	other := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "other"}))(t)
	foreign := must(s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "foreign", CredentialType: "generic_env", ProjectID: sdk.Some(other.ID)}))(t)
	b := mustSignIn(t, s, s.OwnerKey)
	path := "/console/workspaces/" + k.workspace.ID + "/attach"
	if p := b.get(path + "?ids="); strings.Contains(p.Body, foreign.ID) || !strings.Contains(p.Body, k.aws.ID) {
		t.Errorf("the picker:\n%s", p.Body)
	}
	if p := b.get(path + "?ids=" + foreign.ID); !strings.Contains(p.Body, "scoped to another project") {
		t.Errorf("a draft with it:\n%s", p.Body)
	}
}

// TestNoticesAreTrue looks at what is said after something was stored or saved: it depends on what it comes to.
func TestNoticesAreTrue(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	stored := map[string]page{
		"The secrets are stored. Verify them now": b.upload("/console/credentials/"+k.aws.ID+"/secrets", "data.access_key_id", accessKeyID, "data.secret_access_key", secretAccessKey),
		"The variables are stored.":               b.upload("/console/credentials/"+k.env.ID+"/secrets", "name0", "TF_VAR_a", "value0", "EXAMPLE"),
	}
	without := mustCredential(t, s, "without", "generic_env")
	attach := "/console/workspaces/" + k.workspace.ID + "/attach"
	for _, step := range []struct{ ids, want string }{
		{k.env.ID, "Saved. The next run gets exactly this environment."}, {without.ID, "Saved, but the next run fails as things are"}, {"", "Saved. Nothing is attached"},
	} {
		stored[step.want] = b.fill(attach, "ids", step.ids)
	}
	for want, p := range stored {
		notice := regexp.MustCompile(`<p class="notice".*</p>`).FindString(p.Body)
		if !strings.Contains(notice, want) {
			t.Errorf("got %q, want %q (status %d at %s)", notice, want, p.Status, p.Path)
		}
	}
}

// TestPickerIsSorted looks for names in the order that people look for them in.
func TestPickerIsSorted(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	for _, name := range []string{"Zone", "alpha", "Beta", "gamma"} {
		mustCredential(t, s, name, "generic_env")
	}
	p := mustSignIn(t, s, s.OwnerKey).get("/console/workspaces/" + k.workspace.ID + "/attach?ids=")
	var got []string
	for _, option := range regexp.MustCompile(`<option value="[0-9a-f-]{36}">(\S+) \(`).FindAllStringSubmatch(p.Body, -1) {
		got = append(got, option[1])
	}
	if want := []string{"alpha", "aws-production", "Beta", "database", "gamma", "Zone"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDeletingAWorkspaceSaysWhichKeysBreak tells an owner which API keys reach nothing any more, and a member, who may not know them, how many.
func TestDeletingAWorkspaceSaysWhichKeysBreak(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	page := "/console/workspaces/" + k.workspace.ID + "/delete"
	member := mustSignIn(t, s, mustKey(t, s, "member").Key)
	if p := member.get(page); !strings.Contains(p.Body, "No API key is scoped to it.") {
		t.Errorf("no key:\n%s", p.Body)
	}
	for _, name := range []string{"ci-plan", "ci-apply"} {
		must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: name, Role: "runner", WorkspaceID: k.workspace.ID}))(t)
	}
	for name, b := range map[string]*browser{"a member": member, "an owner": mustSignIn(t, s, s.OwnerKey)} {
		p := b.get(page)
		if !strings.Contains(p.Body, "2 API keys are scoped to it") || strings.Contains(p.Body, "ci-apply") != (name == "an owner") {
			t.Errorf("%s is told:\n%s", name, p.Body)
		}
	}
}

// TestKeysSayWhenTheyWereUsed tells a key that works from one that nobody needs.
func TestKeysSayWhenTheyWereUsed(t *testing.T) {
	s := servertest.MustStart(t, nil)
	mustKey(t, s, "reader")
	used := mustKey(t, s, "runner")
	must(must(sdk.New(s.URL, used.Key))(t).Whoami(t.Context()))(t)
	body := mustSignIn(t, s, s.OwnerKey).get("/console/keys").Body
	for name, want := range map[string]string{"reader-key": `<span class="quiet">never</span>`, "runner-key": "<time "} {
		row := regexp.MustCompile(`(?s)<bdi>` + name + `</bdi>.*?</tr>`).FindString(body)
		cell := regexp.MustCompile(`<td data-label="Last used">(.*)</td>`).FindStringSubmatch(row)
		if cell == nil || !strings.HasPrefix(cell[1], want) {
			t.Errorf("%s: got %q, want %q", name, cell, want)
		}
	}
}

// TestRoles signs in with each role and looks at what is offered and what is refused.
func TestRoles(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	credential, workspace := "/console/credentials/"+k.aws.ID, "/console/workspaces/"+k.workspace.ID
	offers := regexp.MustCompile(`New credential|New workspace|New project|Replace secrets|Verify now|Change credentials|>Edit<|>Rotate|>Revoke<`)
	tests := []struct {
		role           string
		writes, admins bool
	}{{"reader", false, false}, {"runner", false, false}, {"member", true, false}, {"admin", true, true}}
	for _, test := range tests {
		t.Run(test.role, func(t *testing.T) {
			b := mustSignIn(t, s, mustKey(t, s, test.role).Key)
			for _, path := range []string{"/console/", "/console/credentials", credential, "/console/workspaces", workspace, "/console/projects", "/console/system"} {
				p := b.get(path)
				if found := offers.FindString(p.Body); found != "" && !test.writes {
					t.Errorf("%s offers %q", path, found)
				}
			}
			forbidden := func(p page) bool { return p.Status == http.StatusForbidden }
			if p := b.post(credential+"/verify", nil); forbidden(p) == test.writes {
				t.Errorf("verifying: got status %d", p.Status)
			}
			if p := b.post("/console/projects/new", url.Values{"name": {"made by " + test.role}}); forbidden(p) == test.writes {
				t.Errorf("creating a project: got status %d", p.Status)
			}
			for _, path := range []string{"/console/keys", "/console/audit", "/console/audit/export"} {
				if p := b.get(path); forbidden(p) == test.admins {
					t.Errorf("%s: got status %d", path, p.Status)
				}
			}
			if p := b.post("/console/system/rotate", url.Values{"confirm": {"rotate"}}); !forbidden(p) {
				t.Errorf("rotating the vault's key: got status %d", p.Status)
			}
		})
	}
}

// TestDeletion wants the name typed, names what stands in the way, and then deletes.
func TestDeletion(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	credential, workspace := "/console/credentials/"+k.env.ID, "/console/workspaces/"+k.workspace.ID
	mustCredential(t, s, "role", "aws_assume_role", "role_arn", "arn:aws:iam::123456789012:role/x", "source_credential_config_id", k.aws.ID)
	if p := b.get("/console/credentials/" + k.aws.ID + "/delete"); !strings.Contains(p.Body, "This stands in the way") || !strings.Contains(p.Body, "<bdi>role</bdi>") || strings.Contains(p.Body, `name="confirm"`) {
		t.Errorf("a credential that another one builds on:\n%s", p.Body)
	}
	if p := b.post(credential+"/delete", url.Values{"confirm": {"database"}}); p.Status != http.StatusConflict {
		t.Errorf("deleting it all the same: got status %d, want 409", p.Status)
	}
	for _, typed := range []string{"", "Network", "network "} {
		if p := b.fill(workspace+"/delete", "confirm", typed); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("typed %q: got status %d, want 422", typed, p.Status)
		}
	}
	if p := b.fill(workspace+"/delete", "confirm", "network"); p.Path != "/console/workspaces" || !strings.Contains(p.Body, "Deleted.") {
		t.Errorf("deleting the workspace: status %d at %s", p.Status, p.Path)
	}
	if p := b.fill(credential+"/delete", "confirm", "database"); p.Path != "/console/credentials" {
		t.Errorf("deleting the credential: status %d at %s", p.Status, p.Path)
	}
	if p := b.get(credential); p.Status != http.StatusNotFound {
		t.Errorf("afterwards: got status %d, want 404", p.Status)
	}
}

// TestKeyIsShownOnce makes a key by hand, uses it, and looks for it afterwards.
func TestKeyIsShownOnce(t *testing.T) {
	s := servertest.MustStart(t, nil)
	mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	p := b.fill("/console/keys/new", "name", "ci", "role", "reader", "scope", "", "days", "30")
	raw := regexp.MustCompile(`fc_live_[0-9a-zA-Z]+_[0-9a-zA-Z]+`).FindString(p.Body)
	if p.Status != http.StatusCreated || raw == "" || !strings.Contains(p.Body, "export FORGECROFT_API_KEY="+raw) {
		t.Fatalf("status %d\n%s", p.Status, p.Body)
	}
	who := must(s.MustClient(t, raw).Whoami(t.Context()))(t)
	if who.Role != "reader" || who.ExpiresAt == nil {
		t.Errorf("the key: %+v", who)
	}
	if p := b.get("/console/keys"); strings.Contains(p.Body, raw) || !strings.Contains(p.Body, "<bdi>ci</bdi>") {
		t.Errorf("the list of keys:\n%s", p.Body)
	}
	if p := b.fill("/console/keys/"+who.APIKey.ID+"/revoke", "confirm", "ci"); p.Path != "/console/keys" {
		t.Errorf("revoking it: status %d at %s", p.Status, p.Path)
	}
	if _, err := s.MustClient(t, raw).Whoami(t.Context()); err == nil {
		t.Error("a revoked key still works")
	}
}

// TestFormSentTwice makes one object, as an impatient double click does.
func TestFormSentTwice(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	form := url.Values{"name": {"platform"}, "once": {hidden.FindStringSubmatch(b.get("/console/projects/new").Body)[2]}}
	first, second := b.post("/console/projects/new", form), b.post("/console/projects/new", form)
	if first.Status != http.StatusOK || second.Path != first.Path {
		t.Errorf("got %s, then status %d at %s", first.Path, second.Status, second.Path)
	}
}

// TestProblemsForHtmx answers the forms that wait for a problem with a place to go (no page is swapped into a page).
func TestProblemsForHtmx(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	p := b.post("/console/workspaces/"+k.workspace.ID+"/delete", url.Values{"confirm": {"network"}}, "HX-Request", "true", "HX-Target", "problem")
	if p.Status != http.StatusNoContent || p.Header.Get("HX-Redirect") != "/console/workspaces" {
		t.Errorf("got status %d and HX-Redirect %q", p.Status, p.Header.Get("HX-Redirect"))
	}
}

// TestAudit filters the trail, exports it and checks it.
func TestAudit(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	must(s.Owner.Deliver(t.Context(), k.workspace.ID, sdk.DeliverRequest{}))(t)
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.get("/console/audit?action=environment.deliver"); strings.Count(p.Body, "<code>environment.deliver</code>") != 1 || strings.Contains(p.Body, "<code>project.create</code>") {
		t.Errorf("the filter:\n%s", p.Body)
	}
	if p := b.get("/console/audit?until=2001-01-01"); !strings.Contains(p.Body, "Nothing matches") {
		t.Errorf("a range in the past:\n%s", p.Body)
	}
	for query, want := range map[string]string{
		"since=yesterday": "A day is written as", "until=9999-12-31": "The year lies between", "since=2026-02-02&until=2026-02-01": "The last day lies before the first.",
	} {
		for _, path := range []string{"/console/audit?", "/console/audit/export?"} {
			if p := b.get(path + query); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, want) {
				t.Errorf("%s%s: got status %d, want 422 and %q\n%s", path, query, p.Status, want, p.Body)
			}
		}
	}
	if p := b.get("/console/audit?since=2026-02-02&until=2026-02-02"); p.Status != http.StatusOK {
		t.Errorf("a single day: got status %d, want 200", p.Status)
	}
	export := b.get("/console/audit/export")
	lines := strings.Split(strings.TrimSpace(export.Body), "\n")
	if !strings.HasPrefix(export.Header.Get("Content-Disposition"), "attachment") || len(lines) < 8 || !strings.Contains(lines[0], `"sequence":1,`) {
		t.Errorf("the export: %q\n%s", export.Header, export.Body)
	}
	if p := b.post("/console/audit/check", nil); !strings.Contains(p.Body, "events are intact") {
		t.Errorf("the check:\n%s", p.Body)
	}
}

// TestAuditCheckKeepsThePage checks the chain from a filtered page as a browser without scripts does: the answer shows the same events, and leads on to the older ones.
func TestAuditCheckKeepsThePage(t *testing.T) {
	s := servertest.MustStart(t, nil)
	for i := range 60 {
		must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprint("p", i)}))(t)
	}
	b := mustSignIn(t, s, s.OwnerKey)
	link := func(p page, pattern string) string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(p.Body)
		if found == nil {
			t.Fatalf("status %d at %s: nothing is like %s in\n%s", p.Status, p.Path, pattern, p.Body)
		}
		return html.UnescapeString(found[1])
	}
	first := b.get("/console/audit?action=project.create")
	checked := b.post(link(first, `<form method="post" id="check" action="([^"]+)"`), nil)
	if !strings.Contains(checked.Body, "events are intact") || strings.Count(checked.Body, "<code>project.create</code>") != 50 || strings.Contains(checked.Body, "<code>organization.create</code>") {
		t.Fatalf("the check shows other events:\n%s", checked.Body)
	}
	older := b.get(link(checked, `href="([^"]+)" rel="next"`))
	if older.Status != http.StatusOK || strings.Count(older.Body, "<code>project.create</code>") != 10 {
		t.Errorf("the older ones: status %d\n%s", older.Status, older.Body)
	}
	if again := b.post(link(older, `<form method="post" id="check" action="([^"]+)"`), nil); strings.Count(again.Body, "<code>project.create</code>") != 10 {
		t.Errorf("a check of the second page shows another one:\n%s", again.Body)
	}
}

// TestRotation rotates the vault's key by hand.
func TestRotation(t *testing.T) {
	s := servertest.MustStart(t, nil)
	mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	p := b.fill("/console/system/rotate", "confirm", "rotate")
	if p.Path != "/console/system" || strings.Count(p.Body, `quiet">seals `) != 2 {
		t.Errorf("status %d at %s\n%s", p.Status, p.Path, p.Body)
	}
}
