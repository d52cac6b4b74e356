package aws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

const (
	keyID   = "AKIAIOSFODNN7EXAMPLE"
	secret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	account = "123456789012"
	roleARN = "arn:aws:iam::123456789012:role/deploy/terraform"
	canary  = "CANARY-EXAMPLE"
)

func start() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func longTerm() aws.Keys { return aws.Keys{AccessKeyID: keyID, SecretAccessKey: secret} }

// client asks a handler, never waits, and lives at start().
func client(t *testing.T, handler http.Handler) *aws.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	endpoint, err := provider.ParseEndpoint(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return aws.New(aws.Config{
		Endpoint: endpoint,
		Now:      start,
		Sleep:    func(context.Context, time.Duration) error { return nil },
	})
}

// recorded is one answer as it was seen or documented.
type recorded struct {
	status int
	header http.Header
	body   string
}

func (r recorded) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Date", start().Format(http.TimeFormat))
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	w.Write([]byte(r.body))
}

func stsError(status int, code, message string) recorded {
	return recorded{status, nil, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message + ` ` + canary + `</Message></Error>
  <RequestId>4f4a1e6e-0000-4000-8000-000000000000</RequestId>
</ErrorResponse>`}
}

func identityBody(arn, account string) string {
	return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult><Arn>` + arn + `</Arn><UserId>AIDAEXAMPLE</UserId><Account>` + account + `</Account></GetCallerIdentityResult>
  <ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>`
}

func ok(body string) recorded { return recorded{200, nil, body} }

func with(r recorded, name, value string) recorded {
	r.header = http.Header{name: {value}}
	return r
}

// check compares a failure with what is wanted, and that none of the provider's own text came through.
func check(t *testing.T, err error, kind provider.Kind, code string) {
	t.Helper()
	var failure *provider.Error
	if !errors.As(err, &failure) {
		t.Fatalf("error = %v, want a provider.Error", err)
	}
	if failure.Kind != kind || failure.Code != code {
		t.Errorf("error = %v, want %s %s", failure, kind, code)
	}
	if failure.Detail == "" || strings.Contains(failure.Error(), canary) {
		t.Errorf("detail is empty or the provider's own: %q", failure.Detail)
	}
}

func TestCallerIdentityMapping(t *testing.T) {
	const user = "arn:aws:iam::123456789012:user/ci"
	hour := start().Add(time.Hour).Format(http.TimeFormat)
	good := identityBody(user, account)
	tests := []struct {
		name  string
		reply recorded
		kind  provider.Kind // empty: valid
		code  string
	}{
		{"valid user", ok(good), "", ""},
		{"valid root", ok(identityBody("arn:aws:iam::123456789012:root", account)), "", ""},
		{"valid session", ok(identityBody("arn:aws:sts::123456789012:assumed-role/r/s", account)), "", ""},
		{"valid in China", ok(identityBody("arn:aws-cn:iam::123456789012:user/ci", account)), "", ""},
		{"valid as application/xml", with(ok(good), "Content-Type", "application/xml; charset=utf-8"), "", ""},

		{"unknown key", stsError(403, "InvalidClientTokenId", "The security token included in the request is invalid."), provider.Invalid, "InvalidClientTokenId"},
		{"wrong secret", stsError(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"), provider.Invalid, "SignatureDoesNotMatch"},
		{"session over", stsError(403, "ExpiredToken", "The security token included in the request is expired"), provider.Invalid, "ExpiredToken"},
		{"session over, other name", stsError(400, "ExpiredTokenException", "expired"), provider.Invalid, "ExpiredTokenException"},
		{"malformed key", stsError(400, "IncompleteSignature", "Credential must have 5 slash-delimited elements"), provider.Invalid, "IncompleteSignature"},
		{"unrecognized client", stsError(403, "UnrecognizedClientException", "invalid"), provider.Invalid, "UnrecognizedClientException"},
		{"S3-like error", recorded{403, nil, `<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>`}, provider.Invalid, "InvalidAccessKeyId"},

		{"signature expired", stsError(403, "SignatureDoesNotMatch", "Signature expired: 20261123T110000Z is now earlier than"), provider.Inconclusive, provider.CodeClockSkew},
		{"signature of the future", stsError(403, "SignatureDoesNotMatch", "Signature not yet current: 20261123T130000Z is still later than"), provider.Inconclusive, provider.CodeClockSkew},
		{"wrong secret, but the clocks differ", with(stsError(403, "SignatureDoesNotMatch", "no match"), "Date", hour), provider.Inconclusive, provider.CodeClockSkew},
		{"request expired", stsError(400, "RequestExpired", "Request has expired"), provider.Inconclusive, provider.CodeClockSkew},
		{"throttled with 400", stsError(400, "Throttling", "Rate exceeded"), provider.Inconclusive, provider.CodeThrottled},
		{"throttled with 400, other name", stsError(400, "ThrottlingException", "Rate exceeded"), provider.Inconclusive, provider.CodeThrottled},
		{"request limit with 503", stsError(503, "RequestLimitExceeded", "Request limit exceeded."), provider.Inconclusive, provider.CodeThrottled},
		{"429 without a body", recorded{429, nil, ""}, provider.Inconclusive, provider.CodeThrottled},
		{"region disabled", stsError(403, "RegionDisabledException", "STS is not activated in this region"), provider.Inconclusive, provider.CodeRegion},
		{"opt-in region", stsError(403, "OptInRequired", "not subscribed"), provider.Inconclusive, provider.CodeRegion},
		{"service unavailable", stsError(503, "ServiceUnavailable", "unavailable"), provider.Inconclusive, provider.CodeProviderError},
		{"internal failure", stsError(500, "InternalFailure", "oops"), provider.Inconclusive, provider.CodeProviderError},
		{"internal failure with 400", stsError(400, "InternalFailure", "oops"), provider.Inconclusive, provider.CodeProviderError},
		{"a refusal with 500 is a failure", stsError(500, "InvalidClientTokenId", "oops"), provider.Inconclusive, provider.CodeProviderError},
		{"bad gateway of a proxy", recorded{502, nil, "<html>Bad Gateway</html>"}, provider.Inconclusive, provider.CodeProviderError},
		{"header stripped", stsError(403, "MissingAuthenticationToken", "Missing"), provider.Inconclusive, "MissingAuthenticationToken"},
		{"denied by an endpoint policy", stsError(403, "AccessDenied", "not authorized"), provider.Inconclusive, "AccessDenied"},
		{"unknown code", stsError(400, canary, "what"), provider.Inconclusive, provider.CodeProviderError},

		{"captive portal", with(ok("<html><body>"+canary+"</body></html>"), "Content-Type", "text/html"), provider.Inconclusive, provider.CodeProtocol},
		{"right body, wrong type", with(ok(good), "Content-Type", "text/html"), provider.Inconclusive, provider.CodeProtocol},
		{"JSON", with(ok(`{"Account":"123456789012"}`), "Content-Type", "application/json"), provider.Inconclusive, provider.CodeProtocol},
		{"empty 200", ok(""), provider.Inconclusive, provider.CodeProtocol},
		{"success with 201", recorded{201, nil, good}, provider.Inconclusive, provider.CodeProtocol},
		{"success with 403", recorded{403, nil, good}, provider.Inconclusive, provider.CodeProtocol},
		{"error with 200", recorded{200, nil, stsError(200, "InvalidClientTokenId", "").body}, provider.Inconclusive, provider.CodeProtocol},
		{"refusal as HTML", with(stsError(403, "InvalidClientTokenId", ""), "Content-Type", "text/html"), provider.Inconclusive, provider.CodeProtocol},
		{"403 of a firewall", with(recorded{403, nil, "<html>" + canary + "</html>"}, "Content-Type", "text/html"), provider.Inconclusive, provider.CodeProtocol},
		{"no namespace", ok(strings.Replace(good, ` xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`, "", 1)), provider.Inconclusive, provider.CodeProtocol},
		{"other namespace", ok(strings.Replace(good, "2011-06-15", "2010-05-08", 1)), provider.Inconclusive, provider.CodeProtocol},
		{"other action", ok(strings.ReplaceAll(good, "GetCallerIdentity", "GetSessionToken")), provider.Inconclusive, provider.CodeProtocol},
		{"no account", ok(identityBody(user, "")), provider.Inconclusive, provider.CodeProtocol},
		{"short account", ok(identityBody("arn:aws:iam::123:user/ci", "123")), provider.Inconclusive, provider.CodeProtocol},
		{"ARN of another account", ok(identityBody(user, "999999999999")), provider.Inconclusive, provider.CodeProtocol},
		{"ARN of another service", ok(identityBody("arn:aws:s3::123456789012:user/ci", account)), provider.Inconclusive, provider.CodeProtocol},
		{"ARN of an unknown partition", ok(identityBody("arn:aws-evil:iam::123456789012:user/ci", account)), provider.Inconclusive, provider.CodeProtocol},
		{"ARN with a line break", ok(identityBody("arn:aws:iam::123456789012:user/c\ni", account)), provider.Inconclusive, provider.CodeProtocol},
		{"account twice", ok(strings.Replace(good, "<Account>", "<Account>123456789012</Account><Account>", 1)), provider.Inconclusive, provider.CodeProtocol},
		{"something after the document", ok(good + good), provider.Inconclusive, provider.CodeProtocol},
		{"document type", ok(`<!DOCTYPE x [<!ENTITY e "x">]>` + good), provider.Inconclusive, provider.CodeProtocol},
		{"cut off inside", ok(good[:len(good)/2]), provider.Inconclusive, provider.CodeProtocol},
		{"redirect", with(recorded{302, nil, ""}, "Location", "https://evil.invalid/"), provider.Inconclusive, provider.CodeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := client(t, tt.reply).CallerIdentity(t.Context(), longTerm(), "eu-west-1")
			if tt.kind == "" {
				if err != nil || got.Account != account || !strings.HasPrefix(got.ARN, "arn:aws") {
					t.Errorf("CallerIdentity = %+v, %v; want success", got, err)
				}
				return
			}
			if got != (aws.Identity{}) {
				t.Errorf("identity %+v with an error", got)
			}
			check(t, err, tt.kind, tt.code)
		})
	}
}

func sessionBody(role, expiration string) string {
	return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
  <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:run-1</AssumedRoleId><Arn>arn:aws:sts::` + account + `:assumed-role/` + role + `/run-1</Arn></AssumedRoleUser>
  <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>` + secret + `</SecretAccessKey>
  <SessionToken>AQoDYXdzEXAMPLE==</SessionToken><Expiration>` + expiration + `</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>`
}

// nobody empties the role user of an answer.
func nobody(body string) string {
	before, _, _ := strings.Cut(body, "<AssumedRoleUser>")
	_, after, _ := strings.Cut(body, "</AssumedRoleUser>")
	return before + "<AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser>" + after
}

// TestUnnamedRole holds the public endpoints to what compatible servers are forgiven.
func TestUnnamedRole(t *testing.T) {
	replies := roundTrip(func(*http.Request) (*http.Response, error) {
		recorder := httptest.NewRecorder()
		ok(nobody(sessionBody("terraform", "2026-11-23T13:00:00Z"))).ServeHTTP(recorder, nil)
		return recorder.Result(), nil
	})
	public := aws.New(aws.Config{HTTPClient: &http.Client{Transport: replies}, Now: start})
	_, err := public.AssumeRole(t.Context(), longTerm(), "", aws.AssumeRoleInput{RoleARN: roleARN, SessionName: "run-1"})
	check(t, err, provider.Inconclusive, provider.CodeProtocol)
}

func TestAssumeRoleMapping(t *testing.T) {
	good := sessionBody("terraform", "2026-11-23T13:00:00Z")
	tests := []struct {
		name  string
		reply recorded
		kind  provider.Kind // empty: keys
		code  string
	}{
		{"keys", ok(good), "", ""},
		{"role user empty, as MinIO sends it", ok(nobody(good)), "", ""},
		{"denied", stsError(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole"), provider.Invalid, "AccessDenied"},
		{"role ARN that is none", stsError(400, "ValidationError", "Request ARN is invalid"), provider.Invalid, "invalid_role_arn"},
		{"role chaining for more than an hour", stsError(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."), provider.Invalid, "ValidationError"},
		{"another value", stsError(400, "ValidationError", "1 validation error detected: Value at 'externalId' failed to satisfy constraint"), provider.Inconclusive, "ValidationError"},
		{"endpoint of another region", stsError(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region."), provider.Inconclusive, "region"},
		{"duration too long", stsError(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration"), provider.Invalid, "ValidationError"},
		{"policy malformed", stsError(400, "MalformedPolicyDocument", "no"), provider.Invalid, "MalformedPolicyDocument"},
		{"policy too large", stsError(400, "PackedPolicyTooLarge", "no"), provider.Invalid, "PackedPolicyTooLarge"},
		{"base keys unknown", stsError(403, "InvalidClientTokenId", "no"), provider.Invalid, "InvalidClientTokenId"},
		{"region disabled", stsError(403, "RegionDisabledException", "no"), provider.Inconclusive, provider.CodeRegion},
		{"throttled", stsError(400, "Throttling", "no"), provider.Inconclusive, provider.CodeThrottled},
		{"denied with 503", stsError(503, "AccessDenied", "no"), provider.Inconclusive, provider.CodeProviderError},
		{"keys already expired", ok(sessionBody("terraform", "2026-11-23T11:59:59Z")), provider.Inconclusive, provider.CodeProtocol},
		{"expiration not a time", ok(sessionBody("terraform", "later")), provider.Inconclusive, provider.CodeProtocol},
		{"another role's keys", ok(sessionBody("admin", "2026-11-23T13:00:00Z")), provider.Inconclusive, provider.CodeProtocol},
		{"another account's keys", ok(strings.ReplaceAll(good, account, "999999999999")), provider.Inconclusive, provider.CodeProtocol},
		{"no session token", ok(strings.Replace(good, "AQoDYXdzEXAMPLE==", "", 1)), provider.Inconclusive, provider.CodeProtocol},
		{"secret with a line break", ok(strings.Replace(good, secret, "wJalr\nEXAMPLE", 1)), provider.Inconclusive, provider.CodeProtocol},
		{"an identity instead", ok(identityBody("arn:aws:iam::123456789012:user/ci", account)), provider.Inconclusive, provider.CodeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := aws.AssumeRoleInput{RoleARN: roleARN, SessionName: "run-1", ExternalID: "org@EXAMPLE"}
			got, err := client(t, tt.reply).AssumeRole(t.Context(), longTerm(), "", in)
			if tt.kind != "" {
				check(t, err, tt.kind, tt.code)
				return
			}
			if err != nil || got.Keys.SessionToken != "AQoDYXdzEXAMPLE==" || !got.Expires.Equal(start().Add(time.Hour)) {
				t.Errorf("AssumeRole = %+v, %v; want keys for an hour", got, err)
			}
		})
	}
}
