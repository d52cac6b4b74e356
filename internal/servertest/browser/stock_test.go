package browser_test

import (
	"encoding/json"
	"testing"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// The secrets that the fakes of the providers know.
const (
	account         = "111122223333"
	accessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	secretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	cloudflareToken = "cfut_EXAMPLEexampleEXAMPLEexampleEXAMPLEexamp0123abcd"
	deployRole      = "arn:aws:iam::" + account + ":role/shop-deploy"
)

// mustAddUser makes the fake of AWS know the good key.
func mustAddUser(t *testing.T, s *servertest.Server) {
	t.Helper()
	s.AWS.AddUser(fakeaws.User{Account: account, Name: "forgecroft", AccessKeyID: accessKeyID, SecretAccessKey: secretAccessKey})
}

// stock fills a server through its API.
type stock struct {
	t *testing.T
	s *servertest.Server
}

// mustStock makes an organization as it is after some weeks, and returns the id of each object whose page is looked at, by name.
func mustStock(t *testing.T, s *servertest.Server) map[string]string {
	t.Helper()
	mustAddUser(t, s)
	k := stock{t, s}
	shop := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "shop", Description: "What customers see, and what it stands on."}))(t)
	must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "data-platform", Description: "Pipelines, warehouse, dashboards."}))(t)
	aws := k.mustCredential("Production AWS", "aws_static", "Account "+account+", for everything that has no role yet.", "access_key_id", accessKeyID, "secret_access_key", secretAccessKey, "region", "eu-central-1")
	k.verify(aws)
	role := k.mustRole("Shop deploy role", aws)
	sandbox := k.mustCredential("Sandbox AWS", "aws_static", "", "access_key_id", "AKIAI44QH8DHBEXAMPLE", "secret_access_key", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
	k.verify(sandbox)
	loader := k.mustCredential("BigQuery loader", "gcp_service_account", "")
	s.Cloudflare.AddToken(fakecloudflare.Token{Value: cloudflareToken, ID: "0123456789abcdef0123456789abcdef"})
	unasked := k.mustCredential("Old CI token", "cloudflare_api_token", "", "api_token", "EXAMPLEabcdefghijklmnopqrstuvwxyz0123456")
	s.Cloudflare.AddToken(fakecloudflare.Token{Value: "EXAMPLEabcdefghijklmnopqrstuvwxyz0123456", ID: "fedcba9876543210fedcba9876543210"})
	dns := k.mustCredential("Cloudflare DNS", "cloudflare_api_token", "Zone shop.example", "api_token", cloudflareToken)
	k.verify(dns)
	settings := k.mustCredential("Shop settings", "generic_env", "", "TF_VAR_greeting", "hello from the EXAMPLE vault", "TF_VAR_replicas", "3")
	k.mustCredential("Datadog", "generic_env", "", "DD_API_KEY", "EXAMPLE")
	prod := k.mustWorkspace("shop-prod", "The shop as customers see it.", shop.ID, role, dns, settings)
	stuck := k.mustWorkspace("shop-staging", "", shop.ID, sandbox, loader)
	for range 7 {
		must(s.Owner.Deliver(t.Context(), prod, sdk.DeliverRequest{}))(t)
	}
	key := must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "ci-shop-prod", Role: "runner"}))(t)
	return map[string]string{
		"project": shop.ID, "unasked": unasked, "aws": aws, "role": role, "bad": sandbox, "dns": dns, "settings": settings, "gcp": loader, "prod": prod, "stuck": stuck, "key": key.ID,
	}
}

// mustOddStock adds what strains a page: names that are long, run from right to left, or have two spaces in a row.
func mustOddStock(t *testing.T, s *servertest.Server) map[string]string {
	t.Helper()
	ids := mustStock(t, s)
	const long = "-with-a-very-long-name-that-somebody-thought-was-a-good-idea-and-nobody-dared-to-change-since"
	k := stock{t, s}
	k.mustCredential("a-credential"+long, "generic_env", "")
	k.mustCredential("مفتاح الإنتاج", "generic_env", "", "TOKEN", "EXAMPLE")
	k.mustWorkspace("a-workspace"+long, "", ids["project"])
	must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "منصة", Description: "A name that runs from right to left."}))(t)
	ids["spaced"] = must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "two  spaces"}))(t).ID
	return ids
}

// mustCredential makes a credential config of the organization, with secrets if there are pairs, and returns its id.
func (k stock) mustCredential(name, kind, description string, pairs ...string) string {
	k.t.Helper()
	c := must(k.s.Owner.CreateCredentialConfig(k.t.Context(), sdk.CreateCredentialConfig{Name: name, CredentialType: kind, Description: description}))(k.t)
	if len(pairs) > 0 {
		k.mustStore(c.ID, pairs...)
	}
	return c.ID
}

// mustStore stores secrets.
func (k stock) mustStore(id string, pairs ...string) {
	k.t.Helper()
	data := map[string]json.RawMessage{}
	for i := 0; i+1 < len(pairs); i += 2 {
		data[pairs[i]] = must(json.Marshal(pairs[i+1]))(k.t)
	}
	must(k.s.Owner.StoreSecrets(k.t.Context(), id, sdk.StoreSecrets{Data: data}))(k.t)
}

// mustRole makes a role to assume from a source, known to AWS and verified.
func (k stock) mustRole(name, source string) string {
	k.t.Helper()
	c := must(k.s.Owner.CreateCredentialConfig(k.t.Context(), sdk.CreateCredentialConfig{Name: name, CredentialType: "aws_assume_role", Description: "What deploys of the shop may do."}))(k.t)
	k.s.AWS.AddRole(fakeaws.Role{ARN: deployRole, Trusted: []string{"arn:aws:iam::" + account + ":user/forgecroft"}, ExternalID: c.ExternalID})
	k.mustStore(c.ID, "role_arn", deployRole, "source_credential_config_id", source)
	k.verify(c.ID)
	return c.ID
}

// verify asks the provider; what it says shows in the pages.
func (k stock) verify(id string) {
	k.t.Helper()
	must(k.s.Owner.Verify(k.t.Context(), id))(k.t)
}

// mustWorkspace makes a workspace and returns its id.
func (k stock) mustWorkspace(name, description, project string, credentials ...string) string {
	k.t.Helper()
	w := must(k.s.Owner.CreateWorkspace(k.t.Context(), sdk.CreateWorkspace{Name: name, Description: description, ProjectID: project, CredentialConfigIDs: credentials}))(k.t)
	return w.ID
}

// must unwraps what must not fail.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
