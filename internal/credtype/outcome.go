package credtype

import (
	"context"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
)

// refusal turns a failed call of a provider into the failure of a delivery.
func refusal(err error) error {
	var failure *provider.Error
	if !errors.As(err, &failure) {
		return fmt.Errorf("asking the provider: %w", err)
	}
	return &forgecroft.ProviderError{
		Conclusive: failure.Kind == provider.Invalid,
		Code:       failure.Code, Detail: failure.Detail, RetryAfter: failure.RetryAfter, MayPass: failure.MayPass,
	}
}

// outcome turns a failed call of a provider into the result of a verification. If the caller gave up there is no result: the failure
// says nothing of the provider. A caller whose time is up gets one: the provider did not answer in time.
func outcome(ctx context.Context, err error) (forgecroft.Verification, error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return forgecroft.Verification{}, ctx.Err()
	}
	var failure *provider.Error
	var refused *forgecroft.ProviderError
	switch {
	case errors.As(err, &refused):
		return forgecroft.Verification{Conclusive: refused.Conclusive, Error: refused.Code, Detail: refused.Detail, MayPass: refused.MayPass}, nil
	case errors.As(err, &failure):
		return forgecroft.Verification{Conclusive: failure.Kind == provider.Invalid, Error: failure.Code, Detail: failure.Detail, MayPass: failure.MayPass}, nil
	}
	return forgecroft.Verification{}, fmt.Errorf("asking the provider: %w", err)
}

// valid is the result when the provider knows the credential as identity.
func valid(identity string) forgecroft.Verification {
	return forgecroft.Verification{Valid: true, Conclusive: true, Identity: identity}
}

// unclear is the result when we know without asking that nobody can tell.
func unclear(code, detail string) forgecroft.Verification {
	return forgecroft.Verification{Error: code, Detail: detail}
}
