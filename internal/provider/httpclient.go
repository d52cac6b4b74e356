package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The limits of a call to a provider (SSRF-10, PRV-3).
const (
	// Budget is how long one operation may take in all, retries included.
	Budget = 10 * time.Second
	// MaxBody is how many bytes of an answer are read; a longer one is not the provider's.
	MaxBody = 64 << 10

	dialTimeout      = 3 * time.Second
	handshakeTimeout = 3 * time.Second
	headerTimeout    = 5 * time.Second
	maxHeader        = 16 << 10
)

// Options of [NewHTTPClient]. The zero value is right for the public APIs.
type Options struct {
	// AllowPrivate lifts the checks of address and port. Only for an endpoint that the operator named ([ParseEndpoint]).
	AllowPrivate bool
	// RootCAs replaces the system's certificate authorities; nil: the system's.
	RootCAs *x509.CertPool
	// Resolver replaces the system's name resolution; nil: the system's.
	Resolver *net.Resolver
}

// NewHTTPClient makes the only kind of HTTP client that talks to providers: no proxy, no redirect, no compression, no cookie,
// HTTP/1.1 over TLS 1.2 or newer with verified certificates, public addresses and port 443 only, and a limit on every step. Use it
// through [Send], which also limits the body and names each failure.
func NewHTTPClient(opts Options) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: opts.Resolver}
	if !opts.AllowPrivate {
		dialer.Control = checkAddress
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: opts.RootCAs}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // not even from the environment (SSRF-6)
			DialContext:            dialer.DialContext,
			DialTLSContext:         dialTLS(dialer, config),
			ResponseHeaderTimeout:  headerTimeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       Budget,
	}
}

// handshakeError marks a failed TLS handshake, which net/http reports in too many different ways to tell apart afterwards.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// dialTLS connects and shakes hands, each within its own limit.
func dialTLS(dialer *net.Dialer, config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("splitting provider address: %w", err)
		}
		raw, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		own := config.Clone()
		own.ServerName = host
		conn := tls.Client(raw, own)
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, &handshakeError{err}
		}
		return conn, nil
	}
}
