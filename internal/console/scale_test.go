package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
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
