package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Delivery is a released environment with what names its origin.
type Delivery struct {
	forgecroft.Environment
	Workspace forgecroft.Workspace
}

// Deliver releases the environment for one run of a workspace. The audit entry is durable before it returns; one credential
// that cannot be resolved fails the whole delivery. runID is the caller's own name for the run, for the trail.
func (b *Broker) Deliver(ctx context.Context, call Call, workspaceID, runID string) (Delivery, error) {
	a := act{forgecroft.ActionDeliver, forgecroft.PermDeliver, "workspace", workspaceID}
	if err := b.authorise(ctx, call, a); err != nil {
		return Delivery{}, err
	}
	delivery, err := b.deliver(ctx, call, a, workspaceID, runID, true)
	if errors.Is(err, errOutdated) {
		// Memory did not know yet what another replica had changed, and has forgotten it now. What is read from here on was stored during this
		// call, whatever changes meanwhile; so this cannot go on for ever.
		delivery, err = b.deliver(ctx, call, a, workspaceID, runID, false)
	}
	return delivery, err
}

// errOutdated says that what a delivery was made of is not what is stored.
var errOutdated = errors.New("the delivery is outdated")

// deliver makes one delivery. If it is to be current, its entry is committed only if the workspace and its credentials are what the plan says.
func (b *Broker) deliver(ctx context.Context, call Call, a act, workspaceID, runID string, current bool) (Delivery, error) {
	plan, err := b.plan(ctx, call, workspaceID)
	if err != nil {
		return Delivery{}, b.settle(ctx, call, a, err)
	}
	e := &entry{objectID: workspaceID}
	delivery := Delivery{Workspace: plan.Workspace}
	delivery.DeliveryID = b.newID()
	e.note("delivery_id", delivery.DeliveryID)
	e.note("workspace", plan.Workspace.Name)
	if runID != "" {
		e.note("run_id", runID)
	}
	e.note("credentials", credentialVersions(plan))
	if err := b.assemble(ctx, plan, &delivery.Environment); err != nil {
		return Delivery{}, b.fail(ctx, call, a, e, err)
	}
	e.note("variables", delivery.Names())
	err = b.record(ctx, call, a, forgecroft.OutcomeAllowed, e, func(ctx context.Context, tx forgecroft.Tx) error {
		if current {
			if same, err := tx.PlanCurrent(ctx, plan); err != nil || !same {
				return cmp.Or(err, errOutdated)
			}
		}
		return tx.TouchDelivered(ctx, call.OrganizationID, workspaceID, plan.Used(), b.instant())
	})
	if err != nil {
		return Delivery{}, err
	}
	return delivery, nil
}

// plan loads the workspace and its configs, and checks the scope of each again: a row that was forced by hand must not release anything.
func (b *Broker) plan(ctx context.Context, call Call, workspaceID string) (*forgecroft.DeliveryPlan, error) {
	plan, err := b.store.DeliveryPlan(ctx, call.OrganizationID, workspaceID)
	if err != nil {
		return nil, err
	}
	if err := call.changeable("workspace", plan.Workspace.Location()); err != nil {
		return nil, err
	}
	for i, config := range plan.Configs {
		if err := forgecroft.Invalid(plan.Workspace.CheckAttachable(i, config)); err != nil {
			b.logger.ErrorContext(ctx, "a workspace has a credential config out of its scope attached", "workspace_id", workspaceID, "credential_config_id", config.ID)
			return nil, err
		}
	}
	return plan, nil
}

// credentialVersions names what a delivery releases, for the trail.
func credentialVersions(plan *forgecroft.DeliveryPlan) []map[string]any {
	versions := make([]map[string]any, len(plan.Configs))
	for i, c := range plan.Configs {
		versions[i] = map[string]any{"credential_config_id": c.ID, "secret_version": c.SecretVersion}
	}
	return versions
}

// assemble resolves every attached config and puts their contributions together.
func (b *Broker) assemble(ctx context.Context, plan *forgecroft.DeliveryPlan, env *forgecroft.Environment) error {
	effects := plan.PlanEffects(b.types)
	if err := conflictError(effects.Conflicts); err != nil {
		return err
	}
	contributions, err := b.contributions(ctx, plan, env.DeliveryID)
	if err != nil {
		return err
	}
	for i, contribution := range contributions {
		if err := checkContribution(plan.Configs[i], contribution); err != nil {
			return err
		}
		env.Add(contribution, effects.Effects[i])
	}
	if size := env.Size(); size > forgecroft.MaxEnvironment {
		return tooLarge("credential_config_ids", size)
	}
	env.Unset = effects.Unset
	return nil
}

// contributions resolves all configs. Types that ask a provider run beside each other; the others are faster than a goroutine.
func (b *Broker) contributions(ctx context.Context, plan *forgecroft.DeliveryPlan, deliveryID string) ([]forgecroft.Contribution, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	contributions := make([]forgecroft.Contribution, len(plan.Configs))
	failures := make([]error, len(plan.Configs))
	var group sync.WaitGroup
	for i, config := range plan.Configs {
		work := func() { contributions[i], failures[i] = b.contribution(ctx, plan, config, deliveryID) }
		if t, _ := b.types.Lookup(config.Type); t.ShortLived {
			group.Go(work)
			continue
		}
		work()
	}
	group.Wait()
	for i, err := range failures {
		if err != nil {
			return nil, deliveryFailure(plan.Configs[i], err)
		}
	}
	return contributions, nil
}

// contribution resolves one config.
func (b *Broker) contribution(ctx context.Context, plan *forgecroft.DeliveryPlan, config forgecroft.CredentialConfig, deliveryID string) (forgecroft.Contribution, error) {
	find := func(id string) (forgecroft.CredentialConfig, error) {
		source, found := plan.Sources[id]
		if !found {
			return source, forgecroft.NotFound("source credential config")
		}
		return source, nil
	}
	t, resolution, err := b.resolve(ctx, config, find, deliveryID, 0)
	if err != nil {
		return forgecroft.Contribution{}, err
	}
	return t.Deliver(ctx, resolution)
}

// deliveryFailure names the credential that failed a delivery: 422 where it must be changed, 503 where asking again may help.
func deliveryFailure(config forgecroft.CredentialConfig, err error) error {
	related := []forgecroft.Related{{Type: "credential_config", ID: config.ID, Name: config.Name}}
	var refused *forgecroft.ProviderError
	if errors.As(err, &refused) {
		kind := forgecroft.KindUnavailable
		if refused.Conclusive {
			kind = forgecroft.KindUnprocessable
		}
		return &forgecroft.Error{
			Kind: kind, Code: refused.Code, Related: related, RetryAfter: refused.RetryAfter, Cause: err,
			Message: fmt.Sprintf("Credential config %q (%s) could not be resolved: %s", config.Name, config.ID, refused.Detail),
		}
	}
	var known *forgecroft.Error
	switch {
	case errors.As(err, &known) && known.Kind == forgecroft.KindUnprocessable:
		named := *known
		named.Related = related
		return &named
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, forgecroft.KindUnavailable):
		return &forgecroft.Error{
			Kind: forgecroft.KindUnavailable, Code: "credential_unavailable", Related: related, RetryAfter: time.Second, Cause: err,
			Message: fmt.Sprintf("The secrets of credential config %q (%s) cannot be had right now.%s", config.Name, config.ID, reasonOf(known)),
		}
	case errors.Is(err, forgecroft.KindNotFound), errors.Is(err, forgecroft.KindIntegrity):
		return &forgecroft.Error{
			Kind: forgecroft.KindUnavailable, Code: "secret_unreadable", Related: related, Cause: err,
			Message: fmt.Sprintf("The stored secrets of credential config %q (%s) are missing or damaged in the vault. Store them again, and tell whoever runs the server.", config.Name, config.ID),
		}
	}
	return fmt.Errorf("resolving credential config %s: %w", config.ID, err)
}

// reasonOf repeats in words for clients why a store cannot answer.
func reasonOf(known *forgecroft.Error) string {
	if known == nil || known.Kind != forgecroft.KindUnavailable {
		return ""
	}
	return " " + known.Message
}

// checkContribution holds a type to the rules of variable names and values once more: what an older version stored, or a hand
// changed, must not reach a process.
func checkContribution(config forgecroft.CredentialConfig, c forgecroft.Contribution) error {
	var fields []forgecroft.FieldError
	for _, v := range c.Variables {
		fields = append(fields, forgecroft.CheckEnvName(v.Name, v.Name)...)
		fields = append(fields, forgecroft.CheckEnvValue(v.Name, v.Value)...)
	}
	if len(fields) == 0 {
		return nil
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindUnprocessable, Code: "environment_refused", Fields: fields,
		Message: fmt.Sprintf("Credential config %q (%s) would set what no run may receive.", config.Name, config.ID),
		Related: []forgecroft.Related{{Type: "credential_config", ID: config.ID, Name: config.Name}},
	}
}

// Preview is what a delivery would set, without a value.
type Preview struct {
	forgecroft.PlanEffects
	Missing []forgecroft.Related // attached configs without stored secrets
}

// PreviewEnvironment tells what a delivery would set: names and origins only. It calls no vault and no provider.
func (b *Broker) PreviewEnvironment(ctx context.Context, call Call, workspaceID string) (Preview, error) {
	a := act{"environment.preview", forgecroft.PermReadWorkspace, "workspace", workspaceID}
	return read(ctx, b, call, a, func() (Preview, error) {
		plan, err := b.store.DeliveryPlan(ctx, call.OrganizationID, workspaceID)
		if err != nil {
			return Preview{}, err
		}
		if err := call.visible("workspace", plan.Workspace.Location()); err != nil {
			return Preview{}, err
		}
		p := Preview{PlanEffects: *plan.PlanEffects(b.types)}
		for _, config := range plan.Configs {
			if config.SecretVersion == 0 {
				p.Missing = append(p.Missing, forgecroft.Related{Type: "credential_config", ID: config.ID, Name: config.Name})
			}
		}
		return p, nil
	})
}
