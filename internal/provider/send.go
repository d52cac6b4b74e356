package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// skewLimit is how far apart the two clocks may be before a refusal is blamed on them.
const skewLimit = 5 * time.Minute

// Reply is a provider's whole answer, within the limits.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// MediaType returns the type of the body in lower case, without parameters; empty if there is none.
func (r Reply) MediaType() string {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}

// Skewed reports whether the answer's Date is more than 5 minutes away from now. An answer without a date says nothing.
func (r Reply) Skewed(now time.Time) bool {
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return false
	}
	return date.Sub(now).Abs() > skewLimit
}

// RetryAfter returns what the provider asked for, in seconds or as a date; 0 if it asked for nothing that can be understood.
func (r Reply) RetryAfter(now time.Time) time.Duration {
	value := strings.TrimSpace(r.Header.Get("Retry-After"))
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 && seconds <= int((24*time.Hour).Seconds()) {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return min(date.Sub(now), 24*time.Hour)
	}
	return 0
}

// Failure names the answers that mean the same at every provider: throttled by status 429, and failed by any 5xx. For every other
// answer it returns nil, and the client looks at the body.
func (r Reply) Failure(now time.Time) *Error {
	switch {
	case r.Status == http.StatusTooManyRequests:
		return Throttled(r.RetryAfter(now))
	case r.Status >= 500:
		err := Unclear(CodeProviderError, "The provider failed to answer (a server error on its side). Try again later.")
		err.RetryAfter = r.RetryAfter(now)
		return err
	}
	return nil
}

// Throttled is the outcome when a provider asks for fewer calls.
func Throttled(after time.Duration) *Error {
	err := Unclear(CodeThrottled, "The provider is limiting calls at the moment. Try again later.")
	err.RetryAfter = after
	return err
}

// Send makes one call and reads the whole answer. Each failure is an inconclusive [*Error]: a call that did not end in an answer
// says nothing about a credential. Redirects are such failures too.
func Send(client *http.Client, req *http.Request) (Reply, error) {
	resp, err := client.Do(req)
	if err != nil {
		return Reply{}, classify(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return Reply{}, Unclear(CodeProtocol, "The endpoint answered with a redirect, which is never followed. Check the configured endpoint.")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return Reply{}, classify(err)
	}
	if len(body) > MaxBody {
		return Reply{}, Unclear(CodeProtocol, "The answer is larger than any the provider sends. Something else answered in its place.")
	}
	return Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// classify names what went wrong between here and the provider.
func classify(err error) *Error {
	var (
		handshake *handshakeError
		dns       *net.DNSError
	)
	found := Unclear(CodeUnreachable, "The connection to the provider broke before it had answered. Try again.")
	switch {
	case errors.Is(err, context.Canceled):
		found = Unclear(CodeCanceled, "The call was given up before the provider answered.")
	case errors.Is(err, errBlockedAddress):
		found.Detail = "The provider's name leads to an address that is not public, so no connection was made. Check this server's name resolution, " +
			"or name a private endpoint in its configuration."
	case isTimeout(err):
		found.Detail = "The provider did not answer in time. Check this server's way out to the Internet, then try again."
	case errors.As(err, &handshake):
		found = tlsFailure(handshake)
	case errors.As(err, &dns):
		found.Detail = "The provider's name could not be resolved. Check this server's name resolution."
	case isRefused(err):
		found.Detail = "The connection to the provider was refused. Check this server's way out to the Internet, or the configured endpoint."
	case isMalformed(err):
		found = Unclear(CodeProtocol, "The endpoint does not speak HTTP as the provider does. Check the configured endpoint.")
	}
	found.cause = err
	return found
}

// tlsFailure tells a distrusted certificate from a broken handshake.
func tlsFailure(err *handshakeError) *Error {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		hostname     x509.HostnameError
	)
	switch {
	case errors.As(err, &hostname):
		return Unclear(CodeTLS, "The certificate presented is for another host. Something between this server and the provider intercepts connections.")
	case errors.As(err, &verification):
		return Unclear(CodeTLS, "The certificate presented is not trusted. Something intercepts connections, or a private authority is missing here.")
	case errors.As(err, &record):
		return Unclear(CodeTLS, "The endpoint does not speak TLS. Check the configured endpoint.")
	}
	return Unclear(CodeTLS, "No TLS 1.2 (or newer) connection to the provider could be agreed on. Something in between may interfere.")
}

// isTimeout looks for a limit that ran out anywhere in the chain: url.Error only looks one level down.
func isTimeout(err error) bool {
	var timeout net.Error
	ranOut := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	return ranOut || errors.As(err, &timeout) && timeout.Timeout()
}

func isRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// isMalformed recognises what net/http says of an answer that is not HTTP. The package has no error values for these, only texts.
func isMalformed(err error) bool {
	text := err.Error()
	for _, sign := range []string{"malformed", "exceeded", "invalid header", "bad Content-Length", "transfer encoding"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}
