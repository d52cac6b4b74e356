-- Conventions: ids are UUIDs in canonical text; times are microseconds since 1970 UTC, NULL where there is none; flags are 0 or 1;
-- JSON is text. Text is ordered by its bytes, as in SQLite. Every table that belongs to a tenant has organization_id first in its key, and
-- references carry it along, so that no row can point into another organization.

-- +goose Up

CREATE TABLE organizations (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row: what the installation knows of itself.
CREATE TABLE instance (
    singleton      BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    id             TEXT COLLATE "C" NOT NULL,
    keys_reference TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at     BIGINT NOT NULL
);

CREATE TABLE projects (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    id              TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    search_name     TEXT COLLATE "C" NOT NULL, -- the name in lower case: what a query looks into
    description     TEXT COLLATE "C" NOT NULL,
    revision        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name)
);

CREATE TABLE workspaces (
    organization_id   TEXT COLLATE "C" NOT NULL,
    id                TEXT COLLATE "C" NOT NULL,
    project_id        TEXT COLLATE "C" NOT NULL,
    name              TEXT COLLATE "C" NOT NULL,
    search_name       TEXT COLLATE "C" NOT NULL,
    description       TEXT COLLATE "C" NOT NULL,
    revision          BIGINT NOT NULL,
    last_delivered_at BIGINT ,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name),
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id) ON DELETE RESTRICT
);
CREATE INDEX workspaces_by_project ON workspaces (organization_id, project_id, id);

CREATE TABLE credential_configs (
    organization_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    id                   TEXT COLLATE "C" NOT NULL,
    project_id           TEXT COLLATE "C", -- NULL: organization level
    name                 TEXT COLLATE "C" NOT NULL,
    search_name          TEXT COLLATE "C" NOT NULL,
    description          TEXT COLLATE "C" NOT NULL,
    type                 TEXT COLLATE "C" NOT NULL,
    secret_version       BIGINT NOT NULL, -- 0: none is stored
    reference            TEXT COLLATE "C" UNIQUE,      -- where in the vault; NULL with version 0
    fields               TEXT COLLATE "C" NOT NULL, -- JSON list
    public_values        TEXT COLLATE "C" NOT NULL, -- JSON object
    secret_size          BIGINT NOT NULL,
    secrets_stored_at    BIGINT ,
    external_id          TEXT COLLATE "C" NOT NULL,
    source_id            TEXT COLLATE "C", -- the config whose identity this one builds on
    verification         TEXT COLLATE "C", -- JSON object, as last_attempt
    verification_version BIGINT , -- the secret version that it is about
    verification_valid   BIGINT ,
    last_attempt         TEXT COLLATE "C",
    last_delivered_at    BIGINT ,
    revision             BIGINT NOT NULL,
    created_by           TEXT COLLATE "C" NOT NULL,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name),
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (organization_id, source_id) REFERENCES credential_configs (organization_id, id) ON DELETE RESTRICT
);
CREATE INDEX credential_configs_by_project ON credential_configs (organization_id, project_id, id);
CREATE INDEX credential_configs_by_source ON credential_configs (organization_id, source_id, id) WHERE source_id IS NOT NULL;

CREATE TABLE attachments (
    organization_id      TEXT COLLATE "C" NOT NULL,
    workspace_id         TEXT COLLATE "C" NOT NULL,
    position             BIGINT NOT NULL, -- in the order that the user gave
    credential_config_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, workspace_id, position),
    FOREIGN KEY (organization_id, workspace_id) REFERENCES workspaces (organization_id, id) ON DELETE CASCADE,
    -- Whichever of attaching and deleting comes second fails.
    FOREIGN KEY (organization_id, credential_config_id) REFERENCES credential_configs (organization_id, id) ON DELETE RESTRICT
);
CREATE UNIQUE INDEX attachments_by_credential_config ON attachments (organization_id, credential_config_id, workspace_id);

CREATE TABLE secret_versions (
    organization_id      TEXT COLLATE "C" NOT NULL,
    credential_config_id TEXT COLLATE "C" NOT NULL,
    version              BIGINT NOT NULL,
    reference            TEXT COLLATE "C" NOT NULL,
    fields               TEXT COLLATE "C" NOT NULL,
    created_by           TEXT COLLATE "C" NOT NULL,
    created_at           BIGINT NOT NULL,
    PRIMARY KEY (organization_id, credential_config_id, version),
    FOREIGN KEY (organization_id, credential_config_id) REFERENCES credential_configs (organization_id, id) ON DELETE CASCADE
);

-- A key outlives what it was scoped to, as a record: ids are never used again, so it reaches nothing then.
CREATE TABLE api_keys (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name            TEXT COLLATE "C" NOT NULL,
    role            TEXT COLLATE "C" NOT NULL,
    project_id      TEXT COLLATE "C",
    workspace_id    TEXT COLLATE "C",
    hash            BYTEA NOT NULL,
    hint            TEXT COLLATE "C" NOT NULL,
    created_by      TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT ,
    revoked_at      BIGINT ,
    last_used_at    BIGINT 
);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, id);
CREATE INDEX api_keys_by_project ON api_keys (organization_id, project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX api_keys_owners ON api_keys (organization_id) WHERE role = 'owner' AND revoked_at IS NULL;

-- Append-only, and the hottest table: every further index would cost more than the row.
CREATE TABLE audit_events (
    organization_id TEXT COLLATE "C" NOT NULL,
    sequence        BIGINT NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    time            BIGINT NOT NULL,
    actor_key_id    TEXT COLLATE "C" NOT NULL,
    actor_name      TEXT COLLATE "C" NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    object_type     TEXT COLLATE "C" NOT NULL,
    object_id       TEXT COLLATE "C" NOT NULL,
    outcome         TEXT COLLATE "C" NOT NULL,
    request_id      TEXT COLLATE "C" NOT NULL,
    remote_addr     TEXT COLLATE "C" NOT NULL,
    details         TEXT COLLATE "C" NOT NULL,
    digest          BYTEA NOT NULL,
    previous        BYTEA NOT NULL,
    hash            BYTEA NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);

CREATE TABLE audit_checkpoints (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    sequence        BIGINT NOT NULL,
    time            BIGINT NOT NULL,
    hash            BYTEA NOT NULL,
    key_id          TEXT COLLATE "C" NOT NULL,
    signature       BYTEA NOT NULL,
    PRIMARY KEY (organization_id, sequence, time)
);

-- Promises about the vault. organization_id is the instance's id for the instance keys.
CREATE TABLE intents (
    reference       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind            TEXT COLLATE "C" NOT NULL,
    organization_id TEXT COLLATE "C" NOT NULL,
    not_before      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    attempts        BIGINT NOT NULL
);
CREATE INDEX intents_due ON intents (not_before, created_at, reference);

CREATE TABLE leases (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder  TEXT COLLATE "C" NOT NULL,
    fence   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE TABLE idempotency_records (
    organization_id TEXT COLLATE "C" NOT NULL,
    api_key_id      TEXT COLLATE "C" NOT NULL,
    route           TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    fingerprint     BYTEA NOT NULL,
    result          BYTEA NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, api_key_id, route, idempotency_key)
);
CREATE INDEX idempotency_records_by_age ON idempotency_records (created_at);

-- How many transactions have changed what replicas remember.
CREATE TABLE changes (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    counter   BIGINT NOT NULL
);
INSERT INTO changes (singleton, counter) VALUES (1, 0);

-- The second wall between tenants: whatever a statement says, it reaches the rows of the organization that the connection is set to, or with '*'
-- those of all. A connection that is set to nothing sees nothing. Intents are the vault's, not a tenant's: they are found by references that nobody can guess.

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspaces USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE credential_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE credential_configs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON credential_configs USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE attachments ENABLE ROW LEVEL SECURITY;
ALTER TABLE attachments FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON attachments USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE secret_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE secret_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON secret_versions USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON api_keys USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_events USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_checkpoints USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));

ALTER TABLE idempotency_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_records USING (current_setting('forgecroft.organization_id', TRUE) IN (organization_id, '*'));
