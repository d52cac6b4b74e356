package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	nethtml "golang.org/x/net/html"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestNobodyIsLedToARefusal follows every link, and sends every form that only looks, of every page that each role is offered in each scope: none may end in a refusal. It does so
// where nothing is yet, and where there is more than a narrow key may see.
func TestNobodyIsLedToARefusal(t *testing.T) {
	s := servertest.MustStart(t, nil)
	empty := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "empty"}))(t)
	for _, role := range []string{"reader", "runner", "member", "admin"} {
		t.Run("nothing yet/"+role, func(t *testing.T) { crawl(t, s, sdk.CreateAPIKey{Role: role, ProjectID: empty.ID}, 2) })
	}
	k := mustStock(t, s)
	mine := must(s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "mine", CredentialType: "generic_env", ProjectID: sdk.Some(k.project.ID)}))(t)
	must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "stuck", ProjectID: k.project.ID, CredentialConfigIDs: []string{mine.ID}}))(t)
	must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "elsewhere", ProjectID: empty.ID, CredentialConfigIDs: []string{k.env.ID}}))(t)
	gone := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "gone"}))(t)
	if err := s.Owner.DeleteProject(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	must(s.Owner.Deliver(t.Context(), k.workspace.ID, sdk.DeliverRequest{}))(t)
	for scope, request := range map[string]sdk.CreateAPIKey{"organization": {}, "project": {ProjectID: k.project.ID}, "workspace": {WorkspaceID: k.workspace.ID}} {
		for _, role := range []string{"reader", "runner", "member", "admin", "owner"} {
			if role == "owner" && scope != "organization" {
				continue // An owner's scope is the whole organization.
			}
			request.Role = role
			t.Run(scope+"/"+role, func(t *testing.T) { crawl(t, s, request, 4) })
		}
	}
}

// crawl goes wherever the pages lead that a new key is offered. least is how many there are in any case.
func crawl(t *testing.T, s *servertest.Server, request sdk.CreateAPIKey, least int) {
	t.Helper()
	request.Name = t.Name()
	b := mustSignIn(t, s, must(s.Owner.CreateAPIKey(t.Context(), request))(t).Key)
	from := map[string]string{"/console/": "nowhere"} // address → the page that leads there
	for queue := []string{"/console/"}; len(queue) > 0; queue = queue[1:] {
		p := b.get(queue[0])
		if p.Status >= http.StatusBadRequest {
			t.Errorf("%s leads to %s: status %d", from[queue[0]], queue[0], p.Status)
		}
		if !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, next := range leads(t, queue[0], p.Body) {
			if from[next] == "" {
				from[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	if len(from) < least {
		t.Errorf("only %d pages were found: %v", len(from), from)
	}
}

// leads lists the addresses of the console that a page leads to: its links, and its forms that only look, sent as they stand.
func leads(t *testing.T, base, body string) []string {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	add := func(address string, query url.Values) {
		u, err := must(url.Parse(base))(t).Parse(address)
		if err != nil {
			t.Errorf("%s leads to %q: %v", base, address, err)
			return
		}
		if query != nil {
			u.RawQuery = query.Encode()
		}
		if u.Host == "" && strings.HasPrefix(u.Path, "/console/") && !strings.HasPrefix(u.Path, "/console/static/") {
			found = append(found, u.RequestURI())
		}
	}
	for n := range root.Descendants() {
		switch {
		case n.Data == "a":
			add(valueOf(n, "href"), nil)
		case n.Data == "form" && valueOf(n, "method") == "get":
			add(valueOf(n, "action"), inputs(n))
		}
	}
	return found
}

// inputs is what a browser sends of a form that nobody has touched.
func inputs(form *nethtml.Node) url.Values {
	values := url.Values{}
	for n := range form.Descendants() {
		name := valueOf(n, "name")
		switch n.Data {
		case "input":
			values.Set(name, valueOf(n, "value"))
		case "select":
			for option := range n.Descendants() {
				_, selected := attribute(option, "selected")
				if option.Data == "option" && (selected || !values.Has(name)) {
					values.Set(name, valueOf(option, "value"))
				}
			}
		}
	}
	return values
}

// valueOf is the value of an attribute, or empty.
func valueOf(n *nethtml.Node, name string) string {
	value, _ := attribute(n, name)
	return value
}

// TestFormsAreForThoseWhoMay asks for forms by their addresses: who may not do what they are for learns it before filling them in.
func TestFormsAreForThoseWhoMay(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	credential, workspace, project := "/console/credentials/"+k.env.ID, "/console/workspaces/"+k.workspace.ID, "/console/projects/"+k.project.ID
	ofOrganization := []string{"/console/projects/new", credential + "/edit", credential + "/secrets", credential + "/paste", credential + "/delete"}
	ofProject := []string{"/console/credentials/new", "/console/credentials/new?type=generic_env", "/console/credentials/paste", "/console/workspaces/new", project + "/edit", project + "/delete"}
	ofWorkspace := []string{workspace + "/edit", workspace + "/attach", workspace + "/delete"}
	tests := []struct {
		name                 string
		request              sdk.CreateAPIKey
		organization, inside bool // whether its forms may be had
		own                  bool // those of the workspace
	}{
		{"reader", sdk.CreateAPIKey{Role: "reader"}, false, false, false},
		{"runner", sdk.CreateAPIKey{Role: "runner"}, false, false, false},
		{"member", sdk.CreateAPIKey{Role: "member"}, true, true, true},
		{"member of the project", sdk.CreateAPIKey{Role: "member", ProjectID: k.project.ID}, false, true, true},
		{"member of the workspace", sdk.CreateAPIKey{Role: "member", WorkspaceID: k.workspace.ID}, false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.request.Name = tt.name
			b := mustSignIn(t, s, must(s.Owner.CreateAPIKey(t.Context(), tt.request))(t).Key)
			check := func(may bool, paths []string) {
				want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[may]
				for _, path := range paths {
					if p := b.get(path); p.Status != want {
						t.Errorf("%s: got status %d, want %d", path, p.Status, want)
					}
				}
			}
			check(tt.organization, ofOrganization)
			check(tt.inside, ofProject)
			check(tt.own, ofWorkspace)
		})
	}
	narrow := mustSignIn(t, s, must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "narrow", Role: "admin", WorkspaceID: k.workspace.ID}))(t).Key)
	if p := narrow.get("/console/keys/new"); strings.Contains(p.Body, k.project.ID) || !strings.Contains(p.Body, "workspace:"+k.workspace.ID) {
		t.Errorf("an admin of a workspace is offered keys that reach further:\n%s", p.Body)
	}
	if p := narrow.get(project); p.Status != http.StatusOK || strings.Contains(p.Body, "/console/keys/new") {
		t.Errorf("an admin of a workspace is offered a key for the project: status %d\n%s", p.Status, p.Body)
	}
	b := mustSignIn(t, s, must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "admin", Role: "admin"}))(t).Key)
	owner := strings.Split(strings.TrimPrefix(s.OwnerKey, "fc_live_"), "_")[0]
	if p := b.get(fmt.Sprintf("/console/keys/%s-%s-%s-%s-%s/revoke", owner[:8], owner[8:12], owner[12:16], owner[16:20], owner[20:])); p.Status != http.StatusForbidden {
		t.Errorf("an admin asks to revoke an owner's key: got status %d, want 403", p.Status)
	}
}
