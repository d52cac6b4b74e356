package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// DeliveryPlan implements [forgecroft.Store]. Configs carry no WorkspaceIDs; verifications and times of deliveries may be older than what is
// stored. Sources are followed five levels deep, which is more than a chain of roles may have, and ends a circle.
func (s *Store) DeliveryPlan(ctx context.Context, organizationID, workspaceID string) (*forgecroft.DeliveryPlan, error) {
	return s.caches.plans.get(planKey{organizationID, workspaceID}, func() (plan *forgecroft.DeliveryPlan, err error) {
		generation := s.caches.plans.generation.Load() // Before it is read: what changes meanwhile makes it old.
		err = s.pool.snapshot(ctx, func(on session) error {
			plan, err = loadPlan(ctx, reader{on, s.now}, organizationID, workspaceID)
			return err
		})
		if err != nil {
			return nil, err
		}
		plan.Generation = generation
		return plan, nil
	})
}

// PlanCurrent implements [forgecroft.CredentialConfigWriter]. Mostly nothing at all has changed, which is known from memory.
func (t *tx) PlanCurrent(ctx context.Context, plan *forgecroft.DeliveryPlan) (bool, error) {
	if plan.Generation == t.writer.caches.plans.generation.Load() && (t.writer.changed|t.changed)&changedPlans == 0 {
		return true, nil
	}
	now, err := loadPlan(ctx, t.reader, plan.Workspace.OrganizationID, plan.Workspace.ID)
	if errors.Is(err, forgecroft.KindNotFound) {
		return false, nil
	}
	return err == nil && plan.Same(now), err
}

// loadPlan reads a plan from one state of the database.
func loadPlan(ctx context.Context, r reader, organizationID, workspaceID string) (*forgecroft.DeliveryPlan, error) {
	w, err := r.Workspace(ctx, organizationID, workspaceID)
	if err != nil {
		return nil, err
	}
	configs := make(map[string]forgecroft.CredentialConfig, len(w.CredentialConfigIDs)) // id → attached config, or source
	err = r.query(ctx, `
		WITH RECURSIVE needed (id, depth) AS (
			SELECT credential_config_id, 0 FROM attachments WHERE organization_id = $1 AND workspace_id = $2
			UNION
			SELECT s.source_id, n.depth + 1 FROM needed n JOIN credential_configs s ON s.id = n.id
			WHERE s.organization_id = $1 AND s.source_id IS NOT NULL AND n.depth < 5
		)
		SELECT `+configColumns+` FROM credential_configs c
		WHERE c.organization_id = $1 AND c.id IN (SELECT id FROM needed)`, []any{organizationID, workspaceID}, func(r *row) {
		c := scanConfig(r)
		configs[c.ID] = c
	})
	if err != nil {
		return nil, err
	}
	plan := &forgecroft.DeliveryPlan{
		Workspace: w,
		Configs:   make([]forgecroft.CredentialConfig, 0, len(w.CredentialConfigIDs)),
		Sources:   map[string]forgecroft.CredentialConfig{},
	}
	for _, id := range w.CredentialConfigIDs {
		config, found := configs[id]
		if !found {
			return nil, spoilt(fmt.Errorf("the credential config %s is attached and not there", id))
		}
		plan.Configs = append(plan.Configs, config)
	}
	for _, c := range configs {
		if source, known := configs[c.SourceID]; known {
			plan.Sources[source.ID] = source
		}
	}
	return plan, nil
}
