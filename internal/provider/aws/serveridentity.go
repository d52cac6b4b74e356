package aws

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// renewBefore is how long before they expire the server's keys are fetched again.
const renewBefore = 5 * time.Minute

// ServerIdentityConfig of [NewServerIdentity]. The zero value looks at this process and this machine.
type ServerIdentityConfig struct {
	// Client trades a web identity token for keys; required.
	Client *Client
	// HTTPClient reaches the container and instance endpoints, which are private by nature; nil: one is made.
	HTTPClient *http.Client
	// Getenv reads the environment; nil: [os.Getenv].
	Getenv func(string) string
	// ReadFile reads token files; nil: [os.ReadFile].
	ReadFile func(string) ([]byte, error)
	// MetadataURL is where the instance metadata service is; nil: http://169.254.169.254.
	MetadataURL *url.URL
}

// ServerIdentity is the AWS identity of this server itself, for assuming roles without stored keys. Make one only if the operator
// allowed it (SSRF-9). Sources, first match wins, as in AWS's own SDKs but without their files and profiles: AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY; AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN; the container credentials endpoint (ECS, EKS Pod Identity);
// the instance metadata service, version 2. It is safe for concurrent use.
type ServerIdentity struct {
	cfg  ServerIdentityConfig
	turn chan struct{} // one fetch at a time; holds the right to use the two below

	keys    Keys
	expires time.Time // zero: never
}

// NewServerIdentity makes a ServerIdentity; it asks nobody yet.
func NewServerIdentity(cfg ServerIdentityConfig) *ServerIdentity {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = provider.NewHTTPClient(provider.Options{AllowPrivate: true})
	}
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	if cfg.ReadFile == nil {
		cfg.ReadFile = os.ReadFile
	}
	if cfg.MetadataURL == nil {
		cfg.MetadataURL = &url.URL{Scheme: "http", Host: "169.254.169.254"}
	}
	return &ServerIdentity{cfg: cfg, turn: make(chan struct{}, 1)}
}

// Keys returns the server's keys, fetched again from 5 minutes before they expire. Its errors are inconclusive: they speak about
// this server, not about a credential.
func (s *ServerIdentity) Keys(ctx context.Context) (Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, provider.Budget)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Keys{}, noIdentity("The server's own AWS identity was not found in time.")
	}
	now := s.cfg.Client.now()
	if s.keys.AccessKeyID != "" && (s.expires.IsZero() || now.Before(s.expires.Add(-renewBefore))) {
		return s.keys, nil
	}
	keys, expires, err := s.fetch(ctx)
	if err != nil {
		return Keys{}, err
	}
	s.keys, s.expires = keys, expires
	return keys, nil
}

// fetch asks the first source that is configured. A source that is configured and fails is an error: the next one would be another
// identity.
func (s *ServerIdentity) fetch(ctx context.Context) (Keys, time.Time, error) {
	env := s.cfg.Getenv
	switch {
	case env("AWS_ACCESS_KEY_ID") != "" && env("AWS_SECRET_ACCESS_KEY") != "":
		return Keys{
			AccessKeyID: env("AWS_ACCESS_KEY_ID"), SecretAccessKey: env("AWS_SECRET_ACCESS_KEY"), SessionToken: env("AWS_SESSION_TOKEN"),
		}, time.Time{}, nil
	case env("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return s.webIdentity(ctx)
	case env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return s.container(ctx)
	case env("AWS_EC2_METADATA_DISABLED") != "true":
		return s.instance(ctx)
	}
	return Keys{}, time.Time{}, noIdentity("This server has no AWS identity: no keys, token file or container endpoint in its environment, " +
		"and the instance metadata service is switched off.")
}

// noIdentity is the outcome when the server's own identity cannot be had.
func noIdentity(detail string) *provider.Error { return provider.Unclear("server_identity", detail) }
