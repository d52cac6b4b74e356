// Package provider holds what the thin clients of AWS, Google Cloud and Cloudflare share: one hardened way out of the process, and
// one vocabulary for how asking a provider can fail.
//
// It exists because a verification has three outcomes, not two. A provider that says "no" ([Invalid]) and a provider that could not
// be asked ([Inconclusive]) must never be mixed up: an outage must not make a good credential look bad, and a strange answer must
// not make a bad one look good. So everything that is not exactly the answer we know is inconclusive.
//
// The other half is that providers are reached over the network from a server that holds many tenants' secrets. [NewHTTPClient]
// refuses private addresses after name resolution, redirects, proxies, compression, old TLS and large answers, so that the
// endpoint tables of the clients are the only places that such a server can ever talk to.
package provider
