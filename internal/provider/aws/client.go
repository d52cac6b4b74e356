package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// Config of [New]. The zero value asks the public endpoints.
type Config struct {
	// Endpoint is asked instead of the regional ones; from [provider.ParseEndpoint]. nil: by region.
	Endpoint *url.URL
	// HTTPClient must come from [provider.NewHTTPClient]; nil: one is made, private addresses allowed only with an Endpoint.
	HTTPClient *http.Client
	// Now tells the time; nil: [time.Now].
	Now func() time.Time
	// Sleep waits between attempts; nil: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter returns a number in [0,1) that spreads the waits; nil: random.
	Jitter func() float64
}

// Client asks STS. It is safe for concurrent use.
type Client struct {
	endpoint *url.URL
	http     *http.Client
	now      func() time.Time
	retrier  provider.Retrier
}

// New makes a client.
func New(cfg Config) *Client {
	c := &Client{
		endpoint: cfg.Endpoint,
		http:     cfg.HTTPClient,
		now:      cfg.Now,
		retrier:  provider.Retrier{Sleep: cfg.Sleep, Jitter: cfg.Jitter},
	}
	if c.http == nil {
		c.http = provider.NewHTTPClient(provider.Options{AllowPrivate: cfg.Endpoint != nil})
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// OwnEndpoint reports whether the operator's endpoint is asked. Only then can keys that are not Amazon's be verified.
func (c *Client) OwnEndpoint() bool { return c.endpoint != nil }

// call makes one STS action, asked again where that helps, within [provider.Budget] in all. read gets each answer with status 200.
//
// A region that the account has not enabled says of every key that it does not exist. So before such an answer counts, the
// default region of the partition is asked whether it knows the key.
func (c *Client) call(ctx context.Context, keys Keys, region string, params url.Values, read func(provider.Reply) error) error {
	ctx, cancel := context.WithTimeout(ctx, provider.Budget)
	defer cancel()
	err := c.repeat(ctx, keys, region, params, read)
	elsewhere := otherRegion(region)
	var failure *provider.Error
	if keys.AccessKeyID == "" || elsewhere == "" || !errors.As(err, &failure) || failure.Code != "InvalidClientTokenId" {
		return err
	}
	who := url.Values{"Action": {"GetCallerIdentity"}}
	ignored := func(provider.Reply) error { return nil }
	if c.repeat(ctx, keys, elsewhere, who, ignored) != nil {
		return err
	}
	return provider.Unclear(provider.CodeRegion, "AWS knows the key, but not in the region "+region+": the account has not enabled that region. "+
		"Enable it in the account's settings, or choose another region.")
}

// otherRegion is the default region of a region's partition, or empty if that is the region itself.
func otherRegion(region string) string {
	found, ok := lookupRegion(region)
	if !ok || found.defaultRegion == region {
		return ""
	}
	return found.defaultRegion
}

// repeat makes one call, again while the failure is transient.
func (c *Client) repeat(ctx context.Context, keys Keys, region string, params url.Values, read func(provider.Reply) error) error {
	return c.retrier.Do(ctx, func(ctx context.Context) error { return c.once(ctx, keys, region, params, read) })
}

// once makes one call. Without keys it is not signed.
func (c *Client) once(ctx context.Context, keys Keys, region string, params url.Values, read func(provider.Reply) error) error {
	target, region, err := c.target(region)
	if err != nil {
		return err
	}
	params.Set("Version", "2011-06-15")
	body := params.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return provider.Unclear(provider.CodeProtocol, "The STS endpoint is not a usable URL. Check the configured endpoint.")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if keys.AccessKeyID != "" {
		if err := c.sign(ctx, keys, req, body, region); err != nil {
			return err
		}
	}
	reply, err := provider.Send(c.http, req)
	if err != nil {
		return err
	}
	if reply.Status != http.StatusOK {
		return c.failure(params.Get("Action"), reply)
	}
	return read(reply)
}

// sign signs with a signer of its own: the SDK's signer remembers derived keys by access key id and not by secret, so that a shared
// one would sign with an earlier secret of the same id, another tenant's perhaps, and make a wrong secret look right.
func (c *Client) sign(ctx context.Context, keys Keys, req *http.Request, body, region string) error {
	sum := sha256.Sum256([]byte(body))
	credentials := sdk.Credentials{
		AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken,
	}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "sts", region, c.now()); err != nil {
		return provider.Unclear(provider.CodeProtocol, "The request to STS could not be signed.")
	}
	return nil
}

// target returns the URL to ask and the region to sign for. The host is built from the table alone (SSRF-8).
func (c *Client) target(region string) (target, signingRegion string, err error) {
	if region == "" {
		region = DefaultRegion("aws")
	}
	found, ok := lookupRegion(region)
	if !ok {
		return "", "", provider.Unclear(provider.CodeRegion, "The region is not one of AWS. Correct the region of the credential.")
	}
	if c.endpoint != nil {
		return c.endpoint.String() + "/", region, nil
	}
	return "https://sts." + region + "." + found.suffix + "/", region, nil
}
