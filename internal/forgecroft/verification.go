package forgecroft

import "time"

// The verification states that a list can be filtered by.
const (
	VerifiedValid   = "valid"
	VerifiedInvalid = "invalid"
	Unverified      = "unverified"
)

// CodeUnreachable is the code of a provider that could not be asked.
const CodeUnreachable = "provider_unreachable"

// Verification is the result of asking a provider about one secret version. It has three outcomes: valid; invalid (Conclusive,
// with the provider's own code in Error); and "could not tell" (neither Valid nor Conclusive), which never replaces a
// conclusive result.
type Verification struct {
	Valid              bool
	Conclusive         bool
	Identity           string // who the provider says it is: an ARN, an e-mail, a token id
	Error              string // the provider's code, or ours
	Detail             string // cause and remedy, for a person
	ExternalIDEnforced *bool  // aws_assume_role: whether the role refuses callers without the external ID; nil: not tested
	Warnings           []string
	ExpiresAt          time.Time // when the credential ends, as its provider says; zero: never, or it does not say
	CheckedAt          time.Time
	SecretVersion      int64
	MayPass            bool // of an invalid result: the provider says the same of what it has not heard of yet; not stored
}

// ProviderError is what a credential type reports when a provider refused a credential (Conclusive), or could not tell.
type ProviderError struct {
	Conclusive bool
	Code       string // the provider's code, or ours
	Detail     string // cause and remedy, for a person; never the provider's own words
	RetryAfter time.Duration
	MayPass    bool // the provider says the same of what it has not heard of yet
}

// Error implements error.
func (e *ProviderError) Error() string { return e.Code + ": " + e.Detail }
