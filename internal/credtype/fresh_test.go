package credtype_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/credtype"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TestFreshness stores what the provider has not heard of yet, for every type that asks a provider: it is asked again while it is new, a refusal that
// stays proves nothing, and what is old is refused at once.
func TestFreshness(t *testing.T) {
	keys := input{"access_key_id": keyID, "secret_access_key": secretKey}
	types := map[string]struct {
		typ     string
		input   func(t *testing.T, w *world) input
		arrange func(w *world, calls int) // the provider does not know it for so many calls
		code    string                    // of the refusal
	}{
		"key": {"aws_static", func(*testing.T, *world) input { return keys }, func(w *world, calls int) { w.aws.SetFresh(keyID, calls) }, "InvalidClientTokenId"},
		"role's trust policy": {
			"aws_assume_role", func(*testing.T, *world) input { return input{"role_arn": roleARN} }, func(w *world, calls int) { w.aws.SetRoleFresh(roleARN, calls) }, "AccessDenied",
		},
		"role's source": {
			"aws_assume_role", func(*testing.T, *world) input { return input{"role_arn": roleARN} }, func(w *world, calls int) { w.aws.SetFresh(keyID, calls) }, "InvalidClientTokenId",
		},
		"service account's key": {
			"gcp_service_account", func(t *testing.T, w *world) input { return input{"service_account_key": w.gcpKey(t)} },
			func(w *world, calls int) { w.gcp.SetFresh(gcpEmail, calls) }, "invalid_grant",
		},
		"token": {"cloudflare_api_token", func(*testing.T, *world) input { return input{"api_token": cfUser} }, func(w *world, calls int) {
			w.cloudflare.AddToken(fakecloudflare.Token{Value: cfUser, ID: cfTokenID, Fresh: calls})
		}, "1000"},
	}
	for name, tt := range types {
		var slept []time.Duration
		setUp := func(t *testing.T, calls int, until time.Time) (forgecroft.CredentialType, forgecroft.Resolution) {
			slept = nil
			w := newWorld(t, func(c *credtype.Config) {
				c.Now = start
				c.Sleep = func(_ context.Context, d time.Duration) error {
					slept = append(slept, d)
					return nil
				}
			})
			ct := mustType(t, w.types, tt.typ)
			r := mustStore(t, ct, tt.input(t, w))
			r.Source, r.FreshUntil = userSource(), until
			tt.arrange(w, calls)
			return ct, r
		}
		ms := time.Millisecond
		waits := []time.Duration{500 * ms, 1000 * ms, 1500 * ms, 3000 * ms, 3000 * ms}
		t.Run(name+", verified", func(t *testing.T) {
			ct, r := setUp(t, 2, start().Add(time.Second))
			if v, err := ct.Verify(t.Context(), r); err != nil || !v.Valid {
				t.Errorf("known at the third call: %+v, %v", v, err)
			}
			if diff := cmp.Diff(waits[:2], slept); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			ct, r = setUp(t, 99, start().Add(time.Second))
			if v, err := ct.Verify(t.Context(), r); err != nil || v.Valid || v.Conclusive || v.Error != "too_fresh" {
				t.Errorf("never known: %+v, %v", v, err)
			}
			if diff := cmp.Diff(waits, slept); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			ct, r = setUp(t, 99, start())
			if v, err := ct.Verify(t.Context(), r); err != nil || !v.Conclusive || v.Error != tt.code || len(slept) > 0 {
				t.Errorf("old: %+v, %v after %v, want %s at once", v, err, slept, tt.code)
			}
		})
		if tt.typ == "aws_static" || tt.typ == "cloudflare_api_token" {
			continue // They are delivered as they are.
		}
		t.Run(name+", delivered", func(t *testing.T) {
			ct, r := setUp(t, 2, start().Add(time.Second))
			if c, err := ct.Deliver(t.Context(), r); err != nil || len(c.Variables) == 0 {
				t.Errorf("known at the third call: %d variables, %v", len(c.Variables), err)
			}
			ct, r = setUp(t, 99, start().Add(time.Second))
			_, err := ct.Deliver(t.Context(), r)
			var refused *forgecroft.ProviderError
			if !errors.As(err, &refused) || refused.Conclusive || refused.Code != "too_fresh" || refused.RetryAfter == 0 {
				t.Errorf("never known: %v, want too_fresh, to be repeated", err)
			}
			ct, r = setUp(t, 99, start())
			if _, err := ct.Deliver(t.Context(), r); !errors.As(err, &refused) || !refused.Conclusive || refused.Code != tt.code || len(slept) > 0 {
				t.Errorf("old: %v after %v, want %s at once", err, slept, tt.code)
			}
		})
	}
}

// TestFreshWrongSecret checks that what cannot be the provider's delay is told at once, however new it is.
func TestFreshWrongSecret(t *testing.T) {
	w := newWorld(t, func(c *credtype.Config) {
		c.Now = start
		c.Sleep = func(context.Context, time.Duration) error {
			t.Error("the answer was waited for")
			return nil
		}
	})
	ct := mustType(t, w.types, "aws_static")
	r := mustStore(t, ct, input{"access_key_id": keyID, "secret_access_key": "otherEXAMPLE"})
	r.FreshUntil = start().Add(time.Minute)
	if v, err := ct.Verify(t.Context(), r); err != nil || !v.Conclusive || v.Error != "SignatureDoesNotMatch" {
		t.Errorf("got %+v, %v", v, err)
	}
}
