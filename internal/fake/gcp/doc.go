// Package gcp is a FAKE of Google's token service, for tests and demonstrations. It guards nothing.
//
// It behaves: assertions are verified for real with the account's public key, within Google's windows of time; keys and accounts
// can be disabled or gone; tokens expire by an injected clock; calls can be made to go wrong.
package gcp
