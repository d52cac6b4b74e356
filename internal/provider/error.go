package provider

import (
	"fmt"
	"time"
)

// Kind is the outcome of a failed call: the provider said no, or nobody could tell.
type Kind string

// The two kinds of failure.
const (
	// Invalid: the provider definitely said that the credential is bad.
	Invalid Kind = "invalid"
	// Inconclusive: the provider could not be asked, or its answer could not be understood. Says nothing about the credential.
	Inconclusive Kind = "inconclusive"
)

// The codes of our own. A provider's own code is used instead where the client knows it by name; nothing else is ever a code.
const (
	CodeUnreachable   = "provider_unreachable" // name resolution, connection, time-out, or an answer that was cut off
	CodeTLS           = "tls"                  // the provider's certificate or TLS version was refused
	CodeProtocol      = "protocol"             // an answer that is not the provider's: redirect, HTML, wrong shape, too large
	CodeThrottled     = "throttled"            // the provider asks for fewer calls
	CodeClockSkew     = "clock_skew"           // this server's clock and the provider's disagree
	CodeProviderError = "provider_error"       // the provider failed: 5xx, or an error that says nothing about the credential
	CodeRegion        = "region"               // the region is unknown or switched off for the account
	CodeWrongAccount  = "wrong_account"        // the credential works, but in another account than the one it was declared for
	CodeUnsupported   = "unsupported"          // an endpoint of the operator's does not know the question
	CodeCanceled      = "canceled"             // the caller gave up before the provider answered
	CodeTooFresh      = "too_fresh"            // refused, but what was stored is so new that the provider may not know it yet
)

// Error is why a provider did not confirm a credential. It holds no text of the provider, so it is fit for clients and logs.
type Error struct {
	Kind Kind
	// Code is stable and machine-readable: a provider's own code from a client's allow-list, or one of ours.
	Code string
	// Detail is a sentence or two for a person: cause and remedy. Always written by us, never copied from an answer.
	Detail string
	// RetryAfter is how long the provider asked to wait; 0 if it did not say.
	RetryAfter time.Duration
	// MayPass says of an [Invalid] error that it is also what the provider says of keys, tokens and policies
	// that it has not heard of yet. Which ones are new, the caller knows.
	MayPass bool

	cause error // for errors.Is only: its text may hold bytes from the network
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s): %s", e.Code, e.Kind, e.Detail) }

// Unwrap returns what lies beneath, so that errors.Is finds [context.Canceled]. Do not print it: its text may come from the network.
func (e *Error) Unwrap() error { return e.cause }

// Transient reports whether asking again soon may help: the network failed, the provider failed, or it asked for fewer calls.
func (e *Error) Transient() bool {
	if e.Kind != Inconclusive {
		return false
	}
	return e.Code == CodeUnreachable || e.Code == CodeProviderError || e.Code == CodeThrottled
}

// Refused makes an [Invalid] error: the provider said no, with this code.
func Refused(code, detail string) *Error { return &Error{Kind: Invalid, Code: code, Detail: detail} }

// Unknown makes an [Invalid] error with MayPass: the provider does not know the credential, or not yet.
func Unknown(code, detail string) *Error {
	return &Error{Kind: Invalid, Code: code, Detail: detail, MayPass: true}
}

// Unclear makes an [Inconclusive] error.
func Unclear(code, detail string) *Error {
	return &Error{Kind: Inconclusive, Code: code, Detail: detail}
}
