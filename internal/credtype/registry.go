// Package credtype holds the credential types: what each is made of, what it sets in a run's environment, and how its provider is
// asked about it.
//
// It exists so that the rest of Forgecroft knows no provider: a type is one declaration in one file, and the registry is the list of them. Adding
// a type is adding a file and a line in [Registry].
package credtype

import (
	"context"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
	"github.com/forgecroft/forgecroft/internal/provider/cloudflare"
	"github.com/forgecroft/forgecroft/internal/provider/gcp"
)

// Config is what the types need to ask their providers. The clients are required for delivery and verification; declarations and checks
// work without them.
type Config struct {
	AWS        *aws.Client
	GCP        *gcp.Client
	Cloudflare *cloudflare.Client

	// Now tells the time; nil: [time.Now]. Sleep waits between attempts; nil: a timer.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error

	// ServerIdentity assumes the roles that name no source; nil: the operator did not allow that.
	ServerIdentity *aws.ServerIdentity

	// VerifyExternalID lets the verification of a role try once without its external ID, to see whether the role insists on it. The try
	// leaves an AccessDenied in the owner's CloudTrail.
	VerifyExternalID bool
}

// Registry is every credential type, in the order they are shown.
func Registry(c Config) forgecroft.Registry {
	registry := forgecroft.Registry{
		awsStatic(c),
		awsAssumeRole(c),
		gcpServiceAccount(c),
		cloudflareAPIToken(c),
		genericEnv(),
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	s := settling{now: now, retrier: provider.Retrier{Sleep: c.Sleep}}
	for i, t := range registry {
		registry[i] = s.around(t)
	}
	return registry
}
