package envname_test

import (
	"slices"
	"testing"

	"github.com/forgecroft/forgecroft/internal/envname"
)

func TestGroupsAreApart(t *testing.T) {
	seen := map[string]string{} // variable → group
	for _, g := range envname.Groups() {
		for _, name := range g.Members {
			if other, twice := seen[name]; twice {
				t.Errorf("%s is in the groups %s and %s", name, other, g.Name)
			}
			seen[name] = g.Name
			if envname.GroupOf(name) != g.Name || !slices.Contains(envname.Members(g.Name), name) || !envname.MayUnset(name) {
				t.Errorf("%s: group %q, may be unset: %v", name, envname.GroupOf(name), envname.MayUnset(name))
			}
		}
	}
	for _, name := range []string{"PATH", "LD_PRELOAD", "FORGECROFT_API_KEY", "X; id", ""} {
		if envname.MayUnset(name) || envname.GroupOf(name) != "" {
			t.Errorf("a delivery may unset %q", name)
		}
	}
	if !envname.MayUnset("TF_VAR_x") {
		t.Error("a delivery must not unset TF_VAR_x")
	}
}

func TestAzureRivals(t *testing.T) {
	for _, name := range []string{
		"ARM_OIDC_REQUEST_URL", "ARM_OIDC_REQUEST_TOKEN", "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID", "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
		"ARM_CLIENT_ID_FILE_PATH", "ARM_CLIENT_SECRET_FILE_PATH", "ARM_USE_AKS_WORKLOAD_IDENTITY", "ARM_MSI_ENDPOINT", "ARM_MSI_API_VERSION",
		"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT",
	} {
		if !slices.Contains(envname.Rivals("ARM_CLIENT_SECRET"), name) {
			t.Errorf("%s is no rival of ARM_CLIENT_SECRET", name)
		}
	}
	const pipeline = "ACTIONS_ID_TOKEN_REQUEST_URL"
	if !slices.Contains(envname.Rivals("ARM_OIDC_TOKEN"), pipeline) || slices.Contains(envname.Rivals("ARM_USE_OIDC"), pipeline) {
		t.Errorf("%s is to be a rival of a delivered token, and the token of a delivery without one", pipeline)
	}
	if len(envname.Rivals("TF_VAR_x")) != 0 {
		t.Error("a variable of no group has rivals")
	}
}
