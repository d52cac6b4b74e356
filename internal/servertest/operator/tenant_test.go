//go:build unix

package operator_test

import (
	"encoding/json"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// tenant is what one organization has: a workspace that one credential is attached to.
type tenant struct{ project, workspace, config string }

const (
	variable = "TF_VAR_token"
	value    = "EXAMPLE-secret-value"
)

// mustFill makes a workspace with a generic_env credential.
func (s *server) mustFill(t *testing.T) tenant {
	t.Helper()
	project, err := s.client.CreateProject(t.Context(), sdk.CreateProject{Name: "shop"})
	must(t, project, err)
	config, err := s.client.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "settings", CredentialType: "generic_env"})
	must(t, config, err)
	s.mustStore(t, config.ID, value)
	workspace, err := s.client.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "prod", ProjectID: project.ID, CredentialConfigIDs: []string{config.ID}})
	must(t, workspace, err)
	return tenant{project.ID, workspace.ID, config.ID}
}

// mustStore stores a value for the variable.
func (s *server) mustStore(t *testing.T, config, value string) {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, text, err)
	stored, err := s.client.StoreSecrets(t.Context(), config, sdk.StoreSecrets{Data: map[string]json.RawMessage{variable: text}})
	must(t, stored, err)
}

// mustDeliver holds a delivery of the workspace against the value.
func (s *server) mustDeliver(t *testing.T, n tenant, want string) {
	t.Helper()
	env, err := s.client.Deliver(t.Context(), n.workspace, sdk.DeliverRequest{})
	if must(t, env, err).Env[variable] != want {
		t.Errorf("delivered %d characters that are not those stored", len(env.Env[variable]))
	}
}
