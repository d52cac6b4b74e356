package credtype_test

// outcomeDoc is one documented outcome of a verification. TestVerify refuses outcomes that are not documented.
type outcomeDoc struct{ outcome, code, when string }

const (
	isValid   = "valid"
	isInvalid = "invalid"
	isUnclear = "could not tell"
)

// of is the outcome of a result, in the words of the documentation.
func (r result) of() string {
	switch {
	case r.Valid:
		return isValid
	case r.Conclusive:
		return isInvalid
	}
	return isUnclear
}

// commonOutcomes can happen with every provider.
func commonOutcomes() []outcomeDoc {
	return []outcomeDoc{
		{isUnclear, "provider_unreachable", "name resolution, connection or time failed"},
		{isUnclear, "tls", "the provider's certificate or TLS version was refused"},
		{isUnclear, "protocol", "the answer was not the provider's: a portal's page, a proxy, a wrong shape"},
		{isUnclear, "throttled", "the provider wants fewer calls"},
		{isUnclear, "provider_error", "the provider failed, or its error says nothing about the credential"},
		{isUnclear, "clock_skew", "the server's clock and the provider's disagree"},
		{isUnclear, "too_fresh", "the provider refused it, but it was stored within the last minute (a role: the last five), and may not be known there yet"},
	}
}

// outcomes are those of one type.
func outcomes(typ string) []outcomeDoc {
	keys := []outcomeDoc{
		{isInvalid, "InvalidClientTokenId", "the key does not exist, is inactive or of another partition, or its session token is not its own"},
		{isInvalid, "SignatureDoesNotMatch", "the secret does not belong to the key"},
		{isInvalid, "ExpiredToken", "the temporary keys have expired"},
		{isInvalid, "wrong_account", "the credential belongs to another account than expected"},
		{isInvalid, "InvalidAccessKeyId", "an S3-compatible server does not know the key"},
		{isUnclear, "region", "STS is switched off in the region, the account has not enabled it, or the operator's own endpoint is of another region"},
		{isUnclear, "unsupported", "the operator's own endpoint does not know GetCallerIdentity (InvalidAction, InvalidParameterValue); a role that it hands out counts as valid, with a warning"},
	}
	switch typ {
	case "aws_static":
		return append([]outcomeDoc{
			{isValid, "", "STS GetCallerIdentity answers; the identity is its ARN, with a warning if it is the root user's"},
		}, append(keys, outcomeDoc{isUnclear, "not_amazon_key", "the key has not the form of Amazon's and the operator has set no STS endpoint"})...)
	case "aws_assume_role":
		return append([]outcomeDoc{
			{isValid, "", "STS hands the role out and names the session; a second try without the external ID tells `external_id_enforced` (left out if it could not be tested)"},
			{isInvalid, "AccessDenied", "the role does not trust the source identity with this external ID, or does not exist"},
			{isInvalid, "ValidationError", "the duration is above the role's maximum"},
			{isInvalid, "invalid_role_arn", "AWS does not accept the role's ARN, of another partition for instance"},
			{isUnclear, "ValidationError", "STS refused another value of the request"},
			{isInvalid, "no_source_identity", "no source is set, and the operator has not allowed the server's own identity"},
			{isUnclear, "server_identity", "the server's own identity cannot be had, or AWS refused it"},
		}, keys...)
	case "gcp_service_account":
		return []outcomeDoc{
			{isValid, "", "Google trades the key for a token of the same account; the identity is its e-mail address"},
			{isInvalid, "invalid_grant", "the key or the account was disabled or deleted"},
			{isInvalid, "invalid_client", "Google does not know the account"},
			{isInvalid, "disabled_client", "the account is disabled"},
			{isInvalid, "identity_mismatch", "the token belongs to another account than the key says"},
		}
	case "cloudflare_api_token":
		return []outcomeDoc{
			{isValid, "", "Cloudflare calls the token active; the identity is its id, with a warning two weeks before it expires"},
			{isInvalid, "1000", "Cloudflare does not know the token"},
			{isInvalid, "disabled", "the token is disabled, although Cloudflare answers with success"},
			{isInvalid, "expired", "the token has expired"},
			{isInvalid, "not_yet_valid", "the token's start lies ahead"},
			{isUnclear, "account_id_required", "the token is an account's, or may be, and the account is not known"},
			{isUnclear, "ip_restricted", "the token is restricted to addresses that the server's is not among"},
			{isUnclear, "9109", "Cloudflare refused the question: a restriction of addresses, or a missing permission"},
			{isUnclear, "10000", "Cloudflare could not authenticate the token: it has several causes"},
		}
	}
	return []outcomeDoc{{isUnclear, "not_verifiable", "always: there is no provider to ask"}}
}
