// Package bao is an OpenBao (or HashiCorp Vault) for tests and demonstrations that behaves: key-value engines of version 2 with check-and-set, versions
// and the three ways to delete; tokens that expire and are renewed, policies, AppRole with secret ids that are used up, Kubernetes logins,
// namespaces; and a server that is sealed, standby, not initialised or throttled.
//
// Statuses and bodies are those of OpenBao 2.5, which the tests of internal/vault/openbao also run against.
package bao
