//go:build linux

package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

const org = "0192f3a0-0000-7000-8000-00000000000a"

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// seeded opens a store with an organization and a project in it.
func seeded(t testing.TB) (*store.Store, forgecroft.Project) {
	t.Helper()
	s := open(t, t.TempDir())
	p := forgecroft.Project{ID: newID(), OrganizationID: org, Name: "platform", Revision: 1, CreatedAt: start, UpdatedAt: start}
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		if err := tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start}); err != nil {
			return err
		}
		return tx.CreateProject(ctx, p)
	})
	return s, p
}

// update must succeed.
func update(t testing.TB, s *store.Store, fn func(ctx context.Context, tx forgecroft.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx forgecroft.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func newConfig(name string) forgecroft.CredentialConfig {
	return forgecroft.CredentialConfig{
		ID: newID(), OrganizationID: org, Name: name, Type: "aws_static", Revision: 1, CreatedBy: newID(), CreatedAt: start, UpdatedAt: start,
	}
}

func newEvent() forgecroft.AuditEvent {
	e := forgecroft.AuditEvent{
		ID: newID(), OrganizationID: org, Time: start, ActorKeyID: "0192f3a0-0000-7000-8000-0000000000cc", ActorName: "deploy",
		Action: "environment.deliver", ObjectType: "workspace", ObjectID: newID(), Outcome: forgecroft.OutcomeAllowed,
		RequestID: newID(), RemoteAddr: "192.0.2.1", Details: forgecroft.AuditDetails(map[string]any{"variables": []string{"AWS_REGION", "AWS_ACCESS_KEY_ID"}}),
	}
	e.Digest = e.Sum()
	return e
}

// share runs b.N rounds of fn on a number of callers at once.
func share(b *testing.B, callers int, fn func(n int64)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				fn(n)
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// BenchmarkAudit is what a delivery writes.
func BenchmarkAudit(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			s, _ := seeded(b)
			e := newEvent()
			share(b, callers, func(int64) {
				ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second)
				defer cancel()
				err := s.Update(ctx, func(tx forgecroft.Tx) error {
					linked := e
					return tx.AppendAudit(ctx, &linked)
				})
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkStoreSecrets is what storing a secret version asks of the store.
func BenchmarkStoreSecrets(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			s, _ := seeded(b)
			configs := make(chan forgecroft.CredentialConfig, 1000)
			for n := range cap(configs) {
				c := newConfig(fmt.Sprint("c", n))
				update(b, s, func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateCredentialConfig(ctx, c) })
				configs <- c
			}
			share(b, callers, func(n int64) {
				c := <-configs
				if err := storeSecrets(b.Context(), s, c, n); err != nil {
					b.Error(err)
				}
				configs <- c
			})
		})
	}
}

// storeSecrets is the database's half of the two-store protocol.
func storeSecrets(ctx context.Context, s *store.Store, c forgecroft.CredentialConfig, n int64) error {
	c, err := s.CredentialConfig(ctx, org, c.ID)
	if err != nil {
		return err
	}
	old := c.Reference
	c.Reference = forgecroft.Reference(fmt.Sprintf("%032d", n*7919%1_000_000_007))
	c.SecretVersion++
	c.Revision++
	c.Fields, c.Public, c.SecretsStoredAt = []string{"access_key_id", "secret_access_key"}, map[string]string{"access_key_id": "AKIAIOSFODNN7EXAMPLE"}, start
	intent := forgecroft.Intent{Reference: c.Reference, Kind: forgecroft.IntentPut, OrganizationID: org, NotBefore: start, CreatedAt: start}
	if err := s.Update(ctx, func(tx forgecroft.Tx) error { return tx.CreateIntent(ctx, intent) }); err != nil {
		return err
	}
	e := newEvent()
	return s.Update(ctx, func(tx forgecroft.Tx) error {
		if _, err := tx.Intent(ctx, c.Reference); err != nil {
			return err
		}
		if _, err := tx.CredentialConfig(ctx, org, c.ID); err != nil {
			return err
		}
		if _, err := tx.DropIntent(ctx, c.Reference, forgecroft.IntentPut); err != nil {
			return err
		}
		if err := tx.UpdateCredentialConfig(ctx, c); err != nil {
			return err
		}
		version := forgecroft.SecretVersion{OrganizationID: org, CredentialConfigID: c.ID, Version: c.SecretVersion, Reference: c.Reference, Fields: c.Fields, CreatedAt: start}
		if err := tx.AddSecretVersion(ctx, version); err != nil {
			return err
		}
		if old != "" {
			destroy := intent
			destroy.Reference, destroy.Kind = old, forgecroft.IntentDestroy
			if err := tx.CreateIntent(ctx, destroy); err != nil {
				return err
			}
		}
		linked := e
		return tx.AppendAudit(ctx, &linked)
	})
}

// BenchmarkDeliveryPlan is the read on the hot path: from memory, and after a change.
func BenchmarkDeliveryPlan(b *testing.B) {
	s, p := seeded(b)
	w := forgecroft.Workspace{ID: newID(), OrganizationID: org, ProjectID: p.ID, Name: "web", Revision: 1, CreatedAt: start, UpdatedAt: start}
	update(b, s, func(ctx context.Context, tx forgecroft.Tx) error {
		for n := range 2 {
			c := newConfig(fmt.Sprint("c", n))
			w.CredentialConfigIDs = append(w.CredentialConfigIDs, c.ID)
			if err := tx.CreateCredentialConfig(ctx, c); err != nil {
				return err
			}
		}
		return tx.CreateWorkspace(ctx, w)
	})
	plan := func(int64) {
		if _, err := s.DeliveryPlan(b.Context(), org, w.ID); err != nil {
			b.Error(err)
		}
	}
	b.Run("from memory", func(b *testing.B) { share(b, 1, plan) })
	b.Run("after a change", func(b *testing.B) {
		share(b, 1, func(n int64) {
			w.Revision++
			update(b, s, func(ctx context.Context, tx forgecroft.Tx) error { return tx.UpdateWorkspace(ctx, w) })
			plan(n)
		})
	})
}

// BenchmarkFirstPage shows that a page costs the same however long the list is.
func BenchmarkFirstPage(b *testing.B) {
	for _, rows := range []int{1_000, 100_000} {
		s, p := seeded(b)
		for first := 0; first < rows; first += 1000 {
			update(b, s, func(ctx context.Context, tx forgecroft.Tx) error {
				for n := range 1000 {
					c := newConfig(fmt.Sprint("c", first+n))
					if n%1000 == 0 {
						c.ProjectID = p.ID
					}
					if err := tx.CreateCredentialConfig(ctx, c); err != nil {
						return err
					}
				}
				return nil
			})
		}
		filters := map[string]forgecroft.CredentialConfigFilter{
			"all": {}, "visible": {VisibleTo: p.ID}, "project": {ProjectID: p.ID}, "query": {Query: "C"},
		}
		for name, filter := range filters {
			b.Run(fmt.Sprint(name, " of ", rows), func(b *testing.B) {
				for range b.N {
					if _, err := s.CredentialConfigs(b.Context(), org, filter, forgecroft.Page{Limit: 50}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
