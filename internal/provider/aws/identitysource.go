package aws

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// webIdentity is the source of EKS service accounts and other OIDC issuers.
func (s *ServerIdentity) webIdentity(ctx context.Context) (Keys, time.Time, error) {
	token, err := s.cfg.ReadFile(s.cfg.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
	if err != nil {
		return Keys{}, time.Time{}, noIdentity("The file that AWS_WEB_IDENTITY_TOKEN_FILE names cannot be read.")
	}
	name := cmp.Or(s.cfg.Getenv("AWS_ROLE_SESSION_NAME"), "forgecroft")
	region := cmp.Or(s.cfg.Getenv("AWS_REGION"), s.cfg.Getenv("AWS_DEFAULT_REGION"))
	session, err := s.cfg.Client.assumeRoleWithWebIdentity(ctx, region, s.cfg.Getenv("AWS_ROLE_ARN"), name, strings.TrimSpace(string(token)))
	if err != nil {
		return Keys{}, time.Time{}, noIdentity("STS did not accept the web identity token of this server. " +
			"Check AWS_ROLE_ARN and the role's trust policy.")
	}
	return session.Keys, session.Expires, nil
}

// container is the source of ECS tasks and EKS Pod Identity.
func (s *ServerIdentity) container(ctx context.Context) (Keys, time.Time, error) {
	target := s.cfg.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if relative := s.cfg.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); relative != "" {
		target = "http://169.254.170.2/" + strings.TrimPrefix(relative, "/")
	}
	if !containerHost(target) {
		return Keys{}, time.Time{}, noIdentity("The container credentials endpoint must use https, or be on this machine or at one of " +
			"AWS's link-local addresses.")
	}
	header := http.Header{}
	token := s.cfg.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := s.cfg.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		text, err := s.cfg.ReadFile(file)
		if err != nil {
			return Keys{}, time.Time{}, noIdentity("The file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names cannot be read.")
		}
		token = strings.TrimSpace(string(text))
	}
	if token != "" {
		header.Set("Authorization", token)
	}
	body, err := s.ask(ctx, http.MethodGet, target, header)
	if err != nil {
		return Keys{}, time.Time{}, err
	}
	return s.parse(body)
}

// containerHost reports whether a container credentials URL may be asked: the rule of AWS's own SDKs.
func containerHost(raw string) bool {
	target, err := url.Parse(raw)
	if err != nil || target.User != nil {
		return false
	}
	if target.Scheme == "https" {
		return target.Host != ""
	}
	addr, err := netip.ParseAddr(target.Hostname())
	known := []string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
	local := target.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return target.Scheme == "http" && (local || slices.Contains(known, target.Hostname()))
}

// instance is the source of EC2: version 2 of the metadata service, which wants a session token first. Version 1 is never asked.
func (s *ServerIdentity) instance(ctx context.Context) (Keys, time.Time, error) {
	const credentials = "/latest/meta-data/iam/security-credentials/"
	base := s.cfg.MetadataURL.String()
	token, err := s.ask(ctx, http.MethodPut, base+"/latest/api/token", http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"300"}})
	if err != nil {
		return Keys{}, time.Time{}, err
	}
	session := http.Header{"X-Aws-Ec2-Metadata-Token": {string(token)}}
	role, err := s.ask(ctx, http.MethodGet, base+credentials, session)
	if err != nil {
		return Keys{}, time.Time{}, err
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(role)), "\n")
	body, err := s.ask(ctx, http.MethodGet, base+credentials+url.PathEscape(name), session)
	if err != nil {
		return Keys{}, time.Time{}, err
	}
	return s.parse(body)
}

// ask makes one call to a source on this machine's own network.
func (s *ServerIdentity) ask(ctx context.Context, method, target string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, noIdentity("The address of the server's AWS identity is not a URL.")
	}
	req.Header = header
	reply, err := provider.Send(s.cfg.HTTPClient, req)
	if err != nil || reply.Status != http.StatusOK {
		return nil, noIdentity("This server's AWS identity could not be fetched. Give it keys, a role, or switch the server identity off.")
	}
	return reply.Body, nil
}

// parse reads the keys that container and instance endpoints answer with.
func (s *ServerIdentity) parse(body []byte) (Keys, time.Time, error) {
	object, err := provider.ParseObject(body)
	id, okID := object.Text("AccessKeyId")
	secret, okSecret := object.Text("SecretAccessKey")
	token, okToken := object.Text("Token")
	expiration, okExpiration := object.Text("Expiration")
	expires, timeErr := time.Parse(time.RFC3339, expiration)
	if err != nil || !okID || !okSecret || !okToken || !okExpiration || timeErr != nil || !expires.After(s.cfg.Client.now()) {
		return Keys{}, time.Time{}, noIdentity("The source of this server's AWS identity answered with something else than keys.")
	}
	return Keys{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, expires.UTC(), nil
}
