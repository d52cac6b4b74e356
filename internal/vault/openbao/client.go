package openbao

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The most that is read of an answer, in bytes: of a secret, which has at most 64 KiB, and of a list. HashiCorp Vault lists without pages, at about 35
// bytes a reference.
const (
	maxAnswer = 1 << 20
	maxList   = 64 << 20
)

// client speaks the HTTP API. It knows no token.
type client struct {
	http      *http.Client
	base      *url.URL
	namespace string
	timeout   time.Duration
	now       func() time.Time
}

// request is one call of the API.
type request struct {
	method string
	path   string     // below /v1/
	query  url.Values // may be nil
	body   any        // JSON; nil: none
	limit  int64      // of the answer, in bytes; 0: maxAnswer
	root   bool       // not in the namespace
	secret bool       // the body is secret, so what the server says of it is not repeated
	at     *url.URL   // the node to ask; nil: the configured address
	whole  bool       // the answer has no member data: all of it is the data
}

// answer is what a server said.
type answer struct {
	status     int
	data       json.RawMessage // the member data
	auth       *authAnswer
	errors     []string
	empty      bool // the member errors is there and empty: what was asked for does not exist
	retryAfter time.Duration
}

// authAnswer is what logins and renewals yield.
type authAnswer struct {
	Token     string `json:"client_token"`
	Seconds   int64  `json:"lease_duration"`
	Renewable bool   `json:"renewable"`
}

// absent reports whether the answer says that nothing is there. A 404 with a reason is none: the mount or the namespace is missing, or something in
// between answers.
func (a answer) absent() bool { return a.status == http.StatusNotFound && a.empty }

// ok reports whether what was asked was done.
func (a answer) ok() bool { return a.status == http.StatusOK || a.status == http.StatusNoContent }

// once makes one call, and follows one redirect of a standby to the active server. An error means that no server gave a usable answer.
func (c *client) once(ctx context.Context, token string, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return answer{}, fmt.Errorf("encoding a request: %w", err)
		}
		defer clear(body)
	}
	target := *c.base
	if r.at != nil {
		target = *r.at
	}
	target.Path, target.RawQuery = "/v1/"+r.path, r.query.Encode()
	for redirects := 0; ; redirects++ {
		response, err := c.send(ctx, token, r, &target, body)
		if err != nil {
			return answer{}, unaddressed(err)
		}
		if response.StatusCode != http.StatusTemporaryRedirect || redirects == 1 {
			return c.read(response, r)
		}
		next, err := c.redirected(response, &target)
		if err != nil {
			return answer{}, err
		}
		target = *next
	}
}

// send makes one HTTP request.
func (c *client) send(ctx context.Context, token string, r request, target *url.URL, body []byte) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	out, err := http.NewRequestWithContext(ctx, r.method, target.String(), reader)
	if err != nil {
		return nil, err
	}
	out.Header.Set("X-Vault-Request", "true") // Agents and proxies of the vault may ask for it, against forged requests.
	if token != "" {
		out.Header.Set("X-Vault-Token", token)
	}
	if c.namespace != "" && !r.root {
		out.Header.Set("X-Vault-Namespace", c.namespace)
	}
	if body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(out)
}

// redirected is where a standby sends us: the same thing on another server. Anything else would carry the token away.
func (c *client) redirected(response *http.Response, from *url.URL) (*url.URL, error) {
	defer response.Body.Close()
	to, err := response.Location()
	if err != nil || to.Scheme != from.Scheme || to.Path != from.Path || to.User != nil || (to.Scheme == "http" && !loopback(to.Hostname())) {
		return nil, errors.New("the server redirects to somewhere else than another server of its cluster")
	}
	return to, nil
}

// read takes in an answer. Success, and the absence of something, are believed only if they are written as the API writes them.
func (c *client) read(response *http.Response, r request) (answer, error) {
	defer response.Body.Close()
	limit := r.limit
	if limit == 0 {
		limit = maxAnswer
	}
	a := answer{status: response.StatusCode, retryAfter: retryAfter(response.Header.Get("Retry-After"))}
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return a, fmt.Errorf("reading the answer: %w", err)
	case int64(len(text)) > limit:
		return a, fmt.Errorf("the answer has more than %d bytes", limit)
	case len(text) == 0 && a.status != http.StatusOK && a.status != http.StatusNotFound:
		return a, nil
	}
	var members struct {
		Data   json.RawMessage `json:"data"`
		Auth   *authAnswer     `json:"auth"`
		Errors *[]string       `json:"errors"`
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if kind != "application/json" || json.Unmarshal(text, &members) != nil {
		if a.status == http.StatusOK || a.status == http.StatusNotFound {
			return a, fmt.Errorf("the answer, with status %d, is not the vault's", a.status)
		}
		return a, nil
	}
	a.data, a.auth = members.Data, members.Auth
	if r.whole {
		a.data = text
	}
	if members.Errors != nil {
		a.errors, a.empty = *members.Errors, len(*members.Errors) == 0
	}
	return a, nil
}

// retryAfter reads the header of that name, in seconds, as far as it is sensible. 0: not known.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// unaddressed takes method and address off an error of net/http: whoever wraps it says what was tried.
func unaddressed(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
