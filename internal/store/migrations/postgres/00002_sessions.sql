-- +goose Up

-- Browsers that are signed in to the web console, by the hash of their cookie. There is no policy of a tenant on it: the hash, which nobody guesses, comes
-- before the tenant is known, and a session opens nothing without its API key. Its key is checked by api_key_id alone, because the policy of
-- api_keys would hide it from a check across tenants.
CREATE TABLE sessions (
    hash            BYTEA NOT NULL PRIMARY KEY,
    id              TEXT COLLATE "C" NOT NULL,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    api_key_id      TEXT COLLATE "C" NOT NULL REFERENCES api_keys (id),
    created_at      BIGINT NOT NULL,
    seen_at         BIGINT NOT NULL,
    confirmed_at    BIGINT NOT NULL
);
