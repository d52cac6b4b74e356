package credtype_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

const gcpEmail = "ci@demo-project.iam.gserviceaccount.com"

// result is what matters of a verification: outcome, identity and code.
type result struct {
	Valid, Conclusive bool
	Identity, Error   string
}

func TestVerify(t *testing.T) {
	const (
		userARN    = "arn:aws:iam::123456789012:user/ci"
		sessionARN = "arn:aws:sts::123456789012:assumed-role/terraform/forgecroft-" + deliveryID
	)
	good := func(identity string) result { return result{true, true, identity, ""} }
	invalid := func(code string) result { return result{false, true, "", code} }
	unclear := func(code string) result { return result{false, false, "", code} }
	keys := input{"access_key_id": keyID, "secret_access_key": secretKey}
	role := input{"role_arn": roleARN}
	google := input{} // the key is filled in below
	token := input{"api_token": cfUser}
	tests := []struct {
		name    string
		typ     string
		input   input
		arrange func(w *world)
		want    result
	}{
		{"good", "aws_static", keys, func(*world) {}, good(userARN)},
		{"expected account", "aws_static", input{"access_key_id": keyID, "secret_access_key": secretKey, "expected_account_id": account}, func(*world) {}, good(userARN)},
		{"wrong account", "aws_static", input{"access_key_id": keyID, "secret_access_key": secretKey, "expected_account_id": "210987654321"}, func(*world) {}, result{false, true, userARN, "wrong_account"}},
		{"wrong secret", "aws_static", input{"access_key_id": keyID, "secret_access_key": "otherEXAMPLE"}, func(*world) {}, invalid("SignatureDoesNotMatch")},
		{"region not enabled", "aws_static", input{"access_key_id": keyID, "secret_access_key": secretKey, "region": "eu-south-1"}, func(w *world) { w.aws.SetNotEnabled("eu-south-1") }, unclear("region")},
		{"revoked", "aws_static", keys, func(w *world) { w.aws.DeleteKey(keyID) }, invalid("InvalidClientTokenId")},
		{"inactive", "aws_static", keys, func(w *world) { w.aws.SetActive(keyID, false) }, invalid("InvalidClientTokenId")},
		{"throttled", "aws_static", keys, func(w *world) { w.aws.Faults().Next(fault.Throttled, 9) }, unclear("throttled")},
		{"asked of a server that does not know", "aws_static", keys, func(w *world) { w.aws.Forget("GetCallerIdentity") }, unclear("unsupported")},
		{"down", "aws_static", keys, func(w *world) { w.aws.Faults().Next(fault.ServerError, 9) }, unclear("provider_error")},
		{"malformed", "aws_static", keys, func(w *world) { w.aws.Faults().Next(fault.Malformed, 9) }, unclear("protocol")},
		{"cut off", "aws_static", keys, func(w *world) { w.aws.Faults().Next(fault.Reset, 9) }, unclear("provider_unreachable")},
		{"one hiccup", "aws_static", keys, func(w *world) { w.aws.Faults().Next(fault.ServerError, 1) }, good(userARN)},
		{"R2's at the operator's endpoint", "aws_static", input{"access_key_id": "minioEXAMPLE12345", "secret_access_key": "x", "region": "auto"}, func(*world) {}, invalid("InvalidClientTokenId")},

		{"good", "aws_assume_role", role, func(*world) {}, good(sessionARN)},
		{"longer than the role allows", "aws_assume_role", input{"role_arn": roleARN, "duration_seconds": 43200}, func(w *world) {
			w.aws.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{account}, ExternalID: externalID, MaxSession: time.Hour})
		}, invalid("ValidationError")},
		{"asked of a server that does not know whose a session is", "aws_assume_role", role, func(w *world) { w.aws.Forget("GetCallerIdentity") }, good(sessionARN)},
		{"of another partition", "aws_assume_role", input{"role_arn": "arn:aws-cn:iam::123456789012:role/terraform"}, func(*world) {}, invalid("invalid_role_arn")},
		{"role gone", "aws_assume_role", role, func(w *world) { w.aws.DeleteRole(roleARN) }, invalid("AccessDenied")},
		{"not trusted", "aws_assume_role", role, func(w *world) {
			w.aws.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{"210987654321"}, ExternalID: externalID})
		}, invalid("AccessDenied")},
		{"source revoked", "aws_assume_role", role, func(w *world) { w.aws.DeleteKey(keyID) }, invalid("InvalidClientTokenId")},
		{"throttled", "aws_assume_role", role, func(w *world) { w.aws.Faults().Next(fault.Throttled, 9) }, unclear("throttled")},
		{"down", "aws_assume_role", role, func(w *world) { w.aws.Faults().Next(fault.HTML, 9) }, unclear("protocol")},

		{"good", "gcp_service_account", google, func(*world) {}, good(gcpEmail)},
		{"key disabled", "gcp_service_account", google, func(w *world) { w.gcp.SetKeyDisabled(gcpEmail, true) }, invalid("invalid_grant")},
		{"account deleted", "gcp_service_account", google, func(w *world) { w.gcp.DeleteAccount(gcpEmail) }, invalid("invalid_grant")},
		{"somebody else's", "gcp_service_account", google, func(w *world) { w.gcp.SetShownAs(gcpEmail, "x@demo-project.iam.gserviceaccount.com") }, invalid("identity_mismatch")},
		{"throttled", "gcp_service_account", google, func(w *world) { w.gcp.Faults().Next(fault.Throttled, 9) }, unclear("throttled")},
		{"down", "gcp_service_account", google, func(w *world) { w.gcp.Faults().Next(fault.ServerError, 9) }, unclear("provider_error")},

		{"user's", "cloudflare_api_token", token, func(*world) {}, good(cfTokenID)},
		{"account's", "cloudflare_api_token", input{"api_token": cfOwned, "account_id": cfAccount}, func(*world) {}, good(cfTokenID)},
		{"disabled", "cloudflare_api_token", token, func(w *world) { w.cloudflare.SetStatus(cfUser, fakecloudflare.Disabled) }, invalid("disabled")},
		{"expired", "cloudflare_api_token", token, func(w *world) { w.cloudflare.SetStatus(cfUser, fakecloudflare.Expired) }, invalid("expired")},
		{"revoked", "cloudflare_api_token", token, func(w *world) { w.cloudflare.DeleteToken(cfUser) }, invalid("1000")},
		{"restricted to other addresses", "cloudflare_api_token", token, func(w *world) {
			w.cloudflare.AddToken(fakecloudflare.Token{Value: cfUser, ID: cfTokenID, Elsewhere: true})
		}, unclear("ip_restricted")},
		{"an older one of an account, which is not named", "cloudflare_api_token", input{"api_token": cfLegacy}, func(w *world) {
			w.cloudflare.AddToken(fakecloudflare.Token{Value: cfLegacy, ID: cfTokenID, AccountID: cfAccount})
		}, unclear("account_id_required")},
		{"an older one of an account", "cloudflare_api_token", input{"api_token": cfLegacy, "account_id": cfAccount}, func(w *world) {
			w.cloudflare.AddToken(fakecloudflare.Token{Value: cfLegacy, ID: cfTokenID, AccountID: cfAccount})
		}, good(cfTokenID)},
		{"throttled", "cloudflare_api_token", token, func(w *world) { w.cloudflare.Faults().Next(fault.Throttled, 9) }, unclear("throttled")},
		{"down", "cloudflare_api_token", token, func(w *world) { w.cloudflare.Faults().Next(fault.ServerError, 9) }, unclear("provider_error")},

		{"nobody to ask", "generic_env", input{"A": "b"}, func(*world) {}, unclear("not_verifiable")},
	}
	for _, tt := range tests {
		t.Run(tt.typ+"/"+tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			ct := mustType(t, w.types, tt.typ)
			fields := tt.input
			if tt.typ == "gcp_service_account" {
				fields = input{"service_account_key": w.gcpKey(t)}
			}
			r := mustStore(t, ct, fields)
			r.Source = userSource()
			tt.arrange(w)
			v, err := ct.Verify(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, result{v.Valid, v.Conclusive, v.Identity, v.Error}); diff != "" {
				t.Errorf("verification (-want +got):\n%s", diff)
			}
			documented := append(outcomes(tt.typ), commonOutcomes()...)
			if !slices.ContainsFunc(documented, func(o outcomeDoc) bool { return o.outcome == tt.want.of() && o.code == tt.want.Error }) {
				t.Errorf("%s %q is not documented", tt.want.of(), tt.want.Error)
			}
			if v.Valid == (v.Detail != "") {
				t.Errorf("valid %v with detail %q", v.Valid, v.Detail)
			}
		})
	}
}

func TestVerifySlow(t *testing.T) {
	w := newWorld(t, nil)
	w.aws.Faults().Next(fault.Slow, 9)
	impatient := provider.NewHTTPClient(provider.Options{AllowPrivate: true})
	impatient.Timeout = 20 * time.Millisecond
	client := aws.New(aws.Config{
		Endpoint: serve(t, w.aws, ""), HTTPClient: impatient, Now: start,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	t.Cleanup(w.aws.Faults().Release) // before the servers close, which wait for their handlers
	ct := mustType(t, credtype.Registry(credtype.Config{AWS: client}), "aws_static")
	v, err := ct.Verify(t.Context(), mustStore(t, ct, input{"access_key_id": keyID, "secret_access_key": secretKey}))
	if err != nil || v.Valid || v.Conclusive || v.Error != "provider_unreachable" {
		t.Errorf("verification %+v, error %v", v, err)
	}
}

func TestVerifyNotAmazons(t *testing.T) {
	types := credtype.Registry(credtype.Config{AWS: aws.New(aws.Config{})})
	ct := mustType(t, types, "aws_static")
	v, err := ct.Verify(t.Context(), mustStore(t, ct, input{"access_key_id": "minioEXAMPLE12345", "secret_access_key": "x"}))
	if err != nil || v.Valid || v.Conclusive || v.Error != "not_amazon_key" {
		t.Errorf("verification %+v, error %v", v, err)
	}
}

func TestVerifyExternalIDProbe(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name     string
		probing  bool
		arrange  func(w *world)
		want     *bool
		warnings int
	}{
		{"enforced", true, func(*world) {}, &yes, 0},
		{"not enforced", true, func(w *world) { w.aws.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{account}}) }, &no, 1},
		{"switched off", false, func(*world) {}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *credtype.Config) { c.VerifyExternalID = tt.probing })
			tt.arrange(w)
			ct := mustType(t, w.types, "aws_assume_role")
			r := mustStore(t, ct, input{"role_arn": roleARN})
			r.Source = userSource()
			v, err := ct.Verify(t.Context(), r)
			if err != nil || !v.Valid {
				t.Fatalf("verification %+v, error %v", v, err)
			}
			if diff := cmp.Diff(tt.want, v.ExternalIDEnforced); diff != "" || len(v.Warnings) != tt.warnings {
				t.Errorf("enforced (-want +got):\n%s\nwarnings: %q", diff, v.Warnings)
			}
		})
	}
}

func TestVerifyProbeThatFailsStaysOpen(t *testing.T) {
	var w *world
	w = newWorld(t, func(c *credtype.Config) {
		c.AWS = aws.New(aws.Config{
			Endpoint: serve(t, failAfter(2, func() { w.aws.Faults().Next(fault.ServerError, 9) }, func() *fakeaws.Server { return w.aws }), ""), Now: start,
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		})
	})
	ct := mustType(t, w.types, "aws_assume_role")
	r := mustStore(t, ct, input{"role_arn": roleARN})
	r.Source = userSource()
	v, err := ct.Verify(t.Context(), r)
	if err != nil || !v.Valid || v.ExternalIDEnforced != nil || len(v.Warnings) != 1 {
		t.Errorf("verification %+v, error %v", v, err)
	}
}

// TestVerifyTellsTheEnd checks that a token's end is told, with a warning when it is near.
func TestVerifyTellsTheEnd(t *testing.T) {
	tests := []struct {
		name     string
		ends     time.Time
		warnings int
	}{
		{"never", time.Time{}, 0},
		{"soon", start().Add(24 * time.Hour), 1},
		{"late", start().Add(90 * 24 * time.Hour), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.cloudflare.AddToken(fakecloudflare.Token{Value: cfUser, ID: cfTokenID, ExpiresOn: tt.ends})
			ct := mustType(t, w.types, "cloudflare_api_token")
			v, err := ct.Verify(t.Context(), mustStore(t, ct, input{"api_token": cfUser}))
			if err != nil || !v.Valid || !v.ExpiresAt.Equal(tt.ends) || len(v.Warnings) != tt.warnings {
				t.Errorf("verification %+v, error %v", v, err)
			}
		})
	}
}

func TestVerifyChainedWarns(t *testing.T) {
	w := newWorld(t, nil)
	ct := mustType(t, w.types, "aws_assume_role")
	r := mustStore(t, ct, input{"role_arn": roleARN, "duration_seconds": 7200})
	r.Source, r.Chained = userSource(), true
	v, err := ct.Verify(t.Context(), r)
	if err != nil || !v.Valid || len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "3600") {
		t.Errorf("verification %+v, error %v", v, err)
	}
}

func TestVerifyServerIdentity(t *testing.T) {
	env := map[string]string{"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secretKey}
	for _, tt := range []struct {
		name    string
		arrange func(w *world)
		want    result
	}{
		{"good", func(*world) {}, result{true, true, "arn:aws:sts::123456789012:assumed-role/terraform/forgecroft-" + deliveryID, ""}},
		{"own key revoked", func(w *world) { w.aws.DeleteKey(keyID) }, result{Error: "server_identity"}},
		{"role gone", func(w *world) { w.aws.DeleteRole(roleARN) }, result{Conclusive: true, Error: "AccessDenied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *credtype.Config) {
				c.ServerIdentity = aws.NewServerIdentity(aws.ServerIdentityConfig{Client: c.AWS, Getenv: func(name string) string { return env[name] }})
			})
			tt.arrange(w)
			ct := mustType(t, w.types, "aws_assume_role")
			v, err := ct.Verify(t.Context(), mustStore(t, ct, input{"role_arn": roleARN}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, result{v.Valid, v.Conclusive, v.Identity, v.Error}); diff != "" {
				t.Errorf("verification (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifyCanceledIsNoResult(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"aws_static", "aws_assume_role", "gcp_service_account", "cloudflare_api_token"} {
		ct := mustType(t, w.types, name)
		r := mustStore(t, ct, map[string]input{
			"aws_static":           {"access_key_id": keyID, "secret_access_key": secretKey},
			"aws_assume_role":      {"role_arn": roleARN},
			"gcp_service_account":  {"service_account_key": w.gcpKey(t)},
			"cloudflare_api_token": {"api_token": cfUser},
		}[name])
		r.Source = userSource()
		if v, err := ct.Verify(ctx, r); !errors.Is(err, context.Canceled) || v.Conclusive {
			t.Errorf("%s: verification %+v, error %v", name, v, err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	verified := func(identity string, version int64) *forgecroft.Verification {
		return &forgecroft.Verification{Valid: true, Conclusive: true, Identity: identity, SecretVersion: version}
	}
	static := mustType(t, credtype.Registry(credtype.Config{}), "aws_static")
	for _, tt := range []struct {
		name   string
		config forgecroft.CredentialConfig
		want   string
	}{
		{"nothing known", forgecroft.CredentialConfig{Public: map[string]string{"access_key_id": keyID}}, ""},
		{"verified user", forgecroft.CredentialConfig{SecretVersion: 2, Verification: verified("arn:aws:iam::123456789012:user/ci", 2)}, "arn:aws:iam::123456789012:user/ci"},
		{"verified session", forgecroft.CredentialConfig{SecretVersion: 2, Verification: verified("arn:aws-cn:sts::123456789012:assumed-role/ci/x", 2)}, "arn:aws-cn:iam::123456789012:role/ci"},
		{"verified before", forgecroft.CredentialConfig{SecretVersion: 2, Verification: verified("arn:aws:iam::123456789012:user/ci", 1)}, ""},
		{"expected account", forgecroft.CredentialConfig{Public: map[string]string{"expected_account_id": account, "region": "us-gov-west-1"}}, "arn:aws-us-gov:iam::123456789012:root"},
		{"account in the key id", forgecroft.CredentialConfig{Public: map[string]string{"access_key_id": "ASIAQNZGKIQY56JQ7WML"}}, "arn:aws:iam::029608264753:root"},
	} {
		if got := static.Principal(tt.config); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
