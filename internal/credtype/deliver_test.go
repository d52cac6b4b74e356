package credtype_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func TestDeliverStored(t *testing.T) {
	w := newWorld(t, nil)
	const odd = "line 1\nline 2\t\"$(id)\" \u00e9\r\n"
	tests := []struct {
		name  string
		typ   string
		input input
		want  [][2]string
	}{
		{"key", "aws_static", input{"access_key_id": keyID, "secret_access_key": secretKey, "expected_account_id": account}, [][2]string{{"AWS_ACCESS_KEY_ID", keyID}, {"AWS_SECRET_ACCESS_KEY", secretKey}}},
		{"key with all", "aws_static", input{"access_key_id": "ASIAIOSFODNN7EXAMPLE", "secret_access_key": secretKey, "session_token": "IQoJEXAMPLE", "region": "eu-west-1"}, [][2]string{
			{"AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"},
			{"AWS_SECRET_ACCESS_KEY", secretKey},
			{"AWS_SESSION_TOKEN", "IQoJEXAMPLE"},
			{"AWS_REGION", "eu-west-1"},
			{"AWS_DEFAULT_REGION", "eu-west-1"},
		}},
		{"token", "cloudflare_api_token", input{"api_token": cfUser}, [][2]string{{"CLOUDFLARE_API_TOKEN", cfUser}}},
		{"token and account", "cloudflare_api_token", input{"api_token": cfOwned, "account_id": cfAccount}, [][2]string{{"CLOUDFLARE_API_TOKEN", cfOwned}, {"CLOUDFLARE_ACCOUNT_ID", cfAccount}}},
		{"variables", "generic_env", input{"B": odd, "A": ""}, [][2]string{{"A", ""}, {"B", odd}}},
	}
	for _, tt := range tests {
		t.Run(tt.typ+"/"+tt.name, func(t *testing.T) {
			ct := mustType(t, w.types, tt.typ)
			r := mustStore(t, ct, tt.input)
			c, err := ct.Deliver(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, set(c)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if len(c.Files) != 0 || !c.ExpiresAt.IsZero() {
				t.Errorf("files %v, expiry %v; want none", c.Files, c.ExpiresAt)
			}
			checkForetold(t, ct, r, c)
		})
	}
}

// checkForetold holds what was delivered to what the metadata foretold.
func checkForetold(t *testing.T, ct forgecroft.CredentialType, r forgecroft.Resolution, c forgecroft.Contribution) {
	t.Helper()
	var foretold, delivered []string
	for _, v := range ct.Effect(r.Config).Variables {
		foretold = append(foretold, v.Name)
	}
	for _, v := range c.Variables {
		delivered = append(delivered, v.Name)
		if v.SourceID != configID {
			t.Errorf("%s comes from %q", v.Name, v.SourceID)
		}
	}
	for _, f := range c.Files {
		delivered = append(delivered, f.Env)
	}
	slices.Sort(foretold)
	slices.Sort(delivered)
	if diff := cmp.Diff(foretold, delivered); diff != "" {
		t.Errorf("variables (-foretold +delivered):\n%s", diff)
	}
}

func TestDeliverGoogleToken(t *testing.T) {
	w := newWorld(t, nil)
	ct := mustType(t, w.types, "gcp_service_account")
	r := mustStore(t, ct, input{"service_account_key": w.gcpKey(t), "project": "other-project"})
	c, err := ct.Deliver(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	token := c.Lookup("GOOGLE_OAUTH_ACCESS_TOKEN").Reveal()
	want := [][2]string{{"GOOGLE_OAUTH_ACCESS_TOKEN", token}, {"GOOGLE_PROJECT", "other-project"}, {"GOOGLE_CLOUD_PROJECT", "other-project"}}
	if diff := cmp.Diff(want, set(c)); diff != "" || token == "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if len(c.Files) != 0 || !c.ExpiresAt.After(start()) || c.ExpiresAt.After(start().Add(time.Hour)) {
		t.Errorf("files %v, expiry %v", c.Files, c.ExpiresAt)
	}
	checkForetold(t, ct, r, c)
}

func TestDeliverGoogleKey(t *testing.T) {
	w := newWorld(t, nil)
	ct := mustType(t, w.types, "gcp_service_account")
	r := mustStore(t, ct, input{"service_account_key": w.gcpKey(t), "delivery": "key"})
	c, err := ct.Deliver(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	key := r.Values["service_account_key"].Reveal()
	want := [][2]string{{"GOOGLE_CREDENTIALS", key}, {"GOOGLE_PROJECT", "demo-project"}, {"GOOGLE_CLOUD_PROJECT", "demo-project"}}
	if diff := cmp.Diff(want, set(c)); diff != "" || strings.Contains(key, "\n") {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if len(c.Files) != 1 || c.Files[0].Name != "gcp-key.json" || c.Files[0].Env != "GOOGLE_APPLICATION_CREDENTIALS" || c.Files[0].Content.Reveal() != key {
		t.Errorf("files: %+v", c.Files)
	}
	if len(w.gcp.Calls()) != 0 {
		t.Error("Google was asked")
	}
	checkForetold(t, ct, r, c)
}

func TestDeliverRole(t *testing.T) {
	w := newWorld(t, nil)
	ct := mustType(t, w.types, "aws_assume_role")
	r := mustStore(t, ct, input{"role_arn": roleARN, "duration_seconds": 7200, "region": "eu-west-1", "session_name": strings.Repeat("n", 64)})
	r.Source = userSource()
	c, err := ct.Deliver(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	id := c.Lookup("AWS_ACCESS_KEY_ID").Reveal()
	if !strings.HasPrefix(id, "ASIA") || c.Lookup("AWS_SESSION_TOKEN").IsZero() || c.Lookup("AWS_REGION").Reveal() != "eu-west-1" {
		t.Errorf("environment: id %s, %d variables", id, len(c.Variables))
	}
	if !c.ExpiresAt.Equal(start().Add(2 * time.Hour)) {
		t.Errorf("expires at %v", c.ExpiresAt)
	}
	checkForetold(t, ct, r, c)
	calls := w.aws.Calls()
	sent := calls[len(calls)-1].Params
	wantName := strings.Repeat("n", 27) + "-" + deliveryID
	if sent.Get("ExternalId") != externalID || sent.Get("RoleSessionName") != wantName || len(wantName) != 64 {
		t.Errorf("sent %v", sent)
	}

	r.Chained = true
	if c, err = ct.Deliver(t.Context(), r); err != nil || !c.ExpiresAt.Equal(start().Add(time.Hour)) {
		t.Errorf("chained: expires at %v, error %v; want an hour", c.ExpiresAt, err)
	}
}

func TestDeliverChain(t *testing.T) {
	w := newWorld(t, nil)
	ct := mustType(t, w.types, "aws_assume_role")
	first := mustStore(t, ct, input{"role_arn": roleARN})
	first.Source = userSource()
	session, err := ct.Deliver(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	second := mustStore(t, ct, input{"role_arn": roleARN, "duration_seconds": 43200})
	second.Source = &session
	c, err := ct.Deliver(t.Context(), second)
	if err != nil || !c.ExpiresAt.Equal(start().Add(time.Hour)) {
		t.Errorf("expires at %v, error %v; want an hour", c.ExpiresAt, err)
	}
}

func TestDeliverFailures(t *testing.T) {
	type arrange func(w *world, r *forgecroft.Resolution)
	tests := []struct {
		name       string
		typ        string
		arrange    arrange
		code       string
		conclusive bool
	}{
		{"no source", "aws_assume_role", func(_ *world, r *forgecroft.Resolution) { r.Source = nil }, "no_source_identity", true},
		{"source without keys", "aws_assume_role", func(_ *world, r *forgecroft.Resolution) { r.Source = &forgecroft.Contribution{} }, "no_source_identity", true},
		{"role gone", "aws_assume_role", func(w *world, _ *forgecroft.Resolution) { w.aws.DeleteRole(roleARN) }, "AccessDenied", true},
		{"other external id", "aws_assume_role", func(_ *world, r *forgecroft.Resolution) { r.Config.ExternalID = "other-EXAMPLE" }, "AccessDenied", true},
		{"source revoked", "aws_assume_role", func(w *world, _ *forgecroft.Resolution) { w.aws.DeleteKey(keyID) }, "InvalidClientTokenId", true},
		{"AWS down", "aws_assume_role", func(w *world, _ *forgecroft.Resolution) { w.aws.Faults().Next(fault.ServerError, 9) }, "provider_error", false},
		{"AWS throttles", "aws_assume_role", func(w *world, _ *forgecroft.Resolution) { w.aws.Faults().Next(fault.Throttled, 9) }, "throttled", false},
		{"key disabled", "gcp_service_account", func(w *world, _ *forgecroft.Resolution) {
			w.gcp.DeleteAccount("ci@demo-project.iam.gserviceaccount.com")
		}, "invalid_grant", true},
		{"Google down", "gcp_service_account", func(w *world, _ *forgecroft.Resolution) { w.gcp.Faults().Next(fault.Malformed, 9) }, "protocol", false},
	}
	for _, tt := range tests {
		t.Run(tt.typ+"/"+tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			ct := mustType(t, w.types, tt.typ)
			fields := input{"role_arn": roleARN}
			if tt.typ == "gcp_service_account" {
				fields = input{"service_account_key": w.gcpKey(t)}
			}
			r := mustStore(t, ct, fields)
			r.Source = userSource()
			tt.arrange(w, &r)
			c, err := ct.Deliver(t.Context(), r)
			var refused *forgecroft.ProviderError
			if !errors.As(err, &refused) || refused.Code != tt.code || refused.Conclusive != tt.conclusive || refused.Detail == "" {
				t.Errorf("error %+v, want %s (conclusive: %v)", err, tt.code, tt.conclusive)
			}
			if len(c.Variables)+len(c.Files) != 0 {
				t.Errorf("something was delivered: %v", c)
			}
		})
	}
}

func TestRoleNeedsItsExternalID(t *testing.T) {
	w := newWorld(t, nil)
	ct := mustType(t, w.types, "aws_assume_role")
	r := mustStore(t, ct, input{"role_arn": roleARN})
	r.Source, r.Config.ExternalID = userSource(), ""
	if _, err := ct.Deliver(t.Context(), r); err == nil || len(w.aws.Calls()) != 0 {
		t.Errorf("error %v, %d calls; the role must not be assumed without an external ID", err, len(w.aws.Calls()))
	}
	if _, err := mustType(t, credtype.Registry(credtype.Config{}), "aws_assume_role").Verify(t.Context(), r); err == nil {
		t.Error("verified without an external ID")
	}
}
