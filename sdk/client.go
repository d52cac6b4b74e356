package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The limits of one call.
const (
	callTimeout  = 60 * time.Second
	maxReply     = 8 << 20 // bytes of one answer
	maxAttempts  = 3
	maxRetryWait = 5 * time.Second
)

// ContentHashHeader is the header in which a delivery carries the SHA-256 of its body, in hex: a delivery that was cut off is noticed.
const ContentHashHeader = "Forgecroft-Content-SHA256"

// Client calls the API of one server with one API key. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	key    string
	http   *http.Client
	agent  string
	random io.Reader
}

// Option changes a client that [New] makes.
type Option func(*Client)

// WithHTTPClient makes the client use another HTTP client, for instance one that trusts a private certificate authority.
func WithHTTPClient(c *http.Client) Option { return func(client *Client) { client.http = c } }

// WithRootCAs makes the client trust these certificate authorities, and no others.
func WithRootCAs(pool *x509.CertPool) Option {
	return func(client *Client) {
		if t, is := client.http.Transport.(*http.Transport); is {
			t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
	}
}

// WithUserAgent names the program that calls.
func WithUserAgent(agent string) Option { return func(client *Client) { client.agent = agent } }

// New makes a client for the server at address, such as https://forgecroft.example.com. Plain http is refused but for loopback: it would send
// the key, and every secret that is delivered, in the clear.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(address)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https"):
		return nil, fmt.Errorf("%q is no server address: it looks like https://forgecroft.example.com", address)
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("a server address has no user, query or fragment; the API key is given by itself")
	case base.Scheme == "http" && !loopback(base.Hostname()):
		return nil, fmt.Errorf("%s: plain http would send the API key in the clear; use https, or a server on this machine", address)
	}
	c := &Client{base: base, key: key, agent: "forgecroft-sdk-go", random: rand.Reader, http: &http.Client{Transport: transport(), CheckRedirect: noRedirect}}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// loopback reports whether a host names this machine alone.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// transport waits only so long for each step. Answers are not compressed: a delivery must not be.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// noRedirect refuses redirects: the API has none, and following one could hand the key to somebody else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Address is the server's address.
func (c *Client) Address() string { return c.base.String() }

// call is one request.
type call struct {
	method string
	path   string
	query  url.Values
	body   any
	// ifMatch is the revision that an update expects; 0: any.
	ifMatch int64
	// create marks requests that make something: they carry an Idempotency-Key, so that repeating them is safe.
	create bool
	// hashed wants the content hash on the answer.
	hashed bool
}

// do makes a call and decodes the answer into to, unless that is nil.
func (c *Client) do(ctx context.Context, r call, to any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	idempotencyKey := ""
	if r.create {
		var random [16]byte
		if _, err := io.ReadFull(c.random, random[:]); err != nil {
			return err
		}
		idempotencyKey = hex.EncodeToString(random[:])
	}
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, r, body, idempotencyKey, to)
		wait, again := r.retry(err, attempt)
		if !again {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// retry says whether a failed call is worth repeating, and after what time. Calls that change something without an Idempotency-Key are
// not repeated.
func (r call) retry(err error, attempt int) (time.Duration, bool) {
	var refused *Error
	if attempt == maxAttempts || !errors.As(err, &refused) || (refused.Status != http.StatusServiceUnavailable && refused.Status != http.StatusTooManyRequests) {
		return 0, false
	}
	if !r.create && r.method != http.MethodGet {
		return 0, false
	}
	wait := refused.RetryAfter
	if wait == 0 {
		wait = time.Duration(attempt) * 200 * time.Millisecond
	}
	return wait, wait <= maxRetryWait
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, r call, body []byte, idempotencyKey string, to any) error {
	target := c.base.JoinPath(r.path)
	target.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.ifMatch != 0 {
		req.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(r.ifMatch, 10)))
	}
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	reply, err := c.http.Do(req)
	if err != nil {
		return &UnreachableError{Address: c.base.Host, Err: err}
	}
	defer reply.Body.Close()
	return c.read(reply, r, to)
}

// read reads an answer whole before anything of it is believed.
func (c *Client) read(reply *http.Response, r call, to any) error {
	text, err := io.ReadAll(io.LimitReader(reply.Body, maxReply+1))
	if err != nil {
		return &UnreachableError{Address: c.base.Host, Err: fmt.Errorf("the answer was cut off: %w", err)}
	}
	if len(text) > maxReply {
		return fmt.Errorf("the answer of %s is larger than %d bytes", c.base.Host, maxReply)
	}
	if reply.StatusCode >= 300 || reply.StatusCode < 200 {
		return problem(reply, text)
	}
	if r.hashed {
		sum := sha256.Sum256(text)
		if want := reply.Header.Get(ContentHashHeader); !strings.EqualFold(want, hex.EncodeToString(sum[:])) {
			return &UnreachableError{Address: c.base.Host, Err: errors.New("the answer was cut off or changed on its way: its hash does not fit")}
		}
	}
	if to == nil {
		return nil
	}
	if kind, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type")); kind != "application/json" {
		return foreign(reply, text) // A page to log in at a proxy, for instance.
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(to); err != nil {
		return foreign(reply, text)
	}
	return nil
}
