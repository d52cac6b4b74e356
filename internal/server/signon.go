package server

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/console"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/signon"
)

// OIDCConfig says who signs people on to the console, and what their groups may do. An empty issuer: nobody does.
type OIDCConfig struct {
	Issuer           string
	ClientID         string
	ClientSecretFile string
	Scopes           []string
	GroupsClaim      string
	Roles            []broker.SignOnRule
}

// signOnSettings lists the settings of single sign-on.
func signOnSettings() []Setting {
	text := func(member func(*OIDCConfig) *string) func(*Config, string) error {
		return setString(func(c *Config) *string { return member(&c.OIDC) })
	}
	return []Setting{
		{"public-url", "FORGECROFT_PUBLIC_URL", "", "address at which browsers reach the server: https://forgecroft.example.com; single sign-on needs it", false, setPublicURL},
		{"oidc-issuer", "FORGECROFT_OIDC_ISSUER", "", "OpenID Connect provider that signs people on to the console: its issuer, exactly as it writes it", false, setIssuer},
		{"oidc-client-id", "FORGECROFT_OIDC_CLIENT_ID", "", "client id under which the provider knows this server; register --public-url with " + console.CallbackPath + " as redirect address", false, text(func(o *OIDCConfig) *string { return &o.ClientID })},
		{"oidc-client-secret-file", "FORGECROFT_OIDC_CLIENT_SECRET_FILE", "", "file with the client secret (without one: a public client, protected by PKCE alone)", false, text(func(o *OIDCConfig) *string { return &o.ClientSecretFile })},
		{"oidc-scopes", "FORGECROFT_OIDC_SCOPES", "profile email", "scopes to ask for beside openid, such as groups if the provider has that", false, func(c *Config, v string) error { c.OIDC.Scopes = strings.Fields(v); return nil }},
		{"oidc-groups-claim", "FORGECROFT_OIDC_GROUPS_CLAIM", "groups", "claim that lists a person's groups", false, text(func(o *OIDCConfig) *string { return &o.GroupsClaim })},
		{"oidc-roles", "FORGECROFT_OIDC_ROLES", "", "what groups may do: group=role or group=role@project, separated by commas; the highest role counts", false, setRoles},
	}
}

// setPublicURL reads where browsers reach the server: a scheme and a host, no path.
func setPublicURL(c *Config, value string) (err error) {
	if value == "" {
		return nil
	}
	if c.PublicURL, err = provider.ParseEndpoint(value); err != nil {
		return err
	}
	if c.PublicURL.Path != "" {
		return errors.New("it takes a scheme and a host, without a path")
	}
	return nil
}

// setIssuer reads the issuer. It is kept as it was written: with or without a slash at the end are two different ones.
func setIssuer(c *Config, value string) error {
	c.OIDC.Issuer = value
	if value == "" {
		return nil
	}
	_, err := provider.ParseEndpoint(value)
	return err
}

// setRoles reads the rules for groups.
func setRoles(c *Config, value string) (err error) {
	c.OIDC.Roles, err = broker.ParseSignOnRules(value)
	return err
}

// checkSignOn looks for settings of single sign-on that are missing, or of no use.
func (c *Config) checkSignOn() error {
	o := c.OIDC
	switch {
	case o.Issuer == "" && (o.ClientID != "" || o.ClientSecretFile != "" || len(o.Roles) > 0):
		return errors.New("the settings of single sign-on need --oidc-issuer")
	case o.Issuer == "":
		return nil
	case o.ClientID == "":
		return errors.New("--oidc-issuer needs --oidc-client-id")
	case c.PublicURL == nil:
		return errors.New("--oidc-issuer needs --public-url, to which the provider sends people back")
	case len(o.Roles) == 0:
		return errors.New("--oidc-issuer needs --oidc-roles: without a rule for a group nobody gets in")
	}
	return nil
}

// signOn is the client of the identity provider; nil if there is none.
func (h *house) signOn() (console.SignOn, error) {
	o := h.config.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	var secret forgecroft.Secret
	if o.ClientSecretFile != "" {
		text, err := os.ReadFile(o.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client secret: %w", err)
		}
		secret = forgecroft.NewSecret(strings.TrimRight(string(text), "\r\n"))
	}
	return signon.New(signon.Config{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, RedirectURL: h.config.PublicURL.String() + console.CallbackPath,
		Scopes: o.Scopes, GroupsClaim: o.GroupsClaim, HTTPClient: outbound(&url.URL{}),
	}), nil
}

// signInName says how people get into the console.
func (h *house) signInName() string {
	if h.config.OIDC.Issuer == "" {
		return "API keys"
	}
	return "single sign-on by " + h.config.OIDC.Issuer + ", and API keys"
}
