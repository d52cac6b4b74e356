// Package cloudflare asks Cloudflare whether an API token is alive, and which one it is.
//
// Two kinds of token exist, and each has its own endpoint: a user's tokens and an account's tokens. Tokens made since 2025 carry
// their kind in a prefix (cfut_, cfat_); older ones do not, so both endpoints are asked before a token is called bad.
//
// Every failure is a [*provider.Error].
package cloudflare
