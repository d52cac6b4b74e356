// Package aws is a FAKE of the AWS Security Token Service, for tests and demonstrations. It guards nothing.
//
// It behaves: signatures (SigV4) are verified for real, roles have trust policies and external IDs, session tokens expire by an
// injected clock, keys can be new, disabled or gone, and calls can be made to go wrong. Its XML is what AWS sends, so that real
// clients (the SDKs, Terraform's AWS provider) can use it as their STS endpoint.
package aws
