package gcp

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// maxLife is the longest that a token of Google's lives, by an organization's exception; an hour is usual.
const maxLife = 12 * time.Hour

// codeAbsent marks an endpoint that is not there; it is not an answer of Google's.
const codeAbsent = "endpoint_absent"

// wrongShape is the outcome of an answer that Google does not send (PRV-6).
func wrongShape() *provider.Error {
	return provider.Unclear(provider.CodeProtocol,
		"The answer is not one that Google sends. Something else may have answered in its place; check the endpoint and the way out.")
}

func isAbsent(err error) bool {
	var failure *provider.Error
	return errors.As(err, &failure) && failure.Code == codeAbsent
}

var tokenShape = regexp.MustCompile(`^[\x21-\x7e]+$`)

// parseToken reads a successful answer of the token endpoint (RFC 6749, section 5.1).
func parseToken(body []byte) (value string, life time.Duration, ok bool) {
	object, err := provider.ParseObject(body)
	if err != nil {
		return "", 0, false
	}
	value, okValue := object.Text("access_token")
	kind, okKind := object.Text("token_type")
	seconds, okLife := object.Int("expires_in")
	if !okValue || !okKind || !okLife || !strings.EqualFold(kind, "Bearer") || !tokenShape.MatchString(value) {
		return "", 0, false
	}
	if seconds <= 0 || seconds > int64(maxLife.Seconds()) {
		return "", 0, false
	}
	return value, time.Duration(seconds) * time.Second, true
}

// parseTokenInfo reads whose token it is.
func parseTokenInfo(body []byte) (email string, ok bool) {
	object, err := provider.ParseObject(body)
	if err != nil {
		return "", false
	}
	email, ok = object.Text("email")
	return email, ok && strings.Count(email, "@") == 1
}

// refusals are the error codes of RFC 6749 with which Google says no to a key.
func refusals() map[string]string { // :: error code → detail
	return map[string]string{
		"invalid_grant": "Google refused the key: it was deleted or disabled, its service account no longer exists or is disabled, " +
			"or the e-mail and the key come from different files.",
		"invalid_client":  "Google does not know the service account. It may have been deleted.",
		"disabled_client": "The service account is disabled. Enable it, or store the key of another one.",
	}
}

// requestFaults are the codes with which Google refuses the request rather than the key.
func requestFaults() map[string]string { // :: error code → detail
	return map[string]string{
		"invalid_scope":       "Google refused the scopes that were asked for.",
		"unauthorized_client": "Google does not allow this account to get tokens with these scopes.",
		"access_denied":       "Google denied the request by a policy of the organization.",
	}
}

// tokenFailure names an answer of the token endpoint whose status is not 200, 429 or 5xx.
func (c *Client) tokenFailure(reply provider.Reply) error {
	object, err := provider.ParseObject(reply.Body)
	if err != nil || reply.MediaType() != "application/json" || reply.Status < 400 {
		return wrongShape()
	}
	code, ok := object.Text("error")
	description, _ := object.Text("error_description")
	detail, refused := refusals()[code]
	fault, faulty := requestFaults()[code]
	switch {
	case !ok:
		return apiFailure(object)
	case code == "rate_limit_exceeded" || code == "slow_down":
		return provider.Throttled(reply.RetryAfter(c.now()))
	case code == "invalid_grant" && (aboutTime(description) || reply.Skewed(c.now())):
		return provider.Unclear(provider.CodeClockSkew,
			"Google says that the request was signed at the wrong time. Set this server's clock (NTP), then try again.")
	case code == "invalid_grant" && strings.Contains(strings.ToLower(description), "audience"):
		return provider.Unclear(provider.CodeProtocol,
			"The token endpoint expects an assertion for another address. Check the configured token URL.")
	case refused && slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, reply.Status):
		return provider.Unknown(code, detail)
	case faulty:
		return provider.Unclear(code, fault)
	}
	return provider.Unclear(provider.CodeProviderError, "Google answered with an error that says nothing about the key.")
}

// apiFailure names an error in the form of Google's APIs, where error is an object with a status.
func apiFailure(object provider.Object) error {
	failure, ok := object.Object("error")
	if !ok {
		return wrongShape()
	}
	switch status, _ := failure.Text("status"); status {
	case "RESOURCE_EXHAUSTED":
		return provider.Throttled(0)
	case "PERMISSION_DENIED", "SERVICE_DISABLED":
		return provider.Unclear("PERMISSION_DENIED", "Google denied the question itself. A policy, or an API that is switched off, stands in the way.")
	}
	return provider.Unclear(provider.CodeProviderError, "Google answered with an error that says nothing about the key.")
}

// infoFailure names an answer of the tokeninfo endpoint. It never speaks against the key, which has just been given a token.
func (c *Client) infoFailure(reply provider.Reply) error {
	if reply.Status == http.StatusNotFound || reply.Status == http.StatusMethodNotAllowed {
		return provider.Unclear(codeAbsent, "The endpoint that says whose token it is does not exist. Check the configured token URL.")
	}
	if _, err := provider.ParseObject(reply.Body); err != nil || reply.MediaType() != "application/json" {
		return wrongShape()
	}
	return provider.Unclear(provider.CodeProviderError, "Google gave a token, but could not say whose it is yet. Try again.")
}

// aboutTime recognises what Google says of an assertion from the past or the future.
func aboutTime(description string) bool {
	text := strings.ToLower(description)
	for _, sign := range []string{"short-lived token", "reasonable timeframe", "iat and exp", "issued in the future", "token has expired"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}
