// Package envelope seals secret versions: authenticated envelope encryption under a ring of key-encryption keys. It does no I/O.
//
// Each secret version has a random data key of its own, which is wrapped by the ring's primary key-encryption key. Rotating the ring
// therefore re-wraps 48 bytes a version and touches no plaintext; see [Ring.Rewrap]. Everything a blob belongs to is bound to it as
// associated data, so a blob that was moved, swapped or rolled back does not open.
package envelope
