package cloudflare

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// apiPath is where the API lives on its host.
const apiPath = "/client/v4"

// The two kinds of token.
const (
	KindUser    = "user"
	KindAccount = "account"
)

// Config of [New]. The zero value asks Cloudflare.
type Config struct {
	// BaseURL is asked instead of https://api.cloudflare.com/client/v4; from [provider.ParseEndpoint]. Without a path it is a host,
	// and /client/v4 is added.
	BaseURL *url.URL
	// HTTPClient must come from [provider.NewHTTPClient]; nil: one is made, private addresses allowed only with a BaseURL.
	HTTPClient *http.Client
	// Now tells the time; nil: [time.Now].
	Now func() time.Time
	// Sleep waits between attempts; nil: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter returns a number in [0,1) that spreads the waits; nil: random.
	Jitter func() float64
}

// Client asks Cloudflare's API. It is safe for concurrent use.
type Client struct {
	base    string // without a trailing slash
	http    *http.Client
	now     func() time.Time
	retrier provider.Retrier
}

// New makes a client.
func New(cfg Config) *Client {
	c := &Client{
		base:    "https://api.cloudflare.com" + apiPath,
		http:    cfg.HTTPClient,
		now:     cfg.Now,
		retrier: provider.Retrier{Sleep: cfg.Sleep, Jitter: cfg.Jitter},
	}
	if cfg.BaseURL != nil {
		base := *cfg.BaseURL
		if base.Path == "" || base.Path == "/" {
			base.Path = apiPath
		}
		c.base = strings.TrimRight(base.String(), "/")
	}
	if c.http == nil {
		c.http = provider.NewHTTPClient(provider.Options{AllowPrivate: cfg.BaseURL != nil})
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// TokenInfo is what Cloudflare says of a token that works now.
type TokenInfo struct {
	ID        string    // 32 hexadecimal digits; not secret
	Status    string    // always active
	Kind      string    // [KindUser] or [KindAccount]
	ExpiresOn time.Time // zero: never
	NotBefore time.Time // zero: since ever
}

// VerifyToken asks whether a token works. accountID is only needed for tokens that an account owns, and may be empty. A token
// without a telling prefix is asked as a user's first; if that is refused and accountID is known, as the account's. The whole takes
// at most [provider.Budget].
func (c *Client) VerifyToken(ctx context.Context, token, accountID string) (TokenInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, provider.Budget)
	defer cancel()
	if strings.HasPrefix(token, "cfat_") {
		if accountID == "" {
			return TokenInfo{}, provider.Unclear(codeAccount,
				"This token belongs to an account. Add its account_id, without which Cloudflare cannot be asked about it.")
		}
		return c.verify(ctx, token, KindAccount, accountID)
	}
	info, err := c.verify(ctx, token, KindUser, "")
	var failure *provider.Error
	if err == nil || strings.HasPrefix(token, "cfut_") || !errors.As(err, &failure) || !notUsers(failure.Code) {
		return info, err
	}
	if accountID == "" && failure.Code != "1000" {
		return info, err
	}
	if accountID == "" {
		return TokenInfo{}, provider.Unclear(codeAccount, "Cloudflare does not know the token as one of a user. "+
			"If an account owns it, add its account_id; otherwise it was deleted, rolled or cut off.")
	}
	return c.verify(ctx, token, KindAccount, accountID)
}

// codeAccount is the code of a token that only its account can be asked about.
const codeAccount = "account_id_required"

// notUsers reports whether an answer of the user's endpoint may only mean that an account owns the token.
func notUsers(code string) bool { return code == "1000" || code == "9109" || code == "10000" }

// verify asks one of the two endpoints, again where that helps.
func (c *Client) verify(ctx context.Context, token, kind, accountID string) (TokenInfo, error) {
	target := c.base + "/user/tokens/verify"
	if kind == KindAccount {
		target = c.base + "/accounts/" + url.PathEscape(accountID) + "/tokens/verify"
	}
	var info TokenInfo
	err := c.retrier.Do(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return wrongShape()
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", "application/json")
		reply, err := provider.Send(c.http, req)
		if err != nil {
			return err
		}
		info, err = c.read(reply)
		return err
	})
	if err != nil {
		return TokenInfo{}, err
	}
	info.Kind = kind
	return info, nil
}
