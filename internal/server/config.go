package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
)

// Config is everything an operator can set.
type Config struct {
	DataDir      string
	Listen       string
	InsecureHTTP bool
	TLSCert      string
	TLSKey       string
	OwnerKeyFile string
	LogLevel     slog.Level

	KeyFile string            // the key ring's file; empty with KeyFD or KeyText
	KeyFD   string            // number of an open file descriptor that yields the key ring
	KeyText forgecroft.Secret // the key ring itself, from the environment

	DatabaseURL forgecroft.Secret // of PostgreSQL; zero: SQLite in the data directory

	Vault           string    // embedded or openbao
	Bao             BaoConfig // for openbao
	MoveFrom        string    // embedded: secrets move from there to openbao while the server works; empty: nothing moves
	MoveFromKeyFile string    // key ring of the vault that is moved from; empty: the same as the other's

	STSEndpoint       *url.URL // nil: AWS's own, by region
	GCPTokenURL       *url.URL // nil: Google's own
	CloudflareURL     *url.URL // nil: Cloudflare's own
	AWSServerIdentity bool
	VerifyExternalID  bool

	PublicURL *url.URL   // where browsers reach the server; nil: unknown
	OIDC      OIDCConfig // single sign-on to the console

	Version string
	Getenv  func(string) string // of the server's own AWS identity, where that is allowed

	// SaveLogin, if set, receives the server's URL and the owner key of a first start, to leave the CLI logged in.
	SaveLogin func(serverURL string, key forgecroft.Secret) error

	// FreshnessClock tells how new a credential is to its provider; nil: [time.Now]. Tests age credentials with it.
	FreshnessClock func() time.Time
}

// Setting is one flag with its environment variable.
type Setting struct {
	Flag    string // without dashes; empty: only an environment variable
	Env     string
	Default string
	Usage   string
	Bool    bool
	set     func(c *Config, value string) error
}

// Offline reports whether commands for a stopped server use the setting: it says where data and keys
// are.
func (s Setting) Offline() bool {
	return slices.Contains([]string{"data-dir", "key-file", "key-fd", "database-url"}, s.Flag) || s.Flag == "vault" || strings.HasPrefix(s.Flag, "vault-")
}

// defaultListen is loopback: without TLS nothing else is allowed.
const defaultListen = "127.0.0.1:8300"

// Settings lists all settings. The command line, the documentation and [LoadConfig] are made from it.
func Settings() []Setting {
	settings := []Setting{
		{"data-dir", "FORGECROFT_DATA_DIR", filepath.Join(xdg.DataHome, "forgecroft"), "directory that holds everything the server keeps (created with mode 0700)", false, setString(func(c *Config) *string { return &c.DataDir })},
		{"listen", "FORGECROFT_LISTEN", defaultListen, "address to listen on", false, setString(func(c *Config) *string { return &c.Listen })},
		{"insecure-http", "FORGECROFT_INSECURE_HTTP", "off", "serve plain HTTP on an address that is not loopback", true, setBool(func(c *Config) *bool { return &c.InsecureHTTP })},
		{"tls-cert", "FORGECROFT_TLS_CERT", "", "file with the TLS certificate chain (PEM)", false, setString(func(c *Config) *string { return &c.TLSCert })},
		{"tls-key", "FORGECROFT_TLS_KEY", "", "file with the TLS private key (PEM)", false, setString(func(c *Config) *string { return &c.TLSKey })},
		{"owner-key-file", "FORGECROFT_OWNER_KEY_FILE", "", "on the first start, write the owner's API key to this file (mode 0600) instead of showing it", false, setString(func(c *Config) *string { return &c.OwnerKeyFile })},
		{"key-file", "FORGECROFT_KEY_FILE", "", "file with the vault's key-encryption keys (default: vault.key in the data directory, made at the first start)", false, setString(func(c *Config) *string { return &c.KeyFile })},
		{"key-fd", "FORGECROFT_KEY_FD", "", "number of an open file descriptor to read the vault's key-encryption keys from", false, setString(func(c *Config) *string { return &c.KeyFD })},
		{"", "FORGECROFT_KEY", "", "the vault's key-encryption keys themselves; the program starts itself again without them in its environment", false, func(c *Config, v string) error { c.KeyText = forgecroft.NewSecret(v); return nil }},
		{"database-url", "FORGECROFT_DATABASE_URL", "", "PostgreSQL database to keep metadata in instead of the data directory: postgres://user@host/database?sslmode=verify-full (a password only in the variable)", false, func(c *Config, v string) error { c.DatabaseURL = forgecroft.NewSecret(v); return nil }},
		{"log-level", "FORGECROFT_LOG_LEVEL", "info", "debug, info, warn or error", false, func(c *Config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
		{"aws-sts-endpoint", "FORGECROFT_AWS_STS_ENDPOINT", "", "AWS STS endpoint to use instead of Amazon's (https, or http on loopback)", false, setEndpoint(func(c *Config) **url.URL { return &c.STSEndpoint })},
		{"gcp-token-url", "FORGECROFT_GCP_TOKEN_URL", "", "OAuth 2.0 token URL to use instead of Google's", false, setEndpoint(func(c *Config) **url.URL { return &c.GCPTokenURL })},
		{"cloudflare-api-url", "FORGECROFT_CLOUDFLARE_API_URL", "", "Cloudflare API URL to use instead of Cloudflare's", false, setEndpoint(func(c *Config) **url.URL { return &c.CloudflareURL })},
		{"aws-server-identity", "FORGECROFT_AWS_SERVER_IDENTITY", "off", "allow aws_assume_role from the server's own AWS identity", true, setBool(func(c *Config) *bool { return &c.AWSServerIdentity })},
		{"aws-verify-external-id", "FORGECROFT_AWS_VERIFY_EXTERNAL_ID", "on", "on verification of aws_assume_role, also try to assume the role without its external ID, which must fail (leaves an AccessDenied event in CloudTrail)", true, setBool(func(c *Config) *bool { return &c.VerifyExternalID })},
	}
	return slices.Concat(settings, vaultSettings(), signOnSettings())
}

// setString stores a setting as it is.
func setString(member func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error { *member(c) = value; return nil }
}

// setBool reads on/off, true/false, yes/no, 1/0.
func setBool(member func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, value string) error {
		switch strings.ToLower(value) {
		case "on", "true", "yes", "1":
			*member(c) = true
		case "off", "false", "no", "0", "":
			*member(c) = false
		default:
			return errors.New("it takes on or off")
		}
		return nil
	}
}

// setEndpoint reads an operator's endpoint; empty keeps the provider's own.
func setEndpoint(member func(*Config) **url.URL) func(*Config, string) error {
	return func(c *Config, value string) (err error) {
		if value != "" {
			*member(c), err = provider.ParseEndpoint(value)
		}
		return err
	}
}

// LoadConfig reads the settings: flags (by name, only those that were given) win over environment variables, these over defaults.
func LoadConfig(flags map[string]string, getenv func(string) string) (Config, error) {
	c := Config{Getenv: getenv, Version: "dev"}
	for _, s := range Settings() {
		value, given := flags[s.Flag]
		name := "--" + s.Flag
		if !given || s.Flag == "" {
			name, value = lookup(s.Env, getenv)
		}
		if value == "" {
			value = s.Default
		}
		if err := s.set(&c, value); err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
	}
	return c, c.check()
}

// check looks for settings that do not go together.
func (c *Config) check() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	sources := 0
	for _, given := range []bool{c.KeyFile != "", c.KeyFD != "", !c.KeyText.IsZero()} {
		if given {
			sources++
		}
	}
	if sources > 1 {
		return errors.New("give the vault's key in one way: --key-file, --key-fd or FORGECROFT_KEY")
	}
	if err := c.checkVault(); err != nil {
		return err
	}
	if err := c.checkSignOn(); err != nil {
		return err
	}
	if c.stateless() && c.Bao.Envelope && sources == 0 {
		return errors.New("replicas share the vault's key: give each the same one by --key-file, --key-fd or FORGECROFT_KEY")
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if c.TLSCert == "" && !c.InsecureHTTP && !loopback(host) {
		return fmt.Errorf("--listen %s: plain HTTP would send API keys and secrets in the clear; give --tls-cert and --tls-key, listen on 127.0.0.1, or, behind a proxy that ends TLS, add --insecure-http", c.Listen)
	}
	return nil
}

// loopback reports whether a host names this machine alone.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// scheme is http or https.
func (c *Config) scheme() string {
	if c.TLSCert != "" {
		return "https"
	}
	return "http"
}

// path names a file of the data directory.
func (c *Config) path(name string) string { return filepath.Join(c.DataDir, name) }
