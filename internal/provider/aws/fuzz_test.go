package aws_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

// answering makes a client whose every call gets this answer.
func answering(status int, body []byte) *aws.Client {
	return aws.New(aws.Config{Now: start, Sleep: noSleep, HTTPClient: &http.Client{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		}),
	}})
}

// FuzzReply: whatever the bytes, a 200 never speaks against keys, a success is well formed, and an error says nothing of the bytes.
func FuzzReply(f *testing.F) {
	f.Add(200, []byte(identityBody("arn:aws:iam::123456789012:user/ci", account)))
	f.Add(200, []byte(sessionBody("terraform", "2026-11-23T13:00:00Z")))
	f.Add(403, []byte(stsError(403, "InvalidClientTokenId", "x").body))
	f.Add(400, []byte(stsError(400, "Throttling", "x").body))
	f.Add(200, []byte("<html>"))
	wellFormed := regexp.MustCompile(`^[0-9]{12}$`)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := answering(status, body)
		identity, err := c.CallerIdentity(t.Context(), longTerm(), "")
		judge(t, status, err)
		if err == nil && (status != 200 || !wellFormed.MatchString(identity.Account)) {
			t.Errorf("status %d made identity %+v", status, identity)
		}
		session, err := c.AssumeRole(t.Context(), longTerm(), "", aws.AssumeRoleInput{RoleARN: roleARN, SessionName: "run"})
		judge(t, status, err)
		if err == nil && (status != 200 || session.Keys.SessionToken == "" || !session.Expires.After(start())) {
			t.Errorf("status %d made a session of %s", status, session.AssumedRoleARN)
		}
	})
}

func judge(t *testing.T, status int, err error) {
	t.Helper()
	var failure *provider.Error
	switch {
	case err == nil:
	case !errors.As(err, &failure) || failure.Code == "" || failure.Detail == "":
		t.Errorf("error %v is not a full provider.Error", err)
	case failure.Kind == provider.Invalid && (status < 400 || status >= 500):
		t.Errorf("status %d made %v", status, failure)
	}
}

// TestRandomFaults: however calls go wrong, good keys never look bad, and bad keys never look good (PRV-2).
func TestRandomFaults(t *testing.T) {
	w := newWorld(t)
	kinds := slices.DeleteFunc(fault.Kinds(), func(k fault.Kind) bool { return k == fault.Slow }) // needs real time
	rapid.Check(t, func(t *rapid.T) {
		faults := rapid.SliceOfN(rapid.SampledFrom(kinds), 3, 3).Draw(t, "faults")
		for _, kind := range faults {
			w.fake.Faults().Next(kind, 1)
		}
		_, err := w.client.CallerIdentity(t.Context(), longTerm(), "")
		var failure *provider.Error
		if !errors.As(err, &failure) || failure.Kind != provider.Inconclusive {
			t.Fatalf("good keys, faults %v: %v", faults, err)
		}
		// Whatever faults are left do not help bad keys either.
		_, err = w.client.CallerIdentity(t.Context(), aws.Keys{AccessKeyID: keyID, SecretAccessKey: "wrong-EXAMPLE"}, "")
		if !errors.As(err, &failure) {
			t.Fatalf("bad keys, faults %v: %v", faults, err)
		}
		for drained := false; !drained; {
			_, err := w.client.CallerIdentity(t.Context(), longTerm(), "")
			drained = err == nil
		}
	})
}
