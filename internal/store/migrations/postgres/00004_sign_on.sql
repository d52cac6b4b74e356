-- +goose Up

-- The key of a person that single sign-on has proven: the hash of issuer and subject, NULL for keys that are used by themselves. A person has one that is
-- not revoked.
ALTER TABLE api_keys ADD COLUMN subject TEXT COLLATE "C";
CREATE UNIQUE INDEX api_keys_by_subject ON api_keys (organization_id, subject) WHERE subject IS NOT NULL AND revoked_at IS NULL;
