-- The tables after all migrations. Made by: go test ./internal/store -run TestSchema -update

CREATE TABLE api_keys (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    name            TEXT    NOT NULL,
    role            TEXT    NOT NULL,
    project_id      TEXT,
    workspace_id    TEXT,
    hash            BLOB    NOT NULL,
    hint            TEXT    NOT NULL,
    created_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    revoked_at      INTEGER,
    last_used_at    INTEGER
, checksum INTEGER, subject TEXT) STRICT;

CREATE INDEX api_keys_by_organization ON api_keys (organization_id, id);

CREATE INDEX api_keys_by_project ON api_keys (organization_id, project_id, id) WHERE project_id IS NOT NULL;

CREATE UNIQUE INDEX api_keys_by_subject ON api_keys (organization_id, subject) WHERE subject IS NOT NULL AND revoked_at IS NULL;

CREATE INDEX api_keys_owners ON api_keys (organization_id) WHERE role = 'owner' AND revoked_at IS NULL;

CREATE TABLE attachments (
    organization_id      TEXT    NOT NULL,
    workspace_id         TEXT    NOT NULL,
    position             INTEGER NOT NULL, -- in the order that the user gave
    credential_config_id TEXT    NOT NULL,
    PRIMARY KEY (organization_id, workspace_id, position),
    FOREIGN KEY (organization_id, workspace_id) REFERENCES workspaces (organization_id, id) ON DELETE CASCADE,
    -- Whichever of attaching and deleting comes second fails.
    FOREIGN KEY (organization_id, credential_config_id) REFERENCES credential_configs (organization_id, id) ON DELETE RESTRICT
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX attachments_by_credential_config ON attachments (organization_id, credential_config_id, workspace_id);

CREATE TABLE audit_checkpoints (
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    sequence        INTEGER NOT NULL,
    time            INTEGER NOT NULL,
    hash            BLOB    NOT NULL,
    key_id          TEXT    NOT NULL,
    signature       BLOB    NOT NULL,
    PRIMARY KEY (organization_id, sequence, time)
) STRICT;

CREATE TABLE audit_events (
    organization_id TEXT    NOT NULL,
    sequence        INTEGER NOT NULL,
    id              TEXT    NOT NULL,
    time            INTEGER NOT NULL,
    actor_key_id    TEXT    NOT NULL,
    actor_name      TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    object_type     TEXT    NOT NULL,
    object_id       TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    remote_addr     TEXT    NOT NULL,
    details         TEXT    NOT NULL,
    digest          BLOB    NOT NULL,
    previous        BLOB    NOT NULL,
    hash            BLOB    NOT NULL,
    PRIMARY KEY (organization_id, sequence)
) STRICT;

CREATE TABLE credential_configs (
    organization_id      TEXT    NOT NULL REFERENCES organizations (id),
    id                   TEXT    NOT NULL,
    project_id           TEXT, -- NULL: organization level
    name                 TEXT    NOT NULL,
    search_name          TEXT    NOT NULL,
    description          TEXT    NOT NULL,
    type                 TEXT    NOT NULL,
    secret_version       INTEGER NOT NULL, -- 0: none is stored
    reference            TEXT UNIQUE,      -- where in the vault; NULL with version 0
    fields               TEXT    NOT NULL, -- JSON list
    public_values        TEXT    NOT NULL, -- JSON object
    secret_size          INTEGER NOT NULL,
    secrets_stored_at    INTEGER,
    external_id          TEXT    NOT NULL,
    source_id            TEXT, -- the config whose identity this one builds on
    verification         TEXT, -- JSON object, as last_attempt
    verification_version INTEGER, -- the secret version that it is about
    verification_valid   INTEGER,
    last_attempt         TEXT,
    last_delivered_at    INTEGER,
    revision             INTEGER NOT NULL,
    created_by           TEXT    NOT NULL,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL, checksum INTEGER,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name),
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (organization_id, source_id) REFERENCES credential_configs (organization_id, id) ON DELETE RESTRICT
) STRICT;

CREATE INDEX credential_configs_by_project ON credential_configs (organization_id, project_id, id);

CREATE INDEX credential_configs_by_source ON credential_configs (organization_id, source_id, id) WHERE source_id IS NOT NULL;

CREATE TABLE idempotency_records (
    organization_id TEXT    NOT NULL,
    api_key_id      TEXT    NOT NULL,
    route           TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    fingerprint     BLOB    NOT NULL,
    result          BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, api_key_id, route, idempotency_key)
) STRICT;

CREATE INDEX idempotency_records_by_age ON idempotency_records (created_at);

CREATE TABLE instance (
    singleton      INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    id             TEXT    NOT NULL,
    keys_reference TEXT    NOT NULL UNIQUE,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE intents (
    reference       TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL,
    organization_id TEXT    NOT NULL,
    not_before      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX intents_due ON intents (not_before, created_at, reference);

CREATE TABLE leases (
    name    TEXT    NOT NULL PRIMARY KEY,
    holder  TEXT    NOT NULL,
    fence   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE organizations (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    id              TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    search_name     TEXT    NOT NULL, -- the name in lower case: what a query looks into
    description     TEXT    NOT NULL,
    revision        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name)
) STRICT;

CREATE TABLE secret_versions (
    organization_id      TEXT    NOT NULL,
    credential_config_id TEXT    NOT NULL,
    version              INTEGER NOT NULL,
    reference            TEXT    NOT NULL,
    fields               TEXT    NOT NULL,
    created_by           TEXT    NOT NULL,
    created_at           INTEGER NOT NULL,
    PRIMARY KEY (organization_id, credential_config_id, version),
    FOREIGN KEY (organization_id, credential_config_id) REFERENCES credential_configs (organization_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE sessions (
    hash            BLOB    NOT NULL PRIMARY KEY,
    id              TEXT    NOT NULL,
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    api_key_id      TEXT    NOT NULL REFERENCES api_keys (id),
    created_at      INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL,
    confirmed_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workspaces (
    organization_id   TEXT    NOT NULL,
    id                TEXT    NOT NULL,
    project_id        TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    search_name       TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    revision          INTEGER NOT NULL,
    last_delivered_at INTEGER,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL, checksum INTEGER,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name),
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id) ON DELETE RESTRICT
) STRICT;

CREATE INDEX workspaces_by_project ON workspaces (organization_id, project_id, id);
