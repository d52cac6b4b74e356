package cloudflare

import (
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// The codes of a token that Cloudflare knows, but that does not work now.
const (
	codeDisabled  = "disabled"
	codeExpired   = "expired"
	codeNotBefore = "not_yet_valid"
)

const detailExpired = "The token has expired. Roll it or extend it in Cloudflare's dashboard, or store another one."

// isStatus reports whether a code speaks of a token that the asked endpoint knows.
func isStatus(code string) bool {
	return code == codeDisabled || code == codeExpired || code == codeNotBefore
}

// Codes of Cloudflare's that mean "fewer calls"; some come with another status than 429.
const (
	codeRateLimited    = 1015
	codeRateLimitedAPI = 10429
)

var idShape = regexp.MustCompile(`^[0-9a-f]{32}$`)

// wrongShape is the outcome of an answer that Cloudflare's API does not send (PRV-6).
func wrongShape() *provider.Error {
	return provider.Unclear(provider.CodeProtocol,
		"The answer is not one that Cloudflare's API sends. Something else may have answered in its place; check the endpoint and the way out.")
}

// read judges one answer.
func (c *Client) read(reply provider.Reply) (TokenInfo, error) {
	if failure := reply.Failure(c.now()); failure != nil {
		return TokenInfo{}, failure
	}
	object, err := provider.ParseObject(reply.Body)
	success, ok := object.Bool("success")
	if err != nil || !ok || reply.MediaType() != "application/json" {
		return TokenInfo{}, wrongShape()
	}
	switch {
	case reply.Status == http.StatusOK && success:
		return c.judge(object, reply)
	case reply.Status >= 400 && !success:
		return TokenInfo{}, c.failure(object, reply)
	}
	return TokenInfo{}, wrongShape()
}

// judge reads what Cloudflare says of a token that it knows: success alone does not mean that the token works.
func (c *Client) judge(object provider.Object, reply provider.Reply) (TokenInfo, error) {
	result, _ := object.Object("result")
	info, ok := parseResult(result)
	if !ok {
		return TokenInfo{}, wrongShape()
	}
	now := c.now()
	switch info.Status {
	case codeDisabled:
		return TokenInfo{}, provider.Refused(codeDisabled, "The token is disabled. Enable it in Cloudflare's dashboard, or store another one.")
	case codeExpired:
		return TokenInfo{}, provider.Refused(codeExpired, detailExpired)
	case "active":
	default:
		return TokenInfo{}, wrongShape()
	}
	within := !now.Before(info.NotBefore) && (info.ExpiresOn.IsZero() || now.Before(info.ExpiresOn))
	switch {
	case within:
		return info, nil
	case reply.Skewed(now):
		return TokenInfo{}, provider.Unclear(provider.CodeClockSkew,
			"This server's clock and Cloudflare's disagree. Set the clock (NTP), then try again.")
	case now.Before(info.NotBefore):
		return TokenInfo{}, provider.Refused(codeNotBefore, "The token is not valid yet. Wait for its start date, or change it in Cloudflare.")
	}
	return TokenInfo{}, provider.Refused(codeExpired, detailExpired)
}

// parseResult reads the result of a verification; times are optional, but must be times.
func parseResult(result provider.Object) (TokenInfo, bool) {
	id, okID := result.Text("id")
	status, okStatus := result.Text("status")
	expires, okExpires := instant(result, "expires_on")
	starts, okStarts := instant(result, "not_before")
	ok := okID && okStatus && okExpires && okStarts && idShape.MatchString(id)
	return TokenInfo{ID: id, Status: status, ExpiresOn: expires, NotBefore: starts}, ok
}

// instant reads an optional time; null and absent are the zero time.
func instant(object provider.Object, name string) (time.Time, bool) {
	raw, ok := object[name]
	if !ok || string(raw) == "null" {
		return time.Time{}, true
	}
	text, ok := object.Text(name)
	parsed, err := time.Parse(time.RFC3339, text)
	return parsed.UTC(), ok && err == nil
}

// refusals are Cloudflare's codes that speak against a token.
func refusals() map[int64]string { // :: error code → detail
	const malformed = "The token is malformed. It may be a Global API Key, which is something else, or have stray characters; copy it again."
	return map[int64]string{
		1000: "Cloudflare does not know the token. It was deleted, rolled or cut off; or it belongs to an account, whose account_id must then be given.",
		6003: malformed,
		6103: malformed,
		6111: malformed,
		9109: "Cloudflare refused the token. It was deleted or rolled, or it is restricted to addresses that this server's is not among.",
		10000: "Cloudflare could not authenticate the token. It is not known to this account or user, " +
			"or it is restricted to addresses that this server's is not among.",
	}
}

// failure names an error answer. Only a code that we know, with the status of a refusal, speaks against the token.
func (c *Client) failure(object provider.Object, reply provider.Reply) error {
	failures, ok := object.Objects("errors")
	if !ok || len(failures) == 0 {
		return wrongShape()
	}
	code, ok := failures[0].Int("code")
	if !ok {
		return wrongShape()
	}
	if code == codeRateLimited || code == codeRateLimitedAPI {
		return provider.Throttled(reply.RetryAfter(c.now()))
	}
	detail, known := refusals()[code]
	refused := reply.Status == http.StatusBadRequest || reply.Status == http.StatusUnauthorized || reply.Status == http.StatusForbidden
	if known && refused {
		return provider.Refused(strconv.FormatInt(code, 10), detail)
	}
	return provider.Unclear(provider.CodeProviderError, "Cloudflare answered with an error that says nothing about the token.")
}
