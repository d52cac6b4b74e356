package credtype

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
)

// How long a provider may need to hear of what is new. AWS and Google document seconds for keys, and
// that trust policies are eventually consistent; minutes have been seen.
const (
	keysSettle   = time.Minute
	policySettle = 5 * time.Minute
)

// freshDelays are the waits between attempts while something is new: 9 s in all, within
// [provider.Budget].
func freshDelays() []time.Duration {
	return []time.Duration{500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 3 * time.Second, 3 * time.Second}
}

// settling asks a provider again while it refuses what is new to it. It is the one rule about
// freshness, for deliveries and verifications of every type.
type settling struct {
	now     func() time.Time
	retrier provider.Retrier
}

// around gives a type the rule. A type that asks no provider stays as it is.
func (s settling) around(t forgecroft.CredentialType) forgecroft.CredentialType {
	if t.Settles == 0 {
		return t
	}
	deliver, verify := t.Deliver, t.Verify
	t.Deliver = func(ctx context.Context, r forgecroft.Resolution) (c forgecroft.Contribution, err error) {
		refused := s.repeat(ctx, r.FreshUntil, func(ctx context.Context) *forgecroft.ProviderError {
			c, err = deliver(ctx, r)
			return mayPass(err)
		})
		if refused != nil {
			return forgecroft.Contribution{}, tooFresh(refused)
		}
		return c, err
	}
	t.Verify = func(ctx context.Context, r forgecroft.Resolution) (v forgecroft.Verification, err error) {
		refused := s.repeat(ctx, r.FreshUntil, func(ctx context.Context) *forgecroft.ProviderError {
			v, err = verify(ctx, r)
			if err != nil || v.Valid || !v.MayPass {
				return nil
			}
			return &forgecroft.ProviderError{Code: v.Error, Detail: v.Detail}
		})
		if refused != nil {
			late := tooFresh(refused)
			return forgecroft.Verification{Error: late.Code, Detail: late.Detail}, nil
		}
		return v, err
	}
	return t
}

// repeat calls op until it succeeds, fails for good, or time is up. op returns a refusal that may
// pass, or nil. The result is the last refusal, if what was asked about is still new.
func (s settling) repeat(ctx context.Context, until time.Time, op func(ctx context.Context) *forgecroft.ProviderError) *forgecroft.ProviderError {
	ctx, cancel := context.WithTimeout(ctx, provider.Budget)
	defer cancel()
	for _, delay := range append(freshDelays(), 0) {
		refused := op(ctx)
		if refused == nil || !s.now().Before(until) {
			return nil
		}
		if delay == 0 || s.retrier.Wait(ctx, delay) != nil {
			return refused
		}
	}
	return nil
}

// mayPass is the refusal in an error that may pass by itself, or nil.
func mayPass(err error) *forgecroft.ProviderError {
	var refused *forgecroft.ProviderError
	if errors.As(err, &refused) && refused.MayPass {
		return refused
	}
	return nil
}

// tooFresh is the failure of what the provider may not know yet.
func tooFresh(refused *forgecroft.ProviderError) *forgecroft.ProviderError {
	return &forgecroft.ProviderError{
		Code: provider.CodeTooFresh, RetryAfter: 10 * time.Second,
		Detail: fmt.Sprintf("The provider refused it (%s), but it was stored so recently that the provider may not know it yet: try again in a minute. If that does not help: %s",
			refused.Code, refused.Detail),
	}
}
