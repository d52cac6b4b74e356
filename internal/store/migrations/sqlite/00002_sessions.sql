-- +goose Up

-- Browsers that are signed in to the web console, by the hash of their cookie.
CREATE TABLE sessions (
    hash            BLOB    NOT NULL PRIMARY KEY,
    id              TEXT    NOT NULL,
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    api_key_id      TEXT    NOT NULL REFERENCES api_keys (id),
    created_at      INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL,
    confirmed_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
