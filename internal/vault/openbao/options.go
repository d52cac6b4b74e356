package openbao

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// The defaults of [Options].
const (
	DefaultMount  = "secret"
	DefaultPrefix = "forgecroft"

	defaultTimeout = 5 * time.Second
	defaultCache   = 16 << 20
	maxConnections = 64
)

// Options say where a vault is and how to use it.
type Options struct {
	// Address is the server's: https://host:port, or http:// on this machine.
	Address string
	// Namespace is the namespace to work in; empty: the root, or a server without namespaces.
	Namespace string
	// CACert is a file with the certificates (PEM) to trust instead of the system's; empty: the system's.
	CACert string
	// Mount and Prefix say where below the server the secrets lie; empty: the defaults.
	Mount, Prefix string
	// Auth is how the server is logged in to: [Token], [TokenFile], [AppRole] or [Kubernetes].
	Auth Auth
	// Keys is where the key ring of the envelope comes from; nil: no envelope, the server sees the secrets.
	Keys KeySource
	// MustExist refuses an empty place instead of making a new vault there: the caller knows that there was one.
	MustExist bool
	// CacheBytes bounds the sealed bytes in memory; 0 is 16 MiB. Without an envelope nothing is kept.
	CacheBytes int64
	// Timeout bounds one request; 0 is 5 s. Up to three are made for one call.
	Timeout time.Duration
	// Logger takes what an operator should know; nil drops it.
	Logger *slog.Logger
	// Clock tells the time; zero: the machine's.
	Clock Clock
}

// KeySource is where a key ring comes from. The sources of package embedded are such.
type KeySource interface {
	// String names the source for a person. It holds nothing secret.
	String() string
	// Load reads the ring. A source that is not there yet is [fs.ErrNotExist].
	Load() (*envelope.Ring, error)
	// Create writes the first ring durably, and fails if there is one.
	Create(ring *envelope.Ring) error
	// Update replaces the ring by what change makes of the one that is there, atomically and durably, while no other process does the same. A failure of change is
	// returned as it is.
	Update(change func(now *envelope.Ring) (*envelope.Ring, error)) error
}

// Clock tells the time and waits for it.
type Clock struct {
	Now   func() time.Time
	After func(d time.Duration) <-chan time.Time
}

// complete puts in the defaults and refuses what cannot work.
func (o Options) complete() (Options, error) {
	if o.Mount == "" {
		o.Mount = DefaultMount
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock.Now == nil {
		o.Clock = Clock{Now: time.Now, After: time.After}
	}
	if o.Auth == nil {
		return o, errors.New("no way to log in to the vault is given")
	}
	o.Mount, o.Prefix, o.Namespace = strings.Trim(o.Mount, "/"), strings.Trim(o.Prefix, "/"), strings.Trim(o.Namespace, "/")
	for name, path := range map[string]string{"mount": o.Mount, "prefix": o.Prefix} {
		if !plainPath(path) {
			return o, fmt.Errorf("the vault's %s %q may have letters, digits, - and _, and / between its parts", name, path)
		}
	}
	if o.Namespace != "" && !plainPath(o.Namespace) {
		return o, fmt.Errorf("the vault's namespace %q may have letters, digits, - and _, and / between its parts", o.Namespace)
	}
	return o, nil
}

// plainPath reports whether a path needs no escaping anywhere and has no parts that mean something.
func plainPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return true
}

// parseAddress reads the address of a server. Plain HTTP would show tokens and secrets to the network, so it is for this machine only.
func parseAddress(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, errors.New("the vault's address is missing: set BAO_ADDR or VAULT_ADDR, such as https://vault.example:8200")
	case err != nil:
		return nil, errors.New("the vault's address is not a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("the vault's address must look like https://vault.example:8200")
	case u.User != nil, u.RawQuery != "", u.Fragment != "", strings.Trim(u.Path, "/") != "":
		return nil, errors.New("the vault's address must be scheme, host and port alone")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("the vault's address may begin with http:// only on this machine (localhost, 127.0.0.1, ::1); use https://")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// loopback reports whether a host names this machine alone.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// newHTTPClient makes the pool of connections. It follows no redirect by itself, for it would take the token along to wherever that leads, and uses
// no proxy.
func newHTTPClient(o Options) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CACert != "" {
		text, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, fmt.Errorf("reading the vault's CA certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate (PEM)", o.CACert)
		}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:     (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig: config, TLSHandshakeTimeout: o.Timeout, ForceAttemptHTTP2: true,
			MaxConnsPerHost: maxConnections, MaxIdleConnsPerHost: maxConnections, MaxIdleConns: 2 * maxConnections, IdleConnTimeout: 90 * time.Second,
			ResponseHeaderTimeout: o.Timeout, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		},
	}, nil
}
