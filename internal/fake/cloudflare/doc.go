// Package cloudflare is a FAKE of the token endpoints of Cloudflare's API, for tests and demonstrations. It guards nothing.
//
// It behaves: tokens belong to users or to accounts, have a status and dates, and are each known to their own endpoint only; calls
// can be made to go wrong.
package cloudflare
