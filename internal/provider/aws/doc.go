// Package aws asks the AWS Security Token Service (STS) who a key pair is, and for short-lived keys of a role.
//
// Requests are built here and signed with the SDK's own signer; answers are read here too, exactly: a success must have the status,
// media type, namespace, account and ARN that STS sends, because a loosely read STS answer is how others have let strangers in
// (CVE-2020-16250). Endpoints come from a table by region, or from the operator; never from a client of the server. The SDK's chain
// of ambient credentials is not linked: only [ServerIdentity] looks at this machine's own identity, and only if the operator
// allowed it.
//
// Every failure is a [*provider.Error].
package aws
