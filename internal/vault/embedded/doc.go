// Package embedded is the vault that needs no other service: sealed secret versions in a SQLite file of its own. It implements
// [forgecroft.Vault] and [forgecroft.KeyRing].
//
// It is a file of its own, apart from the metadata, because the two stores have a protocol between them that does not depend on which vault is
// used, and because a copy of one is worth nothing without the other and the key ring. All cryptography is in package envelope;
// plaintext reaches neither SQL nor the cache, which holds sealed bytes.
//
// Writes go through one goroutine that owns one connection. Those that wait at the same moment share one commit. Reads are answered
// from the cache, or by a few connections of their own.
//
// A destroyed version is overwritten in the database file (secure_delete), but its sealed bytes stay in the write-ahead log until that is
// carried over and truncated: in the first idle moment after the destruction, and under steady load at the latest after 8,000 statements.
// What a file system or a disk keeps of overwritten blocks is beyond the reach of this package.
package embedded
