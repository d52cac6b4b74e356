package cloudflare

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
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

// verdict is what one of Cloudflare's error codes means.
type verdict struct {
	kind   provider.Kind
	code   string // instead of Cloudflare's own number; empty: that one
	detail string
	// passes: Cloudflare says the same of a token that it has not heard of yet.
	passes bool
}

// codeAddress is the code of a token that Cloudflare refuses from this server's address.
const codeAddress = "ip_restricted"

// verdicts are Cloudflare's codes that say something about a token. 9109 and 10000 stand for several
// causes each, a missing permission and a restriction of addresses among them, so they prove nothing.
func verdicts() map[int64]verdict { // :: error code → what it means
	malformed := verdict{
		kind: provider.Invalid, detail: "The token is malformed. It may be a Global API Key, which is something else, or have stray characters; copy it again.",
	}
	return map[int64]verdict{
		1000: {kind: provider.Invalid, passes: true, detail: "Cloudflare does not know the token. It was deleted or rolled, or cut off when it was copied."},
		6003: malformed,
		6103: malformed,
		6111: malformed,
		9109: {
			kind:   provider.Inconclusive,
			detail: "Cloudflare refused the question. The token may be restricted to addresses that this server's is not among, or may lack a permission.",
		},
		10000: {
			kind: provider.Inconclusive,
			detail: "Cloudflare could not authenticate the token here. It may be another account's, be restricted to addresses that this server's is not among, " +
				"or be unknown.",
		},
	}
}

// fromHere reports whether a message blames the address that the question came from.
func fromHere(message string) bool {
	return strings.Contains(strings.ToLower(message), "from location")
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
	found, known := verdicts()[code]
	refused := reply.Status == http.StatusBadRequest || reply.Status == http.StatusUnauthorized || reply.Status == http.StatusForbidden
	if !known || !refused {
		return provider.Unclear(provider.CodeProviderError, "Cloudflare answered with an error that says nothing about the token.")
	}
	if message, _ := failures[0].Text("message"); code == 9109 && fromHere(message) {
		found.code = codeAddress
		found.detail = "The token is restricted to addresses that this server's is not among, so Cloudflare cannot be asked about it from here. Runs on other machines may be able to use it."
	}
	if found.code == "" {
		found.code = strconv.FormatInt(code, 10)
	}
	return &provider.Error{Kind: found.kind, Code: found.code, Detail: found.detail, MayPass: found.passes}
}
