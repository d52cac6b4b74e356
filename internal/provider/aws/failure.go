package aws

import (
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// verdict is what one of AWS's error codes means.
type verdict struct {
	kind   provider.Kind
	code   string // instead of AWS's own; empty: that one
	detail string
	// passes: AWS says the same of what it has not heard of yet.
	passes bool
}

// codeRoleARN is the code of an ARN that is none of a role.
const codeRoleARN = "invalid_role_arn"

const (
	detailDenied = "STS refused to hand out the role. Either its trust policy does not name this identity, or it expects another external ID, " +
		"or this identity lacks sts:AssumeRole, or the role does not exist. Paste the trust policy shown with the credential into the role."
	detailDuration = "The duration is above the role's maximum session duration, " +
		"or above one hour for a role that is assumed from another role's session. Lower duration_seconds."
	detailRoleARN     = "AWS does not accept the role's ARN. It may be cut off, or of another partition than the region. Copy it again."
	detailValues      = "AWS refused the values of the request before it looked at the key."
	detailSecret      = "The secret access key does not belong to this access key. It may have been cut off; copy it again."
	detailExpired     = "The session token has expired. Store a new set of temporary keys, or use a long-term key."
	detailUnknown     = "The access key is not known. Check that it was copied whole and still exists."
	detailRegion      = "STS is switched off in this region for the account. Choose another region, or activate this one in the account's settings."
	detailUnsupported = "The endpoint does not know this question, as some that are compatible with STS do not. The first run will tell."
	detailClock       = "AWS says that the request was signed at the wrong time. Set this server's clock (NTP), then try again."
)

// verdicts is AWS's side of the allow-list of codes (SSRF-13). A code that is not here is never passed on.
func verdicts() map[string]verdict { // :: AWS error code → what it means
	return map[string]verdict{
		"InvalidClientTokenId": {kind: provider.Invalid, passes: true, detail: "AWS does not know this access key: it was deleted or deactivated, " +
			"is of another partition (set the region), or its session token is missing or not its own."},
		"InvalidAccessKeyId":          {kind: provider.Invalid, passes: true, detail: detailUnknown},
		"UnrecognizedClientException": {kind: provider.Invalid, passes: true, detail: detailUnknown},
		"SignatureDoesNotMatch":       {kind: provider.Invalid, detail: detailSecret},
		"IncompleteSignature":         {kind: provider.Invalid, detail: "The access key is malformed. Look for white space or stray characters, and copy it again."},
		"ExpiredToken":                {kind: provider.Invalid, detail: detailExpired},
		"ExpiredTokenException":       {kind: provider.Invalid, detail: detailExpired},
		"InvalidIdentityToken":        {kind: provider.Invalid, passes: true, detail: "The web identity token was refused. Check the issuer and its audience in IAM."},
		"IDPRejectedClaim":            {kind: provider.Invalid, detail: "The web identity token's audience or subject was refused. Check the role's trust policy."},

		"InvalidAction":         {kind: provider.Inconclusive, code: provider.CodeUnsupported, detail: detailUnsupported},
		"InvalidParameterValue": {kind: provider.Inconclusive, code: provider.CodeUnsupported, detail: detailUnsupported}, // as MinIO says it

		"RequestExpired":          {kind: provider.Inconclusive, code: provider.CodeClockSkew, detail: detailClock},
		"RegionDisabledException": {kind: provider.Inconclusive, code: provider.CodeRegion, detail: detailRegion},
		"OptInRequired":           {kind: provider.Inconclusive, code: provider.CodeRegion, detail: detailRegion},
		"MissingAuthenticationToken": {kind: provider.Inconclusive, detail: "AWS received the request without its signature. " +
			"Something between this server and AWS may strip the Authorization header."},
		"AccessDenied": {kind: provider.Inconclusive, detail: "AWS denied the question itself, which needs no permission. " +
			"The policy of a VPC endpoint may forbid it."},
		"ValidationError": {kind: provider.Inconclusive, detail: detailValues},
	}
}

// assumeVerdicts are the codes that mean something else when a role is assumed: the role's settings are part of the credential.
func assumeVerdicts() map[string]verdict { // :: AWS error code → what it means
	return map[string]verdict{
		"AccessDenied":            {kind: provider.Invalid, passes: true, detail: detailDenied},
		"MalformedPolicyDocument": {kind: provider.Invalid, detail: "The session policy is malformed."},
		"PackedPolicyTooLarge":    {kind: provider.Invalid, detail: "The session policy and tags are too large together."},
	}
}

// throttleCodes are AWS's words for "fewer calls"; it sends them with status 400 or 503 as well as 429.
func throttleCodes() []string {
	return []string{
		"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded",
		"TooManyRequestsException", "SlowDown", "BandwidthLimitExceeded", "LimitExceededException", "PriorRequestNotComplete",
	}
}

// failureCodes are AWS's words for a failure of its own, whatever the status.
func failureCodes() []string {
	return []string{"InternalFailure", "InternalError", "ServiceUnavailable", "IDPCommunicationError"}
}

// failure names an answer whose status is not 200. Only a well-formed error of STS with a code that we know can speak against keys.
func (c *Client) failure(action string, reply provider.Reply) error {
	code, message, err := parseError(reply.Body)
	if err == nil && isXML(reply) && slices.Contains(throttleCodes(), code) {
		return provider.Throttled(reply.RetryAfter(c.now()))
	}
	if common := reply.Failure(c.now()); common != nil {
		return common
	}
	if err != nil || !isXML(reply) || reply.Status < 400 {
		return wrongShape()
	}
	if slices.Contains(failureCodes(), code) {
		return provider.Unclear(provider.CodeProviderError, "AWS failed to answer (an error on its side). Try again later.")
	}
	found, ok := byMessage(action, code, message)
	if !ok && code == "SignatureDoesNotMatch" && reply.Skewed(c.now()) {
		found, ok = verdict{kind: provider.Inconclusive, code: provider.CodeClockSkew, detail: detailClock}, true
	}
	if !ok && action != "GetCallerIdentity" {
		found, ok = assumeVerdicts()[code]
	}
	if !ok {
		found, ok = verdicts()[code]
	}
	if !ok {
		return provider.Unclear(provider.CodeProviderError, "AWS answered with an error that says nothing about the credential.")
	}
	if found.code != "" {
		code = found.code
	}
	return &provider.Error{Kind: found.kind, Code: code, Detail: found.detail, MayPass: found.passes}
}

// byMessage tells the causes apart that AWS puts under one code. The texts are those of STS; one that is not known decides
// nothing.
func byMessage(action, code, message string) (verdict, bool) {
	assumes := action != "GetCallerIdentity"
	switch {
	case code == "SignatureDoesNotMatch" && aboutTime(message):
		return verdict{kind: provider.Inconclusive, code: provider.CodeClockSkew, detail: detailClock}, true
	case code == "SignatureDoesNotMatch" && strings.Contains(message, "scoped to a valid region"):
		return verdict{kind: provider.Inconclusive, code: provider.CodeRegion, detail: "The endpoint does not answer for this region. Choose the region that it belongs to."}, true
	case code == "ValidationError" && assumes && strings.Contains(message, "DurationSeconds"):
		return verdict{kind: provider.Invalid, detail: detailDuration}, true
	case code == "ValidationError" && assumes && strings.Contains(message, "ARN is invalid"):
		return verdict{kind: provider.Invalid, code: codeRoleARN, detail: detailRoleARN}, true
	}
	return verdict{}, false
}

// aboutTime recognises the two messages with which AWS blames the clock under the code of a wrong secret.
func aboutTime(message string) bool {
	return strings.HasPrefix(message, "Signature expired") || strings.HasPrefix(message, "Signature not yet current")
}
