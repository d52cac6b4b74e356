// Package openbao is the vault that several replicas share: the key-value engine, version 2, of OpenBao or HashiCorp Vault. It implements
// [forgecroft.Vault], and [forgecroft.KeyRing] under an envelope.
//
// Below the mount and the prefix of [Options] there is:
//
//	<prefix>/vault            what this vault is: its format, whether secrets are enveloped, and a canary of each key
//	<prefix>/secrets/<ref>    one secret version
//
// A reference is written once, with check-and-set 0, so a request that is repeated because its answer was lost cannot store anything twice: the
// second one is refused, and what is stored tells whose it is. Only moving a secret version to another key writes a second version, and destroys the
// first. Destroying a reference deletes its metadata, and with it all versions, and reads back that it is gone.
//
// Under the envelope, which is the default, the server behind the network sees sealed bytes only, and they may be kept in memory: a reference always
// means the same secret. This memory stands in for a server that is not heard from for ten seconds at most, so that sealing the server stops all
// deliveries. What another replica has destroyed may stay in this memory, but is not delivered, because no metadata refers to it any more.
//
// The client is net/http and this package: what is needed of the API is small, and its errors must be told apart (openbao.org/api-docs).
package openbao
