package signon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// errNotBegun is the answer to whoever comes back from a provider without having gone there.
var errNotBegun = forgecroft.Errorf(forgecroft.KindUnauthenticated, "sign_on_not_begun", "This sign-on was not begun in this browser, or took longer than ten minutes. Begin again.")

// unproven is the failure of a sign-on that does not hold. Why is for the log alone.
func unproven(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindUnauthenticated, Code: "sign_on_failed", Cause: cause,
		Message: "The identity provider's answer does not prove who you are. Begin again; the server's log says more.",
	}
}

// unreachable is the failure of a provider that does not answer, or not with what it should.
func unreachable(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindUnavailable, Code: "identity_provider_unreachable", Cause: cause,
		Message: "The identity provider does not answer as it should. Sign in with an API key meanwhile, or try again later.",
	}
}

// refused is the provider's own refusal (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6). Its free text is a stranger's, and not shown.
func refused(code string) error {
	switch code {
	case "access_denied":
		return forgecroft.Errorf(forgecroft.KindForbidden, "sign_on_denied", "The identity provider does not let you in here.")
	case "server_error", "temporarily_unavailable":
		return unreachable(errors.New("the provider answers " + code))
	}
	return unproven(fmt.Errorf("the provider answers with the error %.60q", code))
}

// exchangeFailed is the failure to exchange a code. Only the error's code is kept of a provider's answer: the rest may repeat what was sent.
func exchangeFailed(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return unreachable(errors.New("exchanging the code: the provider does not answer"))
	}
	if answer.Response != nil && answer.Response.StatusCode >= http.StatusInternalServerError {
		return unreachable(fmt.Errorf("exchanging the code: the provider answers with status %d", answer.Response.StatusCode))
	}
	return unproven(fmt.Errorf("exchanging the code: the provider answers with the error %.60q", answer.ErrorCode))
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxAnswer is how many bytes of an answer are read: keys and claims of large providers fit several times.
const maxAnswer = 1 << 20

// bounded cuts every answer off where it is too long for any provider.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxAnswer), response.Body}
	}
	return response, err
}
