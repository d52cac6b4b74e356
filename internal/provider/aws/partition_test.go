package aws_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

func TestPartitionOfRegion(t *testing.T) {
	tests := []struct{ region, want string }{
		{"us-east-1", "aws"},
		{"eu-central-2", "aws"},
		{"mx-central-1", "aws"},
		{"ap-southeast-5", "aws"},
		{"cn-north-1", "aws-cn"},
		{"us-gov-west-1", "aws-us-gov"},
		{"eusc-de-east-1", "aws-eusc"},
		{"us-iso-east-1", "aws-iso"},
		{"us-isob-east-1", "aws-iso-b"},
		{"eu-isoe-west-1", "aws-iso-e"},
		{"us-isof-south-1", "aws-iso-f"},
		{"", ""},
		{"global", ""},
		{"xx-east-1", ""},
		{"us-east", ""},
		{"US-EAST-1", ""},
		{"us-east-1.evil.com", ""},
		{"us-east-1#", ""},
		{"us-east-1@evil.com", ""},
		{"us-east-1\n", ""},
		{"../", ""},
		{"us-east-1/..", ""},
		{"eusc-fr-east-1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.region, func(t *testing.T) {
			got, ok := aws.PartitionOfRegion(tt.region)
			if got != tt.want || ok != (tt.want != "") || aws.ValidRegion(tt.region) != ok {
				t.Errorf("PartitionOfRegion(%q) = %q, %v; want %q", tt.region, got, ok, tt.want)
			}
		})
	}
}

func TestPartitionOfARN(t *testing.T) {
	tests := []struct{ arn, want string }{
		{"arn:aws:iam::123456789012:role/x", "aws"},
		{"arn:aws-us-gov:iam::123456789012:role/x", "aws-us-gov"},
		{"arn:aws-cn:iam::123456789012:role/x", "aws-cn"},
	}
	for _, tt := range tests {
		got, ok := aws.PartitionOfARN(tt.arn)
		if got != tt.want || !ok {
			t.Errorf("PartitionOfARN(%q) = %q, %v; want %q", tt.arn, got, ok, tt.want)
		}
		region := aws.DefaultRegion(got)
		if back, _ := aws.PartitionOfRegion(region); back != got {
			t.Errorf("DefaultRegion(%q) = %q, which is of partition %q", got, region, back)
		}
	}
	for _, arn := range []string{"", "arn", "arn:gcp:iam::1:x", "ARN:aws:iam::1:x", "aws:arn:x"} {
		if got, ok := aws.PartitionOfARN(arn); ok {
			t.Errorf("PartitionOfARN(%q) = %q, want none", arn, got)
		}
	}
}

// TestEndpoints watches where calls without an operator's endpoint would go.
func TestEndpoints(t *testing.T) {
	tests := []struct{ region, want string }{
		{"", "https://sts.us-east-1.amazonaws.com/"},
		{"eu-west-1", "https://sts.eu-west-1.amazonaws.com/"},
		{"us-gov-east-1", "https://sts.us-gov-east-1.amazonaws.com/"},
		{"cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/"},
		{"eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu/"},
		{"us-isob-east-1", "https://sts.us-isob-east-1.sc2s.sgov.gov/"},
	}
	for _, tt := range tests {
		t.Run(tt.region, func(t *testing.T) {
			var asked []string
			c := aws.New(aws.Config{HTTPClient: recording(&asked), Sleep: noSleep})
			c.CallerIdentity(t.Context(), longTerm(), tt.region)
			if len(asked) == 0 || asked[0] != tt.want {
				t.Errorf("asked %v, want %s", asked, tt.want)
			}
		})
	}

	var asked []string
	c := aws.New(aws.Config{HTTPClient: recording(&asked), Sleep: noSleep})
	_, err := c.CallerIdentity(t.Context(), longTerm(), "us-east-1.evil.com")
	check(t, err, provider.Inconclusive, provider.CodeRegion)
	_, err = c.AssumeRole(t.Context(), longTerm(), "", aws.AssumeRoleInput{RoleARN: "arn:aws:iam::123:role/x"})
	check(t, err, provider.Invalid, "invalid_role_arn")
	if len(asked) != 0 {
		t.Errorf("asked %v, want no call", asked)
	}
	c.AssumeRole(t.Context(), longTerm(), "", aws.AssumeRoleInput{RoleARN: "arn:aws-us-gov:iam::123456789012:role/x", SessionName: "run"})
	if len(asked) == 0 || asked[0] != "https://sts.us-gov-west-1.amazonaws.com/" {
		t.Errorf("asked %v, want the default region of the role's partition", asked)
	}
}

func TestKeysAreRedacted(t *testing.T) {
	keys := longTerm()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, keys); got != "aws.Keys(redacted)" {
			t.Errorf("Sprintf(%s) = %s", verb, got)
		}
	}
	if got := keys.LogValue().String(); got != "redacted" {
		t.Errorf("LogValue = %s", got)
	}
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// recording notes each call and answers none.
func recording(asked *[]string) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		*asked = append(*asked, r.URL.String())
		return nil, http.ErrServerClosed
	})}
}
