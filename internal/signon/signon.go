// Package signon lets an OpenID Connect provider say who is there (OpenID Connect Core 1.0: the authorization code flow, with PKCE of RFC 7636). It proves a person and
// gives nobody anything: which role they have is for the broker to say. It keeps nothing: what an attempt has to remember is kept by the browser that began it, so any
// replica can finish it.
package signon

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

const (
	attemptTerm = 10 * time.Minute // how long a person may take at the provider
	callTimeout = 10 * time.Second // everything that is asked of the provider for one step
	maxSubject  = 255              // characters; OpenID Connect Core 1.0, section 2
)

// Config is what the operator knows of the provider. Issuer, ClientID, RedirectURL and HTTPClient are required.
type Config struct {
	Issuer       string // exactly as the provider writes it
	ClientID     string
	ClientSecret forgecroft.Secret // zero: a public client, which PKCE alone protects
	RedirectURL  string            // as it is registered at the provider
	Scopes       []string          // beside openid
	GroupsClaim  string            // the claim that lists a person's groups
	HTTPClient   *http.Client
	Now          func() time.Time // nil: the system's clock
}

// Client signs people on. It is safe for concurrent use.
type Client struct {
	config Config

	mu       sync.Mutex
	provider *oidc.Provider // nil: not asked yet, or it did not answer
}

// New makes a client. It asks the provider nothing yet: a provider that is down keeps no server from starting.
func New(c Config) *Client {
	if c.Now == nil {
		c.Now = time.Now
	}
	limited := *c.HTTPClient
	limited.Transport = bounded{c.HTTPClient.Transport}
	c.HTTPClient = &limited
	return &Client{config: c}
}

// Name is what to call the provider: its host.
func (c *Client) Name() string {
	if u, err := url.Parse(c.config.Issuer); err == nil && u.Host != "" {
		return u.Host
	}
	return c.config.Issuer
}

// attempt is what has to be remembered between the two halves of a sign-on.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of RFC 7636
	Begun    int64  `json:"t"` // seconds since 1970
}

// Begin starts a sign-on: the browser keeps the attempt to itself and opens the address. With fresh, the provider is to have the person prove who they are once more.
// A provider that does not answer is [forgecroft.KindUnavailable].
func (c *Client) Begin(ctx context.Context, fresh bool) (kept, address string, err error) {
	ctx, cancel := c.calling(ctx)
	defer cancel()
	config, _, err := c.prepare(ctx)
	if err != nil {
		return "", "", err
	}
	a := attempt{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), c.config.Now().Unix()}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "", "", err
	}
	return base64.RawURLEncoding.EncodeToString(text), config.AuthCodeURL(a.State, options...), nil
}

// Finish proves who has come back with an answer of the provider, in the browser that kept the attempt. What does not hold is
// [forgecroft.KindUnauthenticated], a provider's refusal [forgecroft.KindForbidden], and a provider that does not answer [forgecroft.KindUnavailable].
func (c *Client) Finish(ctx context.Context, kept string, answer url.Values) (forgecroft.Person, error) {
	a, err := c.check(kept, answer)
	if err != nil {
		return forgecroft.Person{}, err
	}
	ctx, cancel := c.calling(ctx)
	defer cancel()
	config, provider, err := c.prepare(ctx)
	if err != nil {
		return forgecroft.Person{}, err
	}
	token, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return forgecroft.Person{}, exchangeFailed(err)
	}
	id, err := c.verify(ctx, provider, token, a)
	if err != nil {
		return forgecroft.Person{}, unproven(err)
	}
	return c.person(ctx, provider, token, id)
}

// calling bounds the calls of one step, and has them made by our client.
func (c *Client) calling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(oidc.ClientContext(ctx, c.config.HTTPClient), callTimeout)
}

// prepare reads what the provider says of itself (OpenID Connect Discovery 1.0), once.
func (c *Client) prepare(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider == nil {
		provider, err := oidc.NewProvider(ctx, c.config.Issuer)
		if err != nil {
			return nil, nil, unreachable(fmt.Errorf("reading what the provider says of itself: %w", err))
		}
		if err := checkEndpoints(provider); err != nil {
			return nil, nil, unreachable(err)
		}
		c.provider = provider
	}
	return &oauth2.Config{
		ClientID: c.config.ClientID, ClientSecret: c.config.ClientSecret.Reveal(), RedirectURL: c.config.RedirectURL,
		Endpoint: c.provider.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, c.config.Scopes...),
	}, c.provider, nil
}

// checkEndpoints refuses addresses that would send codes and secrets in the clear.
func checkEndpoints(p *oidc.Provider) error {
	issuer := p.Endpoint()
	for _, endpoint := range []string{issuer.AuthURL, issuer.TokenURL} {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return errors.New("the provider names an endpoint that is no https address")
		}
	}
	return nil
}

// check compares the answer with what the browser kept. Nothing is asked of the provider before that.
func (c *Client) check(kept string, answer url.Values) (attempt, error) {
	var a attempt
	text, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil || json.Unmarshal(text, &a) != nil || a.State == "" || a.Nonce == "" || a.Verifier == "" {
		return a, errNotBegun
	}
	if age := c.config.Now().Sub(time.Unix(a.Begun, 0)); age < -time.Minute || age > attemptTerm {
		return a, errNotBegun
	}
	if subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(a.State)) != 1 {
		return a, errNotBegun
	}
	if issuer := answer.Get("iss"); issuer != "" && issuer != c.config.Issuer { // RFC 9207: the answer of another provider
		return a, unproven(errors.New("the answer is another provider's"))
	}
	if code := answer.Get("error"); code != "" {
		return a, refused(code)
	}
	if answer.Get("code") == "" {
		return a, unproven(errors.New("the answer holds no code"))
	}
	return a, nil
}

// verify checks the ID token: signature, issuer, audience, expiry, nonce, and for whom it was made (OpenID Connect Core 1.0, section 3.1.3.7).
func (c *Client) verify(ctx context.Context, p *oidc.Provider, token *oauth2.Token, a attempt) (*oidc.IDToken, error) {
	raw, is := token.Extra("id_token").(string)
	if !is {
		return nil, errors.New("the provider's answer holds no ID token")
	}
	id, err := p.Verifier(&oidc.Config{ClientID: c.config.ClientID, Now: c.config.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return nil, errors.New("the ID token is of another sign-on")
	}
	if len(id.Subject) == 0 || len(id.Subject) > maxSubject {
		return nil, errors.New("the ID token names nobody")
	}
	var claims struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return nil, err
	}
	if claims.AuthorizedParty != c.config.ClientID && (claims.AuthorizedParty != "" || len(id.Audience) > 1) {
		return nil, errors.New("the ID token was made for another client")
	}
	return id, nil
}

// claims are what is read of a person.
type claims struct {
	Email    string `json:"email"`
	Username string `json:"preferred_username"`
	Name     string `json:"name"`
	AuthTime int64  `json:"auth_time"`
}

// person reads who it is. Groups that the ID token does not hold are asked for once more, as many providers keep them out of it.
func (c *Client) person(ctx context.Context, p *oidc.Provider, token *oauth2.Token, id *oidc.IDToken) (forgecroft.Person, error) {
	person := forgecroft.Person{Issuer: id.Issuer, Subject: id.Subject}
	var known claims
	if err := id.Claims(&known); err != nil {
		return person, unproven(err)
	}
	groups, found, err := c.groups(id.Claims)
	if err != nil {
		return person, unproven(err)
	}
	if !found && p.UserInfoEndpoint() != "" {
		info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return person, unreachable(errors.New("the provider does not tell who signed on"))
		}
		if info.Subject != id.Subject { // OpenID Connect Core 1.0, section 5.3.2
			return person, unproven(errors.New("the provider tells of somebody else"))
		}
		more := claims{}
		if groups, _, err = c.groups(info.Claims); err == nil {
			err = info.Claims(&more)
		}
		if err != nil {
			return person, unproven(err)
		}
		known.Email, known.Username, known.Name = first(known.Email, more.Email), first(known.Username, more.Username), first(known.Name, more.Name)
	}
	person.Groups = groups
	person.Name = first(known.Email, known.Username, known.Name)
	if at := time.Unix(known.AuthTime, 0); known.AuthTime > 0 && at.Before(c.config.Now().Add(time.Minute)) {
		person.AuthenticatedAt = at
	}
	return person, nil
}

// groups reads the claim of groups: a list, or one alone.
func (c *Client) groups(read func(any) error) (groups []string, found bool, err error) {
	var all map[string]json.RawMessage // claim → its value
	if err := read(&all); err != nil {
		return nil, false, err
	}
	value, found := all[c.config.GroupsClaim]
	if !found || json.Unmarshal(value, &groups) == nil {
		return groups, found, nil
	}
	var one string
	if err := json.Unmarshal(value, &one); err != nil {
		return nil, true, errors.New("the claim of groups is no list of names")
	}
	return []string{one}, true, nil
}

// first is the first text that is not empty.
func first(texts ...string) string {
	if i := slices.IndexFunc(texts, func(text string) bool { return text != "" }); i >= 0 {
		return texts[i]
	}
	return ""
}
