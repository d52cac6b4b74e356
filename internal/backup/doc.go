// Package backup moves a whole installation: into one file, out of it again, and from one database or vault to another.
//
// Metadata and secrets lie in two stores, and a copy of each taken at different moments does not fit together. So a backup is one logical archive: all
// tables in one snapshot, and then the vault's records that the snapshot refers to, while nothing is destroyed. References are immutable and
// only ever added, so the two halves belong to one point in time. Records stay sealed as they are: an archive holds no key and no plain secret, and
// says which keys open it. Being logical, it does not care which database and which vault it comes from or goes to.
//
// An archive is a tar file (ustar) with, in this order,
//
//	manifest.json           what is inside: see [Manifest]
//	tables/<name>.jsonl.gz  one for each table: one row a line, a JSON list in the order of the columns, bytes in base64
//	vault.jsonl.gz          the sealed records: reference, organization, credential config, version, sealed bytes
//	sha256                  64 hexadecimal digits: SHA-256 of all bytes of the file before this member
//
// so that tar and jq can look into it, and not one bit of it can change unnoticed.
package backup
