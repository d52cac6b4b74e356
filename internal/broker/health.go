package broker

import (
	"context"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Health says which of the stores can serve now. Why one cannot is for the log.
type Health struct {
	Database bool
	Vault    bool
}

// CheckHealth asks both stores, for any caller: it tells nothing about what they hold.
func (b *Broker) CheckHealth(ctx context.Context, call Call) (Health, error) {
	a := act{"health.read", forgecroft.PermSelf, "instance", ""}
	return read(ctx, b, call, a, func() (Health, error) {
		database, vault := b.store.Check(ctx), b.vault.Check(ctx)
		for name, err := range map[string]error{"database": database, "vault": vault} {
			if err != nil {
				b.logger.WarnContext(ctx, "a store cannot serve", "store", name, "error", err)
			}
		}
		return Health{database == nil, vault == nil}, nil
	})
}
