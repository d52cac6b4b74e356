package forgecroft

import "time"

// Organization is the tenant: everything belongs to exactly one, and nothing crosses it.
type Organization struct {
	ID        string
	Name      string
	CreatedAt time.Time
}

// Validate checks the rules of an organization.
func (o Organization) Validate() error { return Invalid(checkName("name", o.Name)) }

// Instance is what one installation knows of itself, made at the first start.
type Instance struct {
	ID            string
	KeysReference Reference // where in the vault the instance keys lie (see [InstanceKeys])
	CreatedAt     time.Time
}

// InstanceKeys are the secrets of an installation that belong to no organization. They live in the vault.
type InstanceKeys struct {
	CheckpointSeed Secret // Ed25519 seed, 32 bytes: signs audit checkpoints (RFC 8032)
	MAC            Secret // 32 bytes: keys the MACs of cursors and idempotency fingerprints
}
