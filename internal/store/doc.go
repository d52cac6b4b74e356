// Package store keeps Forgecroft's metadata in SQL. It implements [forgecroft.Store].
//
// The SQL is written by hand in the subset that SQLite and PostgreSQL share, with $n parameters, one file per noun. What differs between the
// databases is a dialect: how to connect, which tables to make, what an error code means.
//
// All writes go through one goroutine that owns one connection. Transactions that wait at the same moment share one commit, so that
// a durable audit entry costs a fraction of an fsync. Reads use a few connections of their own. Delivery plans and API keys, the
// hot path, are answered from memory as long as nothing that could change them has been committed.
package store
