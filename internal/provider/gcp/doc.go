// Package gcp trades a Google service account's key for a short-lived access token, and asks whose token it is.
//
// The key file that a user pastes names URLs of its own (token_uri and others). None of them is ever read here: the token URL is
// Google's, or the operator's, and the request is built from four values of the key (SSRF-1). The signed assertion is made here
// rather than by a library, so that every answer of Google's can be told apart.
//
// Every failure is a [*provider.Error].
package gcp
