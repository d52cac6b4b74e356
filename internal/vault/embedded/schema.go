package embedded

// applicationID marks a SQLite file as a vault of Forgecroft ("FcVt"; sqlite.org/fileformat2.html, section 1.3.5).
const applicationID = 0x46635674

// formatVersion is what this version writes into user_version. A higher one was written by a newer Forgecroft.
const formatVersion = 1

// schema makes the tables. The columns of the binding repeat what a blob is bound to, so that its data key can be wrapped anew without asking
// the metadata database; whoever opens a blob says himself what it must belong to. The id gives rewrapping an order in which rows
// lie on disk, since references are random.
const schema = `
CREATE TABLE ring_key (
	id     TEXT NOT NULL PRIMARY KEY,
	canary BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
	id                   INTEGER NOT NULL PRIMARY KEY,
	reference            TEXT    NOT NULL UNIQUE,
	organization_id      TEXT    NOT NULL,
	credential_config_id TEXT    NOT NULL,
	version              INTEGER NOT NULL,
	key_id               TEXT    NOT NULL REFERENCES ring_key (id),
	sealed               BLOB    NOT NULL
) STRICT;

CREATE INDEX secret_key ON secret (key_id);
`

// The statements. The names say what they do.
const (
	sqlInsertSecret = `INSERT INTO secret (reference, organization_id, credential_config_id, version, key_id, sealed)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (reference) DO NOTHING`
	sqlDeleteSecret   = `DELETE FROM secret WHERE reference = ?`
	sqlSelectSealed   = `SELECT sealed FROM secret WHERE reference = ?`
	sqlExistsSecret   = `SELECT EXISTS (SELECT 1 FROM secret WHERE reference = ?)`
	sqlReferences     = `SELECT reference FROM secret WHERE reference > ? ORDER BY reference LIMIT ?`
	sqlSelectOutdated = `SELECT id, reference, organization_id, credential_config_id, version, key_id, sealed
		FROM secret WHERE id > ? AND key_id <> ? ORDER BY id LIMIT ?`
	sqlUpdateSealed  = `UPDATE secret SET key_id = ?, sealed = ? WHERE id = ? AND reference = ? AND key_id = ?`
	sqlCountByKey    = `SELECT id, (SELECT count(*) FROM secret WHERE key_id = ring_key.id) FROM ring_key`
	sqlCountOutdated = `SELECT count(*) FROM secret WHERE key_id IN (SELECT id FROM ring_key WHERE id <> ?)`
	sqlCountOfKey    = `SELECT count(*) FROM secret WHERE key_id = ?`
	sqlRingKeys      = `SELECT id, canary, EXISTS (SELECT 1 FROM secret WHERE key_id = ring_key.id) FROM ring_key ORDER BY id`
	sqlInsertKey     = `INSERT INTO ring_key (id, canary) VALUES (?, ?)`
	sqlDeleteKey     = `DELETE FROM ring_key WHERE id = ? AND NOT EXISTS (SELECT 1 FROM secret WHERE key_id = ring_key.id)`
	sqlHeaders       = `SELECT reference, key_id, substr(sealed, 1, 128) FROM secret ORDER BY id`
)
