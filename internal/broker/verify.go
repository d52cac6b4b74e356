package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Verify asks the provider whether the current secret version is good. All three outcomes are results, not errors; a config without secrets is
// [forgecroft.KindUnprocessable]. The result is kept with the version that was tested, if that is still the current one.
func (b *Broker) Verify(ctx context.Context, call Call, id string) (forgecroft.Verification, error) {
	a := act{"credential_config.verify", forgecroft.PermVerify, "credential_config", id}
	var none forgecroft.Verification
	if err := b.authorise(ctx, call, a); err != nil {
		return none, err
	}
	config, err := b.config(ctx, b.store, call, id)
	if err == nil {
		err = call.changeable("credential_config", config.Location())
	}
	if err != nil {
		return none, b.settle(ctx, call, a, err)
	}
	result, err := b.verifies.do(ctx, fmt.Sprintf("%s %d", id, config.SecretVersion), func(ctx context.Context) (forgecroft.Verification, error) {
		return b.verify(ctx, call, config)
	})
	e := &entry{objectID: id}
	e.note("secret_version", config.SecretVersion)
	if err != nil {
		return none, b.fail(ctx, call, a, e, err)
	}
	e.note("valid", result.Valid)
	e.note("conclusive", result.Conclusive)
	e.note("error", result.Error)
	return result, b.record(ctx, call, a, forgecroft.OutcomeAllowed, e, func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.RecordVerification(ctx, call.OrganizationID, id, result)
	})
}

// verify opens the secrets and asks the provider.
func (b *Broker) verify(ctx context.Context, call Call, config forgecroft.CredentialConfig) (forgecroft.Verification, error) {
	find := func(id string) (forgecroft.CredentialConfig, error) {
		return b.store.CredentialConfig(ctx, call.OrganizationID, id)
	}
	t, resolution, err := b.resolve(ctx, config, find, b.newID(), 0)
	if err != nil {
		return sourceOutcome(b, config, err)
	}
	result, err := t.Verify(ctx, resolution)
	if errors.Is(err, context.DeadlineExceeded) {
		result, err = noAnswer("The provider did not answer in time."), nil
	}
	if err != nil {
		return result, err
	}
	result.CheckedAt, result.SecretVersion = b.instant(), config.SecretVersion
	return result, nil
}

// noAnswer is the result when a provider could not be asked in time: always a result, never a failure of ours.
func noAnswer(detail string) forgecroft.Verification {
	return forgecroft.Verification{Error: forgecroft.CodeUnreachable, Detail: detail + " Check this server's way out to the Internet, then try again."}
}

// sourceOutcome turns a source that its provider refused, or that could not be asked, into a result about the config that builds on
// it. Other failures stay failures.
func sourceOutcome(b *Broker, config forgecroft.CredentialConfig, err error) (forgecroft.Verification, error) {
	var refused *forgecroft.ProviderError
	var ours *forgecroft.Error
	var result forgecroft.Verification
	switch {
	case errors.As(err, &refused):
		result = forgecroft.Verification{Conclusive: refused.Conclusive, Error: refused.Code, Detail: "The source credential config: " + refused.Detail}
	case errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &ours): // A store of ours says so in an error of its own.
		result = noAnswer("The provider of the source credential config did not answer in time.")
	default:
		return forgecroft.Verification{}, err
	}
	result.CheckedAt, result.SecretVersion = b.instant(), config.SecretVersion
	return result, nil
}
