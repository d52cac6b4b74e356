package gcp

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// Google's own endpoints.
const (
	tokenURL     = "https://oauth2.googleapis.com/token"
	tokenInfoURL = "https://oauth2.googleapis.com/tokeninfo"
)

// grantType is the assertion flow of RFC 7523.
const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// Config of [New]. The zero value asks Google.
type Config struct {
	// TokenURL is asked instead of Google's; from [provider.ParseEndpoint]. The token's owner is then asked at its sibling, with
	// the last segment of the path replaced by tokeninfo: https://proxy.example/token is paired with https://proxy.example/tokeninfo.
	TokenURL *url.URL
	// HTTPClient must come from [provider.NewHTTPClient]; nil: one is made, private addresses allowed only with a TokenURL.
	HTTPClient *http.Client
	// Now tells the time; nil: [time.Now].
	Now func() time.Time
	// Sleep waits between attempts; nil: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter returns a number in [0,1) that spreads the waits; nil: random.
	Jitter func() float64
}

// Client asks Google's token service. It is safe for concurrent use.
type Client struct {
	tokenURL     string
	tokenInfoURL string
	own          bool // the operator's endpoint, not Google's
	http         *http.Client
	now          func() time.Time
	retrier      provider.Retrier
}

// New makes a client.
func New(cfg Config) *Client {
	c := &Client{
		tokenURL:     tokenURL,
		tokenInfoURL: tokenInfoURL,
		own:          cfg.TokenURL != nil,
		http:         cfg.HTTPClient,
		now:          cfg.Now,
		retrier:      provider.Retrier{Sleep: cfg.Sleep, Jitter: cfg.Jitter},
	}
	if c.own {
		c.tokenURL = cfg.TokenURL.String()
		sibling := *cfg.TokenURL
		sibling.Path = sibling.Path[:strings.LastIndexByte(sibling.Path, '/')+1] + "tokeninfo"
		c.tokenInfoURL = sibling.String()
	}
	if c.http == nil {
		c.http = provider.NewHTTPClient(provider.Options{AllowPrivate: c.own})
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// DefaultScopes are what a token is for: everything that the account may do, and its e-mail address.
func DefaultScopes() []string {
	return []string{"https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/userinfo.email"}
}

// AccessToken trades a key for a token, which usually lives for an hour.
func (c *Client) AccessToken(ctx context.Context, key Key, scopes []string) (Token, error) {
	// The audience is Google's name for its token service, also when it is reached by another URL.
	signed, err := assertion(key, tokenURL, scopes, c.now())
	if err != nil {
		return Token{}, provider.Refused("invalid_private_key", "The private key of the service account cannot be read. Store the key file again, whole.")
	}
	form := url.Values{"grant_type": {grantType}, "assertion": {signed}}
	reply, err := c.post(ctx, c.tokenURL, form, c.tokenFailure)
	if err != nil {
		return Token{}, err
	}
	value, life, ok := parseToken(reply.Body)
	if !ok {
		return Token{}, wrongShape()
	}
	return Token{Value: value, Expires: c.now().Add(life).UTC()}, nil
}

// Identity asks whose token it is, and returns the e-mail address. The token must have the e-mail scope of [DefaultScopes].
func (c *Client) Identity(ctx context.Context, token Token) (string, error) {
	reply, err := c.post(ctx, c.tokenInfoURL, url.Values{"access_token": {token.Value}}, c.infoFailure)
	if err != nil {
		return "", err
	}
	email, ok := parseTokenInfo(reply.Body)
	if !ok {
		return "", wrongShape()
	}
	return email, nil
}

// Verify proves a key: it gets a token with [DefaultScopes] and checks that the token is the key's own account's. It returns the
// account's e-mail address. An operator's endpoint that has no tokeninfo (404) leaves the token as the proof: it was given for an
// assertion that this account signed.
func (c *Client) Verify(ctx context.Context, key Key) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, provider.Budget)
	defer cancel()
	token, err := c.AccessToken(ctx, key, DefaultScopes())
	if err != nil {
		return "", err
	}
	email, err := c.Identity(ctx, token)
	if isAbsent(err) && c.own {
		return key.ClientEmail, nil
	}
	if err != nil {
		return "", err
	}
	if email != key.ClientEmail {
		return "", provider.Refused("identity_mismatch",
			"Google says that the token belongs to another account than the key file names. The e-mail and the key come from different files.")
	}
	return email, nil
}

// post sends a form, asked again where that helps, within [provider.Budget]. failure names an answer whose status is not 200. The
// result is a JSON answer with status 200.
func (c *Client) post(ctx context.Context, target string, form url.Values, failure func(provider.Reply) error) (provider.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, provider.Budget)
	defer cancel()
	body := form.Encode()
	var reply provider.Reply
	err := c.retrier.Do(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
		if err != nil {
			return wrongShape()
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		reply, err = provider.Send(c.http, req)
		switch {
		case err != nil:
			return err
		case reply.Failure(c.now()) != nil:
			return reply.Failure(c.now())
		case reply.Status != http.StatusOK:
			return failure(reply)
		case reply.MediaType() != "application/json":
			return wrongShape()
		}
		return nil
	})
	return reply, err
}
