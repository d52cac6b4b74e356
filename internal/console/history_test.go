package console_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestDeliveriesInScope delivers one credential to the workspaces of two projects: whoever may read it sees the deliveries to workspaces in their scope, and who
// stored its secrets, but nobody else's workspaces.
func TestDeliveriesInScope(t *testing.T) {
	s := servertest.MustStart(t, nil)
	env := mustCredential(t, s, "settings", "generic_env", "TF_VAR_a", "EXAMPLE")
	mine := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "mine"}))(t)
	theirs := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "theirs"}))(t)
	for project, name := range map[string]string{mine.ID: "my-workspace", theirs.ID: "their-workspace"} {
		w := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: name, ProjectID: project, CredentialConfigIDs: []string{env.ID}}))(t)
		must(s.Owner.Deliver(t.Context(), w.ID, sdk.DeliverRequest{}))(t)
	}
	tests := []struct {
		name           string
		request        sdk.CreateAPIKey
		mine, theirs   bool
		chart          string
		storedByAnyone bool
	}{
		{"owner", sdk.CreateAPIKey{Role: "owner"}, true, true, "2 deliveries and 0 refusals", true},
		{"member", sdk.CreateAPIKey{Role: "member"}, true, true, "2 deliveries and 0 refusals", true},
		{"reader", sdk.CreateAPIKey{Role: "reader"}, true, true, "2 deliveries and 0 refusals", true},
		{"admin of a project", sdk.CreateAPIKey{Role: "admin", ProjectID: mine.ID}, true, false, "1 delivery and 0 refusals", true},
		{"reader of a project", sdk.CreateAPIKey{Role: "reader", ProjectID: mine.ID}, true, false, "1 delivery and 0 refusals", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.request.Name = tt.name
			b := mustSignIn(t, s, must(s.Owner.CreateAPIKey(t.Context(), tt.request))(t).Key)
			p := b.get("/console/credentials/" + env.ID)
			_, deliveries, _ := strings.Cut(p.Body, "Last deliveries")
			for name, want := range map[string]bool{"my-workspace": tt.mine, "their-workspace": tt.theirs} {
				if got := strings.Contains(deliveries, name); got != want {
					t.Errorf("a delivery to %s is shown: %v, want %v\n%s", name, got, want, p.Body)
				}
				if list := b.get("/console/credentials").Body; strings.Contains(list, name) != want {
					t.Errorf("%s is named in the list of credentials: %v, want %v\n%s", name, !want, want, list)
				}
			}
			if got := strings.Contains(p.Body, "by <bdi>owner</bdi>"); got != tt.storedByAnyone {
				t.Errorf("who stored the secrets is named: %v\n%s", got, p.Body)
			}
			if home := b.get("/console/").Body; !strings.Contains(home, tt.chart) {
				t.Errorf("the chart does not say %q:\n%s", tt.chart, home)
			}
		})
	}
}

// TestDeliveriesPage filters deliveries by everything that the page offers. A key of one project never sees another's.
func TestDeliveriesPage(t *testing.T) {
	s := servertest.MustStart(t, nil)
	first, second := mustCredential(t, s, "first", "generic_env", "TF_VAR_a", "EXAMPLE"), mustCredential(t, s, "second", "generic_env", "TF_VAR_b", "EXAMPLE")
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "p"}))(t)
	other := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "q"}))(t)
	shop := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "shop-ws", ProjectID: project.ID, CredentialConfigIDs: []string{first.ID}}))(t)
	data := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "data-ws", ProjectID: other.ID, CredentialConfigIDs: []string{second.ID}}))(t)
	ci := must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "ci", Role: "runner"}))(t)
	must(s.Owner.Deliver(t.Context(), shop.ID, sdk.DeliverRequest{}))(t)
	must(must(sdk.New(s.URL, ci.Key))(t).Deliver(t.Context(), data.ID, sdk.DeliverRequest{}))(t)
	reader := must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "r", Role: "reader", ProjectID: project.ID}))(t)
	owner, narrow := mustSignIn(t, s, s.OwnerKey), mustSignIn(t, s, reader.Key)
	tests := []struct {
		name, query string
		b           *browser
		shop, data  bool
	}{
		{"all", "", owner, true, true},
		{"workspace", "workspace=" + shop.ID, owner, true, false},
		{"credential", "credential=" + second.ID, owner, false, true},
		{"key", "key=" + ci.APIKey.ID, owner, false, true},
		{"outcome", "outcome=failed", owner, false, false},
		{"since", "since=2099-01-01T00:00", owner, false, false},
		{"until", "until=2000-01-01T00:00", owner, false, false},
		{"range", "since=2000-01-01T00:00&until=2099-01-01T00:00", owner, true, true},
		{"a key of one project", "", narrow, true, false},
		{"a workspace of another project", "workspace=" + data.ID, narrow, false, false},
		{"a project that the address names", "project=" + other.ID, narrow, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.b.get("/console/deliveries?" + tt.query)
			_, results, _ := strings.Cut(p.Body, `id="results"`)
			for name, want := range map[string]bool{"shop-ws": tt.shop, "data-ws": tt.data} {
				if got := strings.Contains(results, name); got != want || p.Status != http.StatusOK {
					t.Errorf("status %d; a delivery to %s is shown: %v, want %v\n%s", p.Status, name, got, want, results)
				}
			}
		})
	}
	if p := owner.get("/console/deliveries?since=yesterday"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Write a time as") || strings.Contains(p.Body, `value="yesterday"`) {
		t.Errorf("a time that is none: status %d\n%s", p.Status, p.Body)
	}
	if p := owner.get("/console/deliveries?since=2030-01-01T00:00&until=2029-01-01T00:00"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "The end must be after the start") {
		t.Errorf("a range that ends before it starts: status %d\n%s", p.Status, p.Body)
	}
	api := must(s.MustClient(t, reader.Key).Deliveries(t.Context(), sdk.ListOptions{Query: url.Values{"outcome": {"allowed"}, "since": {"2000-01-01T00:00:00Z"}}}))(t)
	if len(api.Items) != 1 || api.Items[0].WorkspaceName != "shop-ws" || api.Items[0].APIKeyName != "owner" || api.Items[0].Credentials != 1 {
		t.Errorf("the API lists to a key of one project: %+v", api.Items)
	}
	for parameter, value := range map[string]string{"workspace_id": data.ID, "credential_config_id": second.ID, "api_key_id": ci.APIKey.ID} {
		list := must(s.Owner.Deliveries(t.Context(), sdk.ListOptions{Query: url.Values{parameter: {value}}}))(t)
		if len(list.Items) != 1 || list.Items[0].WorkspaceName != "data-ws" {
			t.Errorf("the API lists with %s: %+v", parameter, list.Items)
		}
	}
	runner := mustSignIn(t, s, ci.Key)
	if p := runner.get("/console/deliveries"); p.Status != http.StatusForbidden {
		t.Errorf("a runner sees deliveries: status %d", p.Status)
	}
	if p := runner.get("/console/workspaces/" + shop.ID); p.Status != http.StatusOK || strings.Contains(p.Body, "Last deliveries") {
		t.Errorf("a runner sees deliveries of a workspace: status %d\n%s", p.Status, p.Body)
	}
}

// TestWorkspaceHealth shows the worst state of a workspace's credentials in the list, and each state on its page, before the deliveries and the environment.
func TestWorkspaceHealth(t *testing.T) {
	s := servertest.MustStart(t, nil)
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "p"}))(t)
	settings, empty := mustCredential(t, s, "settings", "generic_env", "TF_VAR_a", "EXAMPLE"), mustCredential(t, s, "empty", "gcp_service_account")
	unasked := mustCredential(t, s, "unasked", "aws_static", "access_key_id", accessKeyID, "secret_access_key", secretAccessKey)
	b := mustSignIn(t, s, s.OwnerKey)
	for want, ids := range map[string][]string{
		"no credentials": nil, ">healthy<": {settings.ID}, "1 without secrets": {settings.ID, empty.ID, unasked.ID}, "1 not verified": {settings.ID, unasked.ID},
	} {
		w := must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "w" + strings.Trim(want, "<>"), ProjectID: project.ID, CredentialConfigIDs: ids}))(t)
		if list := b.get("/console/workspaces?q=" + url.QueryEscape(w.Name)); !strings.Contains(list.Body, want) {
			t.Errorf("the list does not say %q:\n%s", want, list.Body)
		}
		p := b.get("/console/workspaces/" + w.ID)
		health, deliveries, environment := strings.Index(p.Body, ">Credentials</h2>"), strings.Index(p.Body, "Last deliveries"), strings.Index(p.Body, "The environment of")
		if health < 0 || health > deliveries || deliveries > environment || strings.Count(p.Body, `class="with-icon"`) != len(ids) {
			t.Errorf("%s: the sections begin at %d, %d and %d:\n%s", want, health, deliveries, environment, p.Body)
		}
	}
}

// TestNewerAndOlder walks through three pages and back: every page is the same again.
func TestNewerAndOlder(t *testing.T) {
	s := servertest.MustStart(t, nil)
	for i := range 105 {
		must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprintf("p-%03d", i)}))(t)
	}
	b := mustSignIn(t, s, s.OwnerKey)
	link := func(p page, rel string) string {
		m := regexp.MustCompile(`href="([^"]*)" rel="` + rel + `"`).FindStringSubmatch(p.Body)
		if m == nil {
			return ""
		}
		return html.UnescapeString(m[1])
	}
	rows := func(p page) string { return strings.Join(regexp.MustCompile(`p-\d{3}`).FindAllString(p.Body, -1), " ") }
	first := b.get("/console/projects?q=p-")
	second := b.get(link(first, "next"))
	third := b.get(link(second, "next"))
	if link(first, "prev") != "" || link(third, "next") != "" || !strings.Contains(rows(third), "p-000") {
		t.Fatalf("the ends of the list: before the first page %q, after the last one %q", link(first, "prev"), link(third, "next"))
	}
	back := b.get(link(third, "prev"))
	if rows(back) != rows(second) || rows(b.get(link(back, "prev"))) != rows(first) || rows(b.get(link(back, "next"))) != rows(third) {
		t.Errorf("back from the third page: got %s, want %s", rows(back), rows(second))
	}
}

// TestAuditNamesObjects shows what objects are called now, and the end of the id of what is gone.
func TestAuditNamesObjects(t *testing.T) {
	s := servertest.MustStart(t, nil)
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "before"}))(t)
	name := "after"
	must(s.Owner.UpdateProject(t.Context(), project.ID, 0, sdk.UpdateProject{Name: &name}))(t)
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.get("/console/audit?object=" + project.ID); strings.Count(p.Body, "project <bdi>after</bdi>") != 2 {
		t.Errorf("the project is not named:\n%s", p.Body)
	}
	owner := must(s.Owner.Whoami(t.Context()))(t)
	if p := b.get("/console/audit"); !strings.Contains(p.Body, `<a href="/console/audit?actor=`+owner.APIKey.ID+`"><bdi>owner</bdi></a>`) {
		t.Errorf("who did it does not lead to the rest of it:\n%s", p.Body)
	}
	if err := s.Owner.DeleteProject(t.Context(), project.ID); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/console/audit?object=" + project.ID); strings.Count(p.Body, "…"+project.ID[len(project.ID)-8:]) != 3 {
		t.Errorf("a project that is gone:\n%s", p.Body)
	}
}

// TestWorkspacesOfACredential follows the number in the list of credentials to the workspaces.
func TestWorkspacesOfACredential(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	for _, name := range []string{"second", "third", "fourth"} {
		must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: name, ProjectID: k.project.ID, CredentialConfigIDs: []string{k.env.ID}}))(t)
	}
	must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "unrelated", ProjectID: k.project.ID}))(t)
	b := mustSignIn(t, s, s.OwnerKey)
	address := "/console/workspaces?credential=" + k.env.ID
	if p := b.get("/console/credentials"); !strings.Contains(p.Body, `<a href="`+address+`">and 2 more</a>`) {
		t.Errorf("the list does not lead to the workspaces:\n%s", p.Body)
	}
	p := b.get(address)
	for name, want := range map[string]bool{"second": true, "third": true, "fourth": true, "unrelated": false} {
		if strings.Contains(p.Body, "<bdi>"+name+"</bdi>") != want {
			t.Errorf("%s is listed: %v, want %v\n%s", name, !want, want, p.Body)
		}
	}
	if p := b.get(address + "&q=four"); strings.Contains(p.Body, "<bdi>third</bdi>") || !strings.Contains(p.Body, "<bdi>fourth</bdi>") || !strings.Contains(p.Body, `name="credential" value="`+k.env.ID) {
		t.Errorf("searching in it:\n%s", p.Body)
	}
}

// TestCredentialOfOthers looks at a credential of the organization with the key of a project: that others use it is said, who they are is not.
func TestCredentialOfOthers(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	mine := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "mine"}))(t)
	key := must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "mine", Role: "member", ProjectID: mine.ID}))(t)
	b := mustSignIn(t, s, key.Key)
	address := "/console/workspaces?credential=" + k.env.ID
	elsewhere := "1 workspace outside of what this key reaches"
	if p := b.get("/console/credentials/" + k.env.ID); !strings.Contains(p.Body, "In "+elsewhere) || strings.Contains(p.Body, "Nowhere yet") || strings.Contains(p.Body, "network") {
		t.Errorf("the credential:\n%s", p.Body)
	}
	if p := b.get("/console/credentials"); !strings.Contains(p.Body, elsewhere) || strings.Contains(p.Body, address) || strings.Contains(p.Body, ">none<") {
		t.Errorf("the list:\n%s", p.Body)
	}
	for _, name := range []string{"first", "second", "third"} {
		must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: name, ProjectID: mine.ID, CredentialConfigIDs: []string{k.env.ID}}))(t)
	}
	if p := b.get("/console/credentials/" + k.env.ID); !strings.Contains(p.Body, "Also in "+elsewhere) || !strings.Contains(p.Body, "<bdi>third</bdi>") {
		t.Errorf("the credential, used here too:\n%s", p.Body)
	}
	if p := b.get("/console/credentials"); !strings.Contains(p.Body, elsewhere) || !strings.Contains(p.Body, `<bdi>first</bdi></a> <a href="`+address+`">and 2 more</a>`) {
		t.Errorf("the list, used here too:\n%s", p.Body)
	}
}

// TestHomeNamesConflicts attaches two AWS identities behind the broker's back, which refuses it: an older release, or a hand, may have.
func TestHomeNamesConflicts(t *testing.T) {
	b := mustBench(t)
	project := b.fill("/console/projects/new", "name", "shop").Path
	id := func(path string) string { return strings.Split(path, "/")[3] }
	var configs []string
	for _, name := range []string{"one", "two"} {
		config := b.fill("/console/credentials/new?type=aws_static", "name", name, "type", "aws_static", "project_id", "").Path
		config, _, _ = strings.Cut(config, "/secrets")
		b.upload(config+"/secrets", "data.access_key_id", accessKeyID, "data.secret_access_key", secretAccessKey)
		configs = append(configs, id(config))
	}
	workspace := id(b.fill("/console/workspaces/new", "name", "torn", "project_id", id(project)).Path)
	if p := b.get("/console/"); strings.Contains(p.Body, "Conflicting credentials") {
		t.Errorf("there is a conflict already:\n%s", p.Body)
	}
	organizations := must(b.store.Organizations(t.Context()))(t)
	err := b.store.Update(t.Context(), func(tx forgecroft.Tx) error {
		w, err := tx.Workspace(t.Context(), organizations[0].ID, workspace)
		if err != nil {
			return err
		}
		w.CredentialConfigIDs, w.Revision = configs, w.Revision+1
		return tx.UpdateWorkspace(context.Background(), w)
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := b.get("/console/"); !strings.Contains(p.Body, "Conflicting credentials") || !strings.Contains(p.Body, "torn") {
		t.Errorf("the conflict is not named:\n%s", p.Body)
	}
	if p := b.get("/console/workspaces/" + workspace); !strings.Contains(p.Body, `<span class="badge bad">conflict</span>`) {
		t.Errorf("the workspace does not show it:\n%s", p.Body)
	}
}
