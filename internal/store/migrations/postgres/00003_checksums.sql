-- +goose Up

-- What decides who may do what, and what a run is given, carries a checksum, because a byte that a disk has changed is noticed by nobody else. NULL:
-- written before this migration.
ALTER TABLE workspaces ADD COLUMN checksum BIGINT;
ALTER TABLE credential_configs ADD COLUMN checksum BIGINT;
ALTER TABLE api_keys ADD COLUMN checksum BIGINT;
