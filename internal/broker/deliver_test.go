package broker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func TestDelivery(t *testing.T) {
	w := newWorld(t)
	p := w.mustProject(t, "p")
	first := w.mustConfig(t, "first", "plain", p.ID, "TF_VAR_b", "b-EXAMPLE", "TF_VAR_a", "a-EXAMPLE")
	second := w.mustConfig(t, "second", "plain", "", "CLOUDFLARE_API_TOKEN", "c-EXAMPLE")
	ws := w.mustWorkspace(t, "prod", p.ID, second.ID, first.ID)
	d, err := w.Deliver(t.Context(), w.as(forgecroft.RoleRunner, forgecroft.KeyScope{ProjectID: p.ID, WorkspaceID: ws.ID}), ws.ID, "run-42")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"CLOUDFLARE_API_TOKEN", "TF_VAR_a", "TF_VAR_b"}, d.Names()); diff != "" {
		t.Errorf("names in the order of attachment (-want +got):\n%s", diff)
	}
	if !slices.Contains(d.Unset, "CLOUDFLARE_API_KEY") {
		t.Errorf("rivals to unset: %v", d.Unset)
	}
	entry := w.trail(t)[0]
	if entry.Action != "environment.deliver" || entry.Outcome != forgecroft.OutcomeAllowed || detail(t, entry, "run_id") != "run-42" || detail(t, entry, "delivery_id") != d.DeliveryID {
		t.Errorf("the newest audit entry is %+v", entry)
	}
	for _, e := range w.trail(t) {
		if text := strings.ToLower(string(mustJSON(t, e))); strings.Contains(text, "-example") {
			t.Errorf("an audit entry holds a value: %s", text)
		}
	}
	got, _ := w.GetWorkspace(t.Context(), w.owner, ws.ID)
	if !got.LastDeliveredAt.Equal(w.clock.Now()) || got.Revision != ws.Revision {
		t.Errorf("the workspace after the delivery: %+v", got)
	}
}

// TestFailedDeliveries never release a part.
func TestFailedDeliveries(t *testing.T) {
	refused := &forgecroft.ProviderError{Conclusive: true, Code: "AccessDenied", Detail: "The role does not trust us."}
	unclear := &forgecroft.ProviderError{Code: "throttled", Detail: "Ask again.", RetryAfter: 3 * time.Second}
	tests := []struct {
		name string
		set  func(t *testing.T, w *world, lease forgecroft.CredentialConfig)
		kind forgecroft.Kind
		code string
	}{
		{"the provider refuses", func(_ *testing.T, w *world, _ forgecroft.CredentialConfig) {
			w.types.set(func(s *types) {
				s.deliver = func(forgecroft.Resolution) (forgecroft.Contribution, error) {
					return forgecroft.Contribution{}, refused
				}
			})
		}, forgecroft.KindUnprocessable, "AccessDenied"},
		{"the provider is busy", func(_ *testing.T, w *world, _ forgecroft.CredentialConfig) {
			w.types.set(func(s *types) {
				s.deliver = func(forgecroft.Resolution) (forgecroft.Contribution, error) {
					return forgecroft.Contribution{}, unclear
				}
			})
		}, forgecroft.KindUnavailable, "throttled"},
		{"the vault is down", func(_ *testing.T, w *world, _ forgecroft.CredentialConfig) {
			w.vault.set(func(v *faultyVault) { v.get = func(forgecroft.Reference) error { return errLost } })
		}, forgecroft.KindUnavailable, "credential_unavailable"},
		{"the secret is gone", func(t *testing.T, w *world, c forgecroft.CredentialConfig) {
			got, err := w.store.CredentialConfig(t.Context(), w.owner.OrganizationID, c.ID)
			if err == nil {
				err = w.vault.Destroy(t.Context(), got.Reference)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, forgecroft.KindUnavailable, "secret_unreadable"},
		{"a forbidden name", func(_ *testing.T, w *world, _ forgecroft.CredentialConfig) {
			w.types.set(func(s *types) {
				s.deliver = func(r forgecroft.Resolution) (forgecroft.Contribution, error) {
					return forgecroft.Contribution{Variables: []forgecroft.Variable{{Name: "LD_PRELOAD", Value: forgecroft.NewSecret("/tmp/x.so")}}}, nil
				}
			})
		}, forgecroft.KindUnprocessable, "environment_refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.mustProject(t, "p")
			plain := w.mustConfig(t, "plain", "plain", p.ID, "TF_VAR_a", "a")
			lease := w.mustConfig(t, "lease", "lease", p.ID, "TF_VAR_b", "b")
			ws := w.mustWorkspace(t, "w", p.ID, plain.ID, lease.ID)
			test.set(t, w, lease)
			d, err := w.Deliver(t.Context(), w.owner, ws.ID, "")
			if !errors.Is(err, test.kind) || codeOf(err) != test.code {
				t.Errorf("got %v (%s), want %s %s", err, codeOf(err), test.kind, test.code)
			}
			if len(d.Variables) != 0 {
				t.Errorf("a part was released: %v", d.Names())
			}
			if e := w.trail(t)[0]; e.Outcome != forgecroft.OutcomeFailed || detail(t, e, "code") != test.code {
				t.Errorf("the newest audit entry is %+v", e)
			}
		})
	}
	t.Run("no secrets stored", func(t *testing.T) {
		w := newWorld(t)
		p := w.mustProject(t, "p")
		ws := w.mustWorkspace(t, "w", p.ID, w.mustConfig(t, "empty", "plain", p.ID).ID)
		if _, err := w.Deliver(t.Context(), w.owner, ws.ID, ""); codeOf(err) != "secrets_missing" || !strings.Contains(err.Error(), "empty") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAttachRules(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.mustProject(t, "mine"), w.mustProject(t, "theirs")
	ours := w.mustConfig(t, "ours", "plain", "", "TF_VAR_x", "1")
	own := w.mustConfig(t, "own", "plain", mine.ID, "TF_VAR_y", "1")
	clash := w.mustConfig(t, "clash", "plain", mine.ID, "TF_VAR_x", "2")
	foreign := w.mustConfig(t, "foreign", "plain", theirs.ID)
	ws := w.mustWorkspace(t, "w", mine.ID)
	const absent = "0192f3a0-0000-7000-8000-00000000000a"
	tests := []struct {
		name string
		ids  []string
		kind forgecroft.Kind
		want string // field and code, or code
	}{
		{"of the organization and the project", []string{own.ID, ours.ID}, "", ""},
		{"the other way round", []string{ours.ID, own.ID}, "", ""},
		{"none", []string{}, "", ""},
		{"of another project", []string{own.ID, foreign.ID}, forgecroft.KindInvalid, "credential_config_ids[1] out_of_scope"},
		{"absent", []string{absent}, forgecroft.KindInvalid, "credential_config_ids[0] not_found"},
		{"twice", []string{own.ID, own.ID}, forgecroft.KindInvalid, "credential_config_ids[1] duplicate"},
		{"no id", []string{"x"}, forgecroft.KindInvalid, "credential_config_ids[0] invalid_id"},
		{"the same variable", []string{ours.ID, clash.ID}, forgecroft.KindConflict, "TF_VAR_x conflict"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := w.UpdateWorkspace(t.Context(), w.owner, ws.ID, forgecroft.WorkspaceUpdate{CredentialConfigIDs: &test.ids})
			if test.kind == "" {
				if diff := cmp.Diff(test.ids, got.CredentialConfigIDs); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				return
			}
			var known *forgecroft.Error
			if !errors.As(err, &known) || known.Kind != test.kind || len(known.Fields) != 1 || known.Fields[0].Field+" "+known.Fields[0].Code != test.want {
				t.Errorf("got %+v, want %s %s", err, test.kind, test.want)
			}
		})
	}
	t.Run("an absent list is left alone", func(t *testing.T) {
		ids, name := []string{own.ID}, "renamed"
		if _, err := w.UpdateWorkspace(t.Context(), w.owner, ws.ID, forgecroft.WorkspaceUpdate{CredentialConfigIDs: &ids}); err != nil {
			t.Fatal(err)
		}
		got, err := w.UpdateWorkspace(t.Context(), w.owner, ws.ID, forgecroft.WorkspaceUpdate{Name: &name})
		if err != nil || !cmp.Equal(got.CredentialConfigIDs, ids) {
			t.Errorf("got %v, %v", got.CredentialConfigIDs, err)
		}
	})
	t.Run("new secrets that would conflict", func(t *testing.T) {
		ids := []string{own.ID, ours.ID}
		if _, err := w.UpdateWorkspace(t.Context(), w.owner, ws.ID, forgecroft.WorkspaceUpdate{CredentialConfigIDs: &ids}); err != nil {
			t.Fatal(err)
		}
		_, err := w.StoreSecrets(t.Context(), w.owner, own.ID, data("TF_VAR_x", "3"))
		if codeOf(err) != "credential_conflict" || !strings.Contains(err.Error(), "own") || !strings.Contains(err.Error(), "ours") || !strings.Contains(err.Error(), "TF_VAR_x") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("moving a config that others use", func(t *testing.T) {
		_, err := w.UpdateCredentialConfig(t.Context(), w.owner, ours.ID, forgecroft.CredentialConfigUpdate{ProjectID: &theirs.ID})
		if codeOf(err) != "out_of_scope" {
			t.Errorf("got %v", err)
		}
		if _, err := w.UpdateCredentialConfig(t.Context(), w.owner, ours.ID, forgecroft.CredentialConfigUpdate{ProjectID: &mine.ID}); err != nil {
			t.Errorf("into the project of its users: %v", err)
		}
	})
	w.mustBeClean(t)
}

// TestAttachAndDeleteTogether: one of the two wins, and never is a deleted config attached (CON-2).
func TestAttachAndDeleteTogether(t *testing.T) {
	w := newWorld(t)
	p := w.mustProject(t, "p")
	ws := w.mustWorkspace(t, "w", p.ID)
	for range 100 {
		c := w.mustConfig(t, "c", "plain", p.ID)
		ids := []string{c.ID}
		var attach, remove error
		var group sync.WaitGroup
		group.Go(func() {
			_, attach = w.UpdateWorkspace(t.Context(), w.owner, ws.ID, forgecroft.WorkspaceUpdate{CredentialConfigIDs: &ids})
		})
		group.Go(func() { remove = w.DeleteCredentialConfig(t.Context(), w.owner, c.ID) })
		group.Wait()
		switch {
		case attach == nil && errors.Is(remove, forgecroft.KindConflict):
			none := []string{}
			if _, err := w.UpdateWorkspace(t.Context(), w.owner, ws.ID, forgecroft.WorkspaceUpdate{CredentialConfigIDs: &none}); err != nil {
				t.Fatal(err)
			}
			if err := w.DeleteCredentialConfig(t.Context(), w.owner, c.ID); err != nil {
				t.Fatal(err)
			}
		case remove == nil && errors.Is(attach, forgecroft.KindInvalid):
		default:
			t.Fatalf("attach: %v, delete: %v", attach, remove)
		}
	}
}

// TestNothingAfterDeletion delivers while the config is detached and deleted: no delivery that began after the answer has its value (CON-5).
func TestNothingAfterDeletion(t *testing.T) {
	w := newWorld(t)
	p := w.mustProject(t, "p")
	for range 30 {
		c := w.mustConfig(t, "c", "plain", p.ID, "TF_VAR_x", "1")
		ws := w.mustWorkspace(t, "w", p.ID, c.ID)
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					_, _ = w.Deliver(ctx, w.owner, ws.ID, "")
				}
			})
		}
		if err := w.DeleteWorkspace(t.Context(), w.owner, ws.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Deliver(t.Context(), w.owner, ws.ID, ""); !errors.Is(err, forgecroft.KindNotFound) {
			t.Fatalf("after the workspace was deleted: %v", err)
		}
		if err := w.DeleteCredentialConfig(t.Context(), w.owner, c.ID); err != nil {
			t.Fatal(err)
		}
		stop()
		group.Wait()
	}
}

func TestVerification(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "")
	if _, err := w.Verify(t.Context(), w.owner, c.ID); codeOf(err) != "secrets_missing" || !errors.Is(err, forgecroft.KindUnprocessable) {
		t.Errorf("without secrets: %v", err)
	}
	if _, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", "x")); err != nil {
		t.Fatal(err)
	}
	outcomes := []struct {
		result forgecroft.Verification
		state  string
	}{
		{forgecroft.Verification{Valid: true, Conclusive: true, Identity: "arn"}, "valid"},
		{forgecroft.Verification{Error: "throttled"}, "valid"},
		{forgecroft.Verification{Conclusive: true, Error: "InvalidClientTokenId"}, "invalid"},
		{forgecroft.Verification{Error: "provider_unreachable"}, "invalid"},
	}
	for _, o := range outcomes {
		w.types.set(func(s *types) {
			s.verify = func(forgecroft.Resolution) (forgecroft.Verification, error) { return o.result, nil }
		})
		got, err := w.Verify(t.Context(), w.owner, c.ID)
		if err != nil || got.Valid != o.result.Valid || got.Error != o.result.Error || got.SecretVersion != 1 || !got.CheckedAt.Equal(w.clock.Now()) {
			t.Errorf("got %+v, %v, want %+v", got, err, o.result)
		}
		read, err := w.GetCredentialConfig(t.Context(), w.owner, c.ID)
		if err != nil || read.VerificationState() != o.state || read.LastAttempt.Error != o.result.Error {
			t.Errorf("after %+v: state %s, last attempt %+v, %v", o.result, read.VerificationState(), read.LastAttempt, err)
		}
	}
}

// TestVerifyingWhileReplacing keeps a result with the version that was tested (CON-3).
func TestVerifyingWhileReplacing(t *testing.T) {
	w := newWorld(t)
	c := w.mustConfig(t, "c", "plain", "", "A", "x")
	asked, release := make(chan struct{}), make(chan struct{})
	w.types.set(func(s *types) {
		s.verify = func(forgecroft.Resolution) (forgecroft.Verification, error) {
			close(asked)
			<-release
			return forgecroft.Verification{Valid: true, Conclusive: true, Identity: "old"}, nil
		}
	})
	var group sync.WaitGroup
	group.Go(func() {
		if v, err := w.Verify(t.Context(), w.owner, c.ID); err != nil || v.Identity != "old" || v.SecretVersion != 1 {
			t.Errorf("verify: %+v, %v", v, err)
		}
	})
	<-asked
	if _, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data("A", "y")); err != nil {
		t.Fatal(err)
	}
	close(release)
	group.Wait()
	got, err := w.GetCredentialConfig(t.Context(), w.owner, c.ID)
	if err != nil || got.VerificationState() != "unverified" {
		t.Errorf("the new version is %s, %v", got.VerificationState(), err)
	}
}

func TestAPIKeys(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.mustProject(t, "mine"), w.mustProject(t, "theirs")
	ws := w.mustWorkspace(t, "w", mine.ID)
	admin := w.as(forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: mine.ID})
	tests := []struct {
		name    string
		call    broker.Call
		request broker.KeyRequest
		want    string
	}{
		{"a runner for a workspace", admin, broker.KeyRequest{Role: "runner", WorkspaceID: ws.ID}, ""},
		{"an admin for the own project", admin, broker.KeyRequest{Role: "admin", ProjectID: mine.ID}, ""},
		{"above itself", admin, broker.KeyRequest{Role: "owner"}, "outside_scope"},
		{"an owner by an admin", w.as("admin", forgecroft.KeyScope{}), broker.KeyRequest{Role: "owner"}, "role_above_own"},
		{"the whole organization", admin, broker.KeyRequest{Role: "reader"}, "outside_scope"},
		{"another project", admin, broker.KeyRequest{Role: "reader", ProjectID: theirs.ID}, "invalid_input"},
		{"both scopes", w.owner, broker.KeyRequest{Role: "reader", ProjectID: mine.ID, WorkspaceID: ws.ID}, "invalid_input"},
		{"a role in another case", w.owner, broker.KeyRequest{Role: "Admin"}, "invalid_input"},
		{"expired before it begins", w.owner, broker.KeyRequest{Role: "reader", ExpiresAt: w.clock.Now()}, "invalid_input"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.request.Name = test.name
			k, err := w.CreateAPIKey(t.Context(), test.call, test.request)
			if codeOf(err) != test.want {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err == nil {
				if found, err := w.Authenticate(t.Context(), k.Raw.Reveal()); err != nil || found.ID != k.ID {
					t.Errorf("the new key: %v, %v", found, err)
				}
			}
		})
	}
}

// TestCountWorkspaceKeys counts for who may delete the workspace: the live keys that are scoped to it, however many pages of them there are.
func TestCountWorkspaceKeys(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.mustProject(t, "mine"), w.mustProject(t, "theirs")
	ws, other := w.mustWorkspace(t, "w", mine.ID), w.mustWorkspace(t, "other", mine.ID)
	mint := func(r broker.KeyRequest) string {
		r.Name, r.Role = "k", forgecroft.RoleRunner
		k, err := w.CreateAPIKey(t.Context(), w.owner, r)
		if err != nil {
			t.Fatal(err)
		}
		return k.ID
	}
	for range broker.MaxPage + 1 {
		mint(broker.KeyRequest{WorkspaceID: ws.ID})
	}
	mint(broker.KeyRequest{WorkspaceID: other.ID})
	mint(broker.KeyRequest{ProjectID: mine.ID})
	mint(broker.KeyRequest{WorkspaceID: ws.ID, ExpiresAt: w.clock.Now().Add(time.Minute)})
	if err := w.RevokeAPIKey(t.Context(), w.owner, mint(broker.KeyRequest{WorkspaceID: ws.ID})); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Hour)
	tests := []struct {
		name string
		call broker.Call
		want string
	}{
		{"a member", w.as(forgecroft.RoleMember, forgecroft.KeyScope{}), ""},
		{"a member of the project", w.as(forgecroft.RoleMember, forgecroft.KeyScope{ProjectID: mine.ID}), ""},
		{"a reader", w.as(forgecroft.RoleReader, forgecroft.KeyScope{}), "forbidden"},
		{"a member of another project", w.as(forgecroft.RoleMember, forgecroft.KeyScope{ProjectID: theirs.ID}), "not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := w.CountWorkspaceKeys(t.Context(), tt.call, ws.ID)
			if codeOf(err) != tt.want || (err == nil && n != broker.MaxPage+1) {
				t.Errorf("got %d, %v; want %d or %q", n, err, broker.MaxPage+1, tt.want)
			}
		})
	}
}

func TestKeysEnd(t *testing.T) {
	w := newWorld(t)
	k, err := w.CreateAPIKey(t.Context(), w.owner, broker.KeyRequest{Name: "k", Role: "owner", ExpiresAt: w.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RevokeAPIKey(t.Context(), w.owner, w.owner.KeyID); err != nil {
		t.Fatalf("revoking one of two owners: %v", err)
	}
	other := w.owner
	other.Principal = k.Principal()
	if err := w.RevokeAPIKey(t.Context(), other, k.ID); codeOf(err) != "last_owner" {
		t.Errorf("revoking the last owner: %v", err)
	}
	for name, raw := range map[string]string{"revoked": w.raw, "absent": "", "malformed": "fc_live_x", "unknown": w.raw[:8] + strings.Repeat("0", 32) + w.raw[40:]} {
		if _, err := w.Authenticate(t.Context(), raw); err == nil || err.Error() != "A valid API key is required: Authorization: Bearer fc_live_…" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Authenticate(t.Context(), k.Raw.Reveal()); err != nil {
		t.Errorf("before its expiry: %v", err)
	}
	w.clock.Advance(time.Hour)
	if _, err := w.Authenticate(t.Context(), k.Raw.Reveal()); !errors.Is(err, forgecroft.KindUnauthenticated) {
		t.Errorf("at its expiry: %v", err)
	}
}

// TestUsesOfKeys holds the last use of a key against the clock: it is kept to the minute.
func TestUsesOfKeys(t *testing.T) {
	w := newWorld(t)
	first := w.clock.Now()
	for _, step := range []struct{ after, want time.Duration }{{0, 0}, {30 * time.Second, 0}, {31 * time.Second, 61 * time.Second}} {
		w.clock.Advance(step.after)
		if _, err := w.Authenticate(t.Context(), w.raw); err != nil {
			t.Fatal(err)
		}
		keys, err := w.ListAPIKeys(t.Context(), w.owner, forgecroft.APIKeyFilter{}, broker.PageRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := keys.Items[0].LastUsedAt; !got.Equal(first.Add(step.want)) {
			t.Errorf("%v later the last use is %v, want %v", step.after, got, first.Add(step.want))
		}
	}
}

// TestLastOwnerRace revokes two owners at once, many times over: one always remains.
func TestLastOwnerRace(t *testing.T) {
	w := newWorld(t)
	a := w.owner
	for range 50 {
		k, err := w.CreateAPIKey(t.Context(), a, broker.KeyRequest{Name: "b", Role: "owner"})
		if err != nil {
			t.Fatal(err)
		}
		b := a
		b.Principal = k.Principal()
		var first, second error
		var group sync.WaitGroup
		group.Go(func() { first = w.RevokeAPIKey(t.Context(), a, a.KeyID) })
		group.Go(func() { second = w.RevokeAPIKey(t.Context(), b, b.KeyID) })
		group.Wait()
		if (first == nil) == (second == nil) {
			t.Fatalf("revoking both: %v, %v", first, second)
		}
		if first == nil {
			a = b
		}
	}
}
