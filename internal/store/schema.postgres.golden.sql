-- The tables after all migrations. Made by: go test ./internal/store -run TestSchema -update

CREATE TABLE api_keys (
    id text COLLATE "C" NOT NULL,
    organization_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    project_id text COLLATE "C",
    workspace_id text COLLATE "C",
    hash bytea NOT NULL,
    hint text COLLATE "C" NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint,
    checksum bigint,
    subject text COLLATE "C",
    CONSTRAINT api_keys_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT api_keys_pkey PRIMARY KEY (id)
);
CREATE INDEX api_keys_by_organization ON public.api_keys USING btree (organization_id, id);
CREATE INDEX api_keys_by_project ON public.api_keys USING btree (organization_id, project_id, id) WHERE (project_id IS NOT NULL);
CREATE UNIQUE INDEX api_keys_by_subject ON public.api_keys USING btree (organization_id, subject) WHERE ((subject IS NOT NULL) AND (revoked_at IS NULL));
CREATE INDEX api_keys_owners ON public.api_keys USING btree (organization_id) WHERE ((role = 'owner'::text) AND (revoked_at IS NULL));
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON api_keys FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE attachments (
    organization_id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    credential_config_id text COLLATE "C" NOT NULL,
    CONSTRAINT attachments_organization_id_credential_config_id_fkey FOREIGN KEY (organization_id, credential_config_id) REFERENCES credential_configs(organization_id, id) ON DELETE RESTRICT,
    CONSTRAINT attachments_organization_id_workspace_id_fkey FOREIGN KEY (organization_id, workspace_id) REFERENCES workspaces(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT attachments_pkey PRIMARY KEY (organization_id, workspace_id, "position")
);
CREATE UNIQUE INDEX attachments_by_credential_config ON public.attachments USING btree (organization_id, credential_config_id, workspace_id);
ALTER TABLE attachments ENABLE ROW LEVEL SECURITY;
ALTER TABLE attachments FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON attachments FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE audit_checkpoints (
    organization_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    time bigint NOT NULL,
    hash bytea NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT audit_checkpoints_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (organization_id, sequence, "time")
);
ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_checkpoints FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE audit_events (
    organization_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    time bigint NOT NULL,
    actor_key_id text COLLATE "C" NOT NULL,
    actor_name text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    object_type text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    remote_addr text COLLATE "C" NOT NULL,
    details text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (organization_id, sequence)
);
ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_events FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE changes (
    singleton bigint NOT NULL,
    counter bigint NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (singleton),
    CONSTRAINT changes_singleton_check CHECK ((singleton = 1))
);

CREATE TABLE credential_configs (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C",
    name text COLLATE "C" NOT NULL,
    search_name text COLLATE "C" NOT NULL,
    description text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    secret_version bigint NOT NULL,
    reference text COLLATE "C",
    fields text COLLATE "C" NOT NULL,
    public_values text COLLATE "C" NOT NULL,
    secret_size bigint NOT NULL,
    secrets_stored_at bigint,
    external_id text COLLATE "C" NOT NULL,
    source_id text COLLATE "C",
    verification text COLLATE "C",
    verification_version bigint,
    verification_valid bigint,
    last_attempt text COLLATE "C",
    last_delivered_at bigint,
    revision bigint NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    checksum bigint,
    CONSTRAINT credential_configs_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT credential_configs_organization_id_name_key UNIQUE (organization_id, name),
    CONSTRAINT credential_configs_organization_id_project_id_fkey FOREIGN KEY (organization_id, project_id) REFERENCES projects(organization_id, id) ON DELETE RESTRICT,
    CONSTRAINT credential_configs_organization_id_source_id_fkey FOREIGN KEY (organization_id, source_id) REFERENCES credential_configs(organization_id, id) ON DELETE RESTRICT,
    CONSTRAINT credential_configs_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT credential_configs_reference_key UNIQUE (reference)
);
CREATE INDEX credential_configs_by_project ON public.credential_configs USING btree (organization_id, project_id, id);
CREATE INDEX credential_configs_by_source ON public.credential_configs USING btree (organization_id, source_id, id) WHERE (source_id IS NOT NULL);
ALTER TABLE credential_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE credential_configs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON credential_configs FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE idempotency_records (
    organization_id text COLLATE "C" NOT NULL,
    api_key_id text COLLATE "C" NOT NULL,
    route text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    result bytea NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT idempotency_records_pkey PRIMARY KEY (organization_id, api_key_id, route, idempotency_key)
);
CREATE INDEX idempotency_records_by_age ON public.idempotency_records USING btree (created_at);
ALTER TABLE idempotency_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_records FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE instance (
    singleton bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    keys_reference text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT instance_keys_reference_key UNIQUE (keys_reference),
    CONSTRAINT instance_pkey PRIMARY KEY (singleton),
    CONSTRAINT instance_singleton_check CHECK ((singleton = 1))
);

CREATE TABLE intents (
    reference text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    organization_id text COLLATE "C" NOT NULL,
    not_before bigint NOT NULL,
    created_at bigint NOT NULL,
    attempts bigint NOT NULL,
    CONSTRAINT intents_pkey PRIMARY KEY (reference)
);
CREATE INDEX intents_due ON public.intents USING btree (not_before, created_at, reference);

CREATE TABLE leases (
    name text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    fence bigint NOT NULL,
    expires bigint NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name)
);

CREATE TABLE organizations (
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (id)
);

CREATE TABLE projects (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    search_name text COLLATE "C" NOT NULL,
    description text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT projects_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT projects_organization_id_name_key UNIQUE (organization_id, name),
    CONSTRAINT projects_pkey PRIMARY KEY (organization_id, id)
);
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE secret_versions (
    organization_id text COLLATE "C" NOT NULL,
    credential_config_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    reference text COLLATE "C" NOT NULL,
    fields text COLLATE "C" NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT secret_versions_organization_id_credential_config_id_fkey FOREIGN KEY (organization_id, credential_config_id) REFERENCES credential_configs(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT secret_versions_pkey PRIMARY KEY (organization_id, credential_config_id, version)
);
ALTER TABLE secret_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE secret_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON secret_versions FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));

CREATE TABLE sessions (
    hash bytea NOT NULL,
    id text COLLATE "C" NOT NULL,
    organization_id text COLLATE "C" NOT NULL,
    api_key_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    confirmed_at bigint NOT NULL,
    CONSTRAINT sessions_api_key_id_fkey FOREIGN KEY (api_key_id) REFERENCES api_keys(id),
    CONSTRAINT sessions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT sessions_pkey PRIMARY KEY (hash)
);

CREATE TABLE workspaces (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    search_name text COLLATE "C" NOT NULL,
    description text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    last_delivered_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    checksum bigint,
    CONSTRAINT workspaces_organization_id_name_key UNIQUE (organization_id, name),
    CONSTRAINT workspaces_organization_id_project_id_fkey FOREIGN KEY (organization_id, project_id) REFERENCES projects(organization_id, id) ON DELETE RESTRICT,
    CONSTRAINT workspaces_pkey PRIMARY KEY (organization_id, id)
);
CREATE INDEX workspaces_by_project ON public.workspaces USING btree (organization_id, project_id, id);
ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspaces FOR ALL USING ((current_setting('forgecroft.organization_id'::text, true) = organization_id) OR (current_setting('forgecroft.organization_id'::text, true) = '*'::text));
