package openbao_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// value is what the tests store.
var value = forgecroft.NewSecret("a secret EXAMPLE")

// operations are what a vault is asked, with a reference that holds the value.
var operations = []struct {
	name string
	do   func(ctx context.Context, v *openbao.Vault, ref forgecroft.Reference) error
}{
	{"Put", func(ctx context.Context, v *openbao.Vault, _ forgecroft.Reference) error {
		return v.Put(ctx, vaulttest.NewReference(), vaulttest.Binding(), value)
	}},
	{"Get", func(ctx context.Context, v *openbao.Vault, ref forgecroft.Reference) error {
		_, err := v.Get(ctx, ref, vaulttest.Binding())
		return err
	}},
	{"References", func(ctx context.Context, v *openbao.Vault, _ forgecroft.Reference) error {
		_, err := v.References(ctx, "", 10)
		return err
	}},
	{"Check", func(ctx context.Context, v *openbao.Vault, _ forgecroft.Reference) error { return v.Check(ctx) }},
	{"Destroy", func(ctx context.Context, v *openbao.Vault, ref forgecroft.Reference) error {
		return v.Destroy(ctx, ref)
	}},
}

// uncached opens a vault that remembers nothing, with a short timeout, and stores the value.
func uncached(t *testing.T, w *world) (*openbao.Vault, forgecroft.Reference) {
	t.Helper()
	w.options.CacheBytes, w.options.Timeout = 1, 250*time.Millisecond
	v := mustOpen(t, w.options)
	return v, vaulttest.MustPut(t, v, vaulttest.Binding(), value.Reveal())
}

func TestStatesAreToldApart(t *testing.T) {
	for _, test := range []struct {
		name   string
		strike func(w *world)
		want   string
	}{
		{"sealed", func(w *world) { w.fake.SetState(bao.Sealed) }, "vault_sealed"},
		{"not initialised", func(w *world) { w.fake.SetState(bao.Uninitialised) }, "vault_uninitialised"},
		{"standby", func(w *world) { w.fake.SetState(bao.Standby) }, "vault_standby"},
		{"recovery secondary", func(w *world) { w.fake.SetState(bao.RecoverySecondary) }, "vault_standby"},
		{"a standby that answers", func(w *world) { w.fake.SetState(bao.PerformanceStandby) }, ""},
		{"rate limited", func(w *world) { w.fake.SetState(bao.RateLimited) }, "vault_throttled"},
		{"unreachable", func(w *world) { w.server.Close() }, "vault_unreachable"},
		{"token revoked", func(w *world) { w.fake.RevokeToken(rootToken) }, "vault_login_refused"},
		{"mount removed", func(w *world) { w.fake.RemoveEngine("", "secret") }, "vault_misconfigured"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			v, ref := uncached(t, w)
			test.strike(w)
			for _, op := range operations {
				err := op.do(t.Context(), v, ref)
				if codeOf(err) != test.want {
					t.Errorf("%s: got %v, want code %q", op.name, err, test.want)
				}
				if err != nil && !errors.Is(err, forgecroft.KindUnavailable) {
					t.Errorf("%s: %v is not unavailable", op.name, err)
				}
			}
		})
	}
}

func TestThrottledTellsWhen(t *testing.T) {
	w := newWorld(t)
	v, ref := uncached(t, w)
	w.fake.SetState(bao.RateLimited)
	_, err := v.Get(t.Context(), ref, vaulttest.Binding())
	var e *forgecroft.Error
	if !errors.As(err, &e) || e.RetryAfter != bao.RetryAfter*time.Second {
		t.Errorf("got %+v, want to retry after %d s", e, bao.RetryAfter)
	}
}

// TestPoliciesThatDeny takes one right after the other away.
func TestPoliciesThatDeny(t *testing.T) {
	for _, test := range []struct{ path, without, operation string }{
		{"secret/data/forgecroft/*", "create", "Put"},
		{"secret/data/forgecroft/*", "read", "Get"},
		{"secret/data/forgecroft/*", "read", "Check"},
		{"secret/metadata/forgecroft/*", "list", "References"},
		{"secret/metadata/forgecroft/*", "delete", "Destroy"},
		{"secret/metadata/forgecroft/*", "read", "Destroy"},
	} {
		t.Run(test.operation+" without "+test.without, func(t *testing.T) {
			w := newWorld(t)
			policy := documentedPolicy()
			w.fake.AddPolicy("", "forgecroft", documentedPolicy())
			w.fake.AddToken("", "s.EXAMPLElimited", bao.Life{}, "forgecroft")
			w.options.Auth = openbao.Token(forgecroft.NewSecret("s.EXAMPLElimited"))
			v, ref := uncached(t, w)
			var left []string
			for _, capability := range policy[test.path] {
				if capability != test.without {
					left = append(left, capability)
				}
			}
			policy[test.path] = left
			w.fake.AddPolicy("", "forgecroft", policy)
			for _, op := range operations {
				if op.name != test.operation {
					continue
				}
				if err := op.do(t.Context(), v, ref); codeOf(err) != "vault_denied" {
					t.Errorf("got %v, want vault_denied", err)
				}
			}
		})
	}
}

// TestFaults makes each call fail in each way, once, which is made up for, and again and again, which is told.
func TestFaults(t *testing.T) {
	for _, kind := range fault.Kinds() {
		for _, op := range operations {
			t.Run(string(kind)+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				v, ref := uncached(t, w)
				w.fake.Faults().Next(kind, 20)
				err := op.do(t.Context(), v, ref)
				if !errors.Is(err, forgecroft.KindUnavailable) {
					t.Errorf("again and again: got %v, want unavailable", err)
				}
				if err != nil && strings.Contains(err.Error(), "EXAMPLE") {
					t.Errorf("the error tells too much: %v", err)
				}
				if kind == fault.Throttled {
					return // That is told at once, so that nobody adds to it.
				}
				w = newWorld(t)
				v, ref = uncached(t, w)
				w.fake.Faults().Next(kind, 1)
				if err := op.do(t.Context(), v, ref); err != nil {
					t.Errorf("once: %v", err)
				}
			})
		}
	}
}

func TestLostReplies(t *testing.T) {
	w := newWorld(t)
	v, _ := uncached(t, w)
	ref := vaulttest.NewReference()
	w.fake.LoseReplies(1)
	if err := v.Put(t.Context(), ref, vaulttest.Binding(), value); err != nil {
		t.Fatalf("Put, whose first reply was lost: %v", err)
	}
	if diff := cmp.Diff([]int{1}, w.fake.Versions("", "secret", "forgecroft/secrets/"+string(ref))); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	w.fake.LoseReplies(1)
	if err := v.Destroy(t.Context(), ref); err != nil {
		t.Errorf("Destroy, whose first reply was lost: %v", err)
	}

	w.fake.LoseReplies(3)
	ref = vaulttest.NewReference()
	if err := v.Put(t.Context(), ref, vaulttest.Binding(), value); !errors.Is(err, forgecroft.KindUnavailable) {
		t.Errorf("Put without any reply: got %v, want unavailable", err)
	}
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), value.Reveal())
	if err := v.Put(t.Context(), ref, vaulttest.Binding(), value); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("another Put: got %v, want a conflict", err)
	}
}

// TestRetryDoesNotTakeOver lets a call be repeated under a reference that holds the same value of somebody else.
func TestRetryDoesNotTakeOver(t *testing.T) {
	for _, variant := range variants[1:3] {
		t.Run(variant.name, func(t *testing.T) {
			w := newWorld(t)
			variant.adjust(w)
			v := mustOpen(t, w.options)
			ref := vaulttest.MustPut(t, v, vaulttest.Binding(), value.Reveal())
			w.fake.Faults().Next(fault.Reset, 1)
			if err := v.Put(t.Context(), ref, vaulttest.Binding(), value); !errors.Is(err, forgecroft.KindConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
		})
	}
}

// TestDeletedBySomebodyElse deletes a version as an operator of the vault would, so that it can be undeleted.
func TestDeletedBySomebodyElse(t *testing.T) {
	w := newWorld(t)
	v, ref := uncached(t, w)
	w.must(t, "DELETE", "secret/data/forgecroft/secrets/"+string(ref))
	if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("Get: got %v, want not found", err)
	}
	if err := v.Put(t.Context(), ref, vaulttest.Binding(), value); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("Put: got %v, want a conflict", err)
	}
	if err := v.Destroy(t.Context(), ref); err != nil {
		t.Errorf("Destroy: %v", err)
	}
	if kept := w.fake.Versions("", "secret", "forgecroft/secrets/"+string(ref)); len(kept) != 0 {
		t.Errorf("after Destroy there are still the versions %v", kept)
	}
}

// TestTampered changes what is stored.
func TestTampered(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"nothing", `{}`},
		{"another type", `{"sealed":7}`},
		{"no blob", `{"organization":"org_EXAMPLE","credential":"cc_EXAMPLE","version":1,"sealed":"AQEAAAA="}`},
		{"a key that nobody has", `{"organization":"org_EXAMPLE","credential":"cc_EXAMPLE","version":1,"sealed":"AQE` + strings.Repeat("A", 200) + `"}`},
		{"a plain value", `{"organization":"org_EXAMPLE","credential":"cc_EXAMPLE","version":1,"value":"RVhBTVBMRQ=="}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			v, ref := uncached(t, w)
			w.fake.Tamper("", "secret", "forgecroft/secrets/"+string(ref), []byte(test.text))
			if got, err := v.Get(t.Context(), ref, vaulttest.Binding()); !errors.Is(err, forgecroft.KindIntegrity) || !got.IsZero() {
				t.Errorf("got %v, want an integrity failure", err)
			}
		})
	}
}

// TestEmptiedVaultIsNotReady opens a vault whose server loses everything.
func TestEmptiedVaultIsNotReady(t *testing.T) {
	w := newWorld(t)
	v, _ := uncached(t, w)
	w.fake.AddEngine("", "secret")
	if err := v.Check(t.Context()); codeOf(err) != "vault_missing" {
		t.Errorf("got %v, want vault_missing", err)
	}
	w.options.MustExist = true
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "there is no vault under secret/forgecroft") {
		t.Errorf("opening it: got %v", err)
	}
}

func TestCacheStandsInForTheServer(t *testing.T) {
	w := newWorld(t)
	v := mustOpen(t, w.options)
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), value.Reveal())
	w.fake.Forget()
	for range 10 {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), value.Reveal())
	}
	if calls := w.fake.Calls(); len(calls) > 0 {
		t.Errorf("the server was asked: %v", calls)
	}
	w.fake.SetState(bao.Sealed)
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), value.Reveal())
	w.advance(11 * time.Second)
	if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); codeOf(err) != "vault_sealed" {
		t.Errorf("11 s after the server was sealed: got %v, want vault_sealed", err)
	}
}
