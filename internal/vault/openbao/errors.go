package openbao

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// unavailable is the answer of a vault that cannot answer.
func unavailable(code, message string, cause error) *forgecroft.Error {
	return &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: code, Message: message, Cause: cause, RetryAfter: time.Second}
}

// closed is the answer of a vault after Close.
func closed() error { return unavailable("vault_closed", "The vault is closed.", nil) }

// notInTime is the answer to a caller whose context ended. Whether the server has done what was asked is not known.
func notInTime(cause error) error {
	return unavailable("vault_busy", "The vault did not answer in time.", cause)
}

// unreachable is the answer when nothing, or nothing sensible, comes back.
func unreachable(cause error) error {
	return unavailable("vault_unreachable", "The vault cannot be reached.", cause)
}

// expiring is the answer when the token will not, or did not, outlive its time.
func expiring(left time.Duration) error {
	if left <= 0 {
		return unavailable("vault_token_expired", "The server's token for the vault has expired and cannot be renewed.", nil)
	}
	return unavailable("vault_token_expiring", "The server's token for the vault is about to expire and cannot be renewed.", fmt.Errorf("it has %s left", left.Round(time.Second)))
}

// unsealable is the answer for a secret version that fails authentication. The cause holds no bytes of it.
func unsealable(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindIntegrity, Code: "secret_damaged", Cause: cause,
		Message: "The stored secret version fails authentication.",
	}
}

// exists is the refusal of a reference that is taken.
func exists() error {
	return forgecroft.Errorf(forgecroft.KindConflict, "reference_exists", "The vault has something under this reference already.")
}

// health asks the server what it is able to do, and gives what it says its meaning. It is nil if the server says that it is well, or says nothing.
func (c *client) health(ctx context.Context) *forgecroft.Error {
	a, err := c.once(ctx, "", request{method: http.MethodGet, path: "sys/health", root: true})
	if err != nil {
		return nil
	}
	switch a.status {
	case http.StatusServiceUnavailable:
		return unavailable("vault_sealed", "The vault is sealed.", nil)
	case http.StatusNotImplemented:
		return unavailable("vault_uninitialised", "The vault is not initialised.", nil)
	case http.StatusTooManyRequests, 473:
		return unavailable("vault_standby", "This server of the vault is a standby and reaches no active one.", nil)
	case 472:
		return unavailable("vault_standby", "This server of the vault is a disaster recovery secondary: it serves nothing until it is promoted.", nil)
	default:
		return nil
	}
}

// refusal gives an answer that is not what was asked for its meaning.
func (c *client) refusal(ctx context.Context, r request, a answer) error {
	cause := said(r, a)
	switch {
	case a.status == http.StatusForbidden:
		return unavailable("vault_denied", "The vault denies access: its policy does not allow what the server needs.", cause)
	case a.status == http.StatusTooManyRequests:
		e := unavailable("vault_throttled", "The vault takes no more requests for now.", cause)
		e.RetryAfter = max(a.retryAfter, time.Second)
		return e
	case a.status == http.StatusNotFound:
		return unavailable("vault_misconfigured", "The vault has no such namespace, or no key-value engine (version 2) under this mount.", cause)
	}
	if e := c.health(ctx); e != nil {
		e.Cause = cause
		return e
	}
	if a.status >= 500 || a.status == http.StatusPreconditionFailed {
		return unavailable("vault_failed", "The vault failed to answer.", cause)
	}
	return fmt.Errorf("the vault refuses a request: %w", cause)
}

// said is what a server gave as its reason, cut short. What it says of a secret body is left out: it may repeat it.
func said(r request, a answer) error {
	text := strings.Join(a.errors, "; ")
	if r.secret || text == "" {
		return fmt.Errorf("status %d", a.status)
	}
	if len(text) > 200 {
		text = text[:200]
	}
	return fmt.Errorf("status %d: %q", a.status, text)
}

// failed gives an error of [client.once] its meaning.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return notInTime(errors.Join(ctx.Err(), err))
	}
	return unreachable(err)
}
