package aws_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
)

const (
	keyID   = "AKIAIOSFODNN7EXAMPLE"
	secret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	account = "123456789012"
	roleARN = "arn:aws:iam::123456789012:role/deploy"
)

// clock is the fake's; the SDK signs with the machine's own.
type clock struct{ now time.Time }

func newFake(t *testing.T) (*fakeaws.Server, *clock, string) {
	t.Helper()
	c := &clock{time.Now()}
	fake := fakeaws.New(func() time.Time { return c.now })
	fake.AddUser(fakeaws.User{Account: account, Name: "ci", AccessKeyID: keyID, SecretAccessKey: secret})
	fake.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{"arn:aws:iam::123456789012:user/ci"}, ExternalID: "EXAMPLE-id"})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, c, server.URL
}

// real is the SDK's own client, the arbiter of what AWS's clients send and accept.
func real(endpoint, id, secret, token string) *sts.Client {
	return sts.New(sts.Options{
		BaseEndpoint: &endpoint, Region: "eu-west-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

// code returns AWS's code of an error.
func code(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestTheSDKsOwnClient(t *testing.T) {
	fake, c, endpoint := newFake(t)
	ctx := t.Context()
	who, err := real(endpoint, keyID, secret, "").GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Account != account || *who.Arn != "arn:aws:iam::123456789012:user/ci" {
		t.Fatalf("GetCallerIdentity = %+v, %v", who, err)
	}
	session, err := real(endpoint, keyID, secret, "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: sdk.String(roleARN), RoleSessionName: sdk.String("run-1"), ExternalId: sdk.String("EXAMPLE-id"),
	})
	if err != nil {
		t.Fatal(err)
	}
	given := session.Credentials
	temporary := real(endpoint, *given.AccessKeyId, *given.SecretAccessKey, *given.SessionToken)
	who, err = temporary.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != *session.AssumedRoleUser.Arn {
		t.Fatalf("GetCallerIdentity of the session = %+v, %v", who, err)
	}
	if got := fake.Calls(); len(got) != 3 || got[1].Params.Get("ExternalId") != "EXAMPLE-id" || got[0].Region != "eu-west-1" {
		t.Errorf("calls = %+v", got)
	}

	c.now = given.Expiration.Add(time.Second) // the SDK's clock is an hour behind now, which comes first
	_, err = temporary.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if got := code(err); got != "SignatureDoesNotMatch" {
		t.Errorf("an hour later: %s, want SignatureDoesNotMatch", got)
	}
}

func TestRefusals(t *testing.T) {
	ask := func(ctx context.Context, client *sts.Client) error {
		_, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	}
	assume := func(in sts.AssumeRoleInput) func(context.Context, *sts.Client) error {
		return func(ctx context.Context, client *sts.Client) error {
			_, err := client.AssumeRole(ctx, &in)
			return err
		}
	}
	role, name, id := sdk.String(roleARN), sdk.String("run-1"), sdk.String("EXAMPLE-id")
	tests := []struct {
		name  string
		setup func(*fakeaws.Server)
		id    string
		token string
		key   string
		call  func(context.Context, *sts.Client) error
		want  string
	}{
		{"wrong secret", nil, keyID, "", "wrong-EXAMPLE", ask, "SignatureDoesNotMatch"},
		{"unknown key", nil, "AKIAI44QH8DHBEXAMPLE", "", secret, ask, "InvalidClientTokenId"},
		{"stray session token", nil, keyID, "x", secret, ask, "InvalidClientTokenId"},
		{"inactive key", func(f *fakeaws.Server) { f.SetActive(keyID, false) }, keyID, "", secret, ask, "InvalidClientTokenId"},
		{"deleted key", func(f *fakeaws.Server) { f.DeleteKey(keyID) }, keyID, "", secret, ask, "InvalidClientTokenId"},
		{"fresh key", func(f *fakeaws.Server) { f.SetFresh(keyID, 1) }, keyID, "", secret, ask, "InvalidClientTokenId"},
		{"region off", func(f *fakeaws.Server) { f.DisableRegion("eu-west-1") }, keyID, "", secret, ask, "RegionDisabledException"},
		{"no external ID", nil, keyID, "", secret, assume(sts.AssumeRoleInput{RoleArn: role, RoleSessionName: name}), "AccessDenied"},
		{"wrong external ID", nil, keyID, "", secret, assume(sts.AssumeRoleInput{
			RoleArn: role, RoleSessionName: name, ExternalId: sdk.String("EXAMPLE-other"),
		}), "AccessDenied"},
		{"no such role", func(f *fakeaws.Server) { f.DeleteRole(roleARN) }, keyID, "", secret, assume(sts.AssumeRoleInput{
			RoleArn: role, RoleSessionName: name, ExternalId: id,
		}), "AccessDenied"},
		{"another user", func(f *fakeaws.Server) {
			f.AddUser(fakeaws.User{Account: account, Name: "eve", AccessKeyID: "AKIAEVEEVEEVEEXAMPLE", SecretAccessKey: secret})
		}, "AKIAEVEEVEEVEEXAMPLE", "", secret, assume(sts.AssumeRoleInput{RoleArn: role, RoleSessionName: name, ExternalId: id}), "AccessDenied"},
		{"above the role's maximum", nil, keyID, "", secret, assume(sts.AssumeRoleInput{
			RoleArn: role, RoleSessionName: name, ExternalId: id, DurationSeconds: sdk.Int32(7200),
		}), "ValidationError"},
		{"below 15 minutes", nil, keyID, "", secret, assume(sts.AssumeRoleInput{
			RoleArn: role, RoleSessionName: name, ExternalId: id, DurationSeconds: sdk.Int32(899),
		}), "ValidationError"},
		{"session name too short", nil, keyID, "", secret, assume(sts.AssumeRoleInput{
			RoleArn: role, RoleSessionName: sdk.String("a"), ExternalId: id,
		}), "ValidationError"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fake, _, endpoint := newFake(t)
			if tt.setup != nil {
				tt.setup(fake)
			}
			if got := code(tt.call(t.Context(), real(endpoint, tt.id, tt.key, tt.token))); got != tt.want {
				t.Errorf("code = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestClockSkew(t *testing.T) {
	_, c, endpoint := newFake(t)
	for _, off := range []time.Duration{-16 * time.Minute, 16 * time.Minute} {
		c.now = time.Now().Add(off)
		_, err := real(endpoint, keyID, secret, "").GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if got := code(err); got != "SignatureDoesNotMatch" || !strings.Contains(err.Error(), "Signature ") {
			t.Errorf("clock %v off: %v", off, err)
		}
	}
}

// TestTamperedRequest changes a signed request on its way.
func TestTamperedRequest(t *testing.T) {
	fake, _, _ := newFake(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		changed := strings.Replace(string(body), "run-1", "run-2", 1)
		r.Body = io.NopCloser(strings.NewReader(changed))
		fake.ServeHTTP(w, r)
	}))
	defer server.Close()
	_, err := real(server.URL, keyID, secret, "").AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: sdk.String(roleARN), RoleSessionName: sdk.String("run-1"), ExternalId: sdk.String("EXAMPLE-id"),
	})
	if got := code(err); got != "SignatureDoesNotMatch" {
		t.Errorf("code = %q, want SignatureDoesNotMatch", got)
	}
}

func TestChainedSessionsAreCappedAtAnHour(t *testing.T) {
	fake, _, endpoint := newFake(t)
	next := "arn:aws:iam::999999999999:role/next"
	fake.AddRole(fakeaws.Role{ARN: next, Trusted: []string{roleARN}, MaxSession: 12 * time.Hour})
	first, err := real(endpoint, keyID, secret, "").AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: sdk.String(roleARN), RoleSessionName: sdk.String("run-1"), ExternalId: sdk.String("EXAMPLE-id"),
	})
	if err != nil {
		t.Fatal(err)
	}
	given := first.Credentials
	chained := real(endpoint, *given.AccessKeyId, *given.SecretAccessKey, *given.SessionToken)
	for seconds, want := range map[int32]string{3600: "", 3601: "ValidationError"} {
		_, err := chained.AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: &next, RoleSessionName: sdk.String("run-1"), DurationSeconds: &seconds,
		})
		if got := code(err); got != want {
			t.Errorf("%d s: %q, want %q", seconds, got, want)
		}
	}
}

func TestUnsignedRequests(t *testing.T) {
	_, _, endpoint := newFake(t)
	tests := []struct {
		action, authorization, want string
	}{
		{"GetCallerIdentity", "", "MissingAuthenticationToken"},
		{"GetCallerIdentity", "AWS4-HMAC-SHA256 Credential=x", "IncompleteSignature"},
		{"DeleteEverything", "", "InvalidAction"},
		{"AssumeRoleWithWebIdentity", "", "AccessDenied"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			form := url.Values{"Action": {tt.action}, "Version": {"2011-06-15"}}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
			req.Header.Set("Authorization", tt.authorization)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if !strings.Contains(string(body), "<Code>"+tt.want+"</Code>") {
				t.Errorf("answer = %s, want code %s", body, tt.want)
			}
		})
	}
}
