package aws_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

// world is a fake STS with one user and one role, a client of it, and the clock of each.
type world struct {
	fake   *fakeaws.Server
	client *aws.Client
	now    time.Time // of the client
	slept  []time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: start()}
	w.fake = fakeaws.New(start)
	w.fake.AddUser(fakeaws.User{Account: account, Name: "ci", AccessKeyID: keyID, SecretAccessKey: secret})
	w.fake.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{account}, ExternalID: "org@EXAMPLE", MaxSession: 2 * time.Hour})
	server := httptest.NewServer(w.fake)
	t.Cleanup(server.Close)
	endpoint, err := provider.ParseEndpoint(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.client = aws.New(aws.Config{
		Endpoint: endpoint,
		Now:      func() time.Time { return w.now },
		Sleep:    func(_ context.Context, d time.Duration) error { w.slept = append(w.slept, d); return nil },
		Jitter:   func() float64 { return 0.5 },
	})
	return w
}

func TestCallerIdentityAgainstAFake(t *testing.T) {
	w := newWorld(t)
	got, err := w.client.CallerIdentity(t.Context(), longTerm(), "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	want := aws.Identity{Account: account, ARN: "arn:aws:iam::123456789012:user/ci", UserID: "AIDACIEXAMPLE"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if got := w.fake.Calls()[0].Region; got != "eu-west-1" {
		t.Errorf("signed for %s", got)
	}

	// Same region as above: a signing key remembered from the right secret would make this one look right.
	_, err = w.client.CallerIdentity(t.Context(), aws.Keys{AccessKeyID: keyID, SecretAccessKey: "cut-off-EXAMPLE"}, "eu-west-1")
	check(t, err, provider.Invalid, "SignatureDoesNotMatch")
	_, err = w.client.CallerIdentity(t.Context(), aws.Keys{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: "mixed"}, "")
	check(t, err, provider.Invalid, "InvalidClientTokenId")
	w.fake.SetActive(keyID, false)
	_, err = w.client.CallerIdentity(t.Context(), longTerm(), "")
	check(t, err, provider.Invalid, "InvalidClientTokenId")
	w.fake.SetActive(keyID, true)
	w.fake.DisableRegion("ap-east-1")
	_, err = w.client.CallerIdentity(t.Context(), longTerm(), "ap-east-1")
	check(t, err, provider.Inconclusive, provider.CodeRegion)
	for _, off := range []time.Duration{-20 * time.Minute, 20 * time.Minute} {
		w.now = start().Add(off)
		_, err = w.client.CallerIdentity(t.Context(), longTerm(), "")
		check(t, err, provider.Inconclusive, provider.CodeClockSkew)
	}
}

func TestAssumeRoleAgainstAFake(t *testing.T) {
	w := newWorld(t)
	in := aws.AssumeRoleInput{RoleARN: roleARN, SessionName: "fc-run-1", ExternalID: "org@EXAMPLE", DurationSeconds: 7200}
	session, err := w.client.AssumeRole(t.Context(), longTerm(), "", in)
	if err != nil {
		t.Fatal(err)
	}
	if session.AssumedRoleARN != "arn:aws:sts::123456789012:assumed-role/terraform/fc-run-1" || !session.Expires.Equal(start().Add(2*time.Hour)) {
		t.Errorf("session of %s until %s", session.AssumedRoleARN, session.Expires)
	}
	identity, err := w.client.CallerIdentity(t.Context(), session.Keys, "")
	if err != nil || identity.ARN != session.AssumedRoleARN {
		t.Errorf("CallerIdentity of the session = %+v, %v", identity, err)
	}

	without := in
	without.ExternalID = ""
	_, err = w.client.AssumeRole(t.Context(), longTerm(), "", without)
	check(t, err, provider.Invalid, "AccessDenied")
	calls := w.fake.Calls()
	if last := calls[len(calls)-1]; last.Params.Has("ExternalId") {
		t.Error("an external ID was sent although none was asked for")
	}
	_, err = w.client.AssumeRole(t.Context(), session.Keys, "", in)
	check(t, err, provider.Invalid, "ValidationError") // chained for more than an hour
	in.DurationSeconds = 10800
	_, err = w.client.AssumeRole(t.Context(), longTerm(), "", in)
	check(t, err, provider.Invalid, "ValidationError") // above the role's maximum
}

// TestRegionNotEnabled asks in a region that the account has not enabled, where STS knows none of its keys.
func TestRegionNotEnabled(t *testing.T) {
	w := newWorld(t)
	w.fake.SetNotEnabled("eu-south-1")
	if _, err := w.client.CallerIdentity(t.Context(), longTerm(), "eu-central-1"); err != nil {
		t.Errorf("in another region: %v", err)
	}
	_, err := w.client.CallerIdentity(t.Context(), longTerm(), "eu-south-1")
	check(t, err, provider.Inconclusive, "region")
	if !strings.Contains(err.Error(), "eu-south-1") {
		t.Errorf("the region is not named: %v", err)
	}
	_, err = w.client.AssumeRole(t.Context(), longTerm(), "eu-south-1", aws.AssumeRoleInput{RoleARN: roleARN, SessionName: "test"})
	check(t, err, provider.Inconclusive, "region")
	w.fake.DeleteKey(keyID)
	_, err = w.client.CallerIdentity(t.Context(), longTerm(), "eu-south-1")
	check(t, err, provider.Invalid, "InvalidClientTokenId")
}

func TestTransientFaultsAreAskedAgain(t *testing.T) {
	tests := []struct {
		name      string
		kind      fault.Kind
		count     int
		wantFault string // empty: success in the end
	}{
		{"one 503", fault.ServerError, 1, ""},
		{"two resets", fault.Reset, 2, ""},
		{"two throttles with 400", fault.Throttled, 2, ""},
		{"three throttles with 400", fault.Throttled, 3, provider.CodeThrottled},
		{"three resets", fault.Reset, 3, provider.CodeUnreachable},
		{"one portal", fault.HTML, 1, provider.CodeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.fake.Faults().Next(tt.kind, tt.count)
			_, err := w.client.CallerIdentity(t.Context(), longTerm(), "")
			if tt.wantFault != "" {
				check(t, err, provider.Inconclusive, tt.wantFault)
				return
			}
			if err != nil {
				t.Errorf("CallerIdentity: %v", err)
			}
		})
	}
}

// TestSlowProvider needs the caller's own deadline, not a wait.
func TestSlowProvider(t *testing.T) {
	w := newWorld(t)
	w.fake.Faults().Next(fault.Slow, 3)
	defer w.fake.Faults().Release()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.client.CallerIdentity(ctx, longTerm(), "")
	check(t, err, provider.Inconclusive, provider.CodeUnreachable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v does not say that time ran out", err)
	}
}
