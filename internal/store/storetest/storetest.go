// Package storetest states, as an executable suite, what every implementation of [forgecroft.Store] must do. An implementation's test file is:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) forgecroft.Store { return open(t) })
//	}
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The organizations of every test: one to work in, and one that must notice nothing of it.
const (
	org   = "0192f3a0-0000-7000-8000-00000000000a"
	other = "0192f3a0-0000-7000-8000-00000000000b"
)

// start is when every test begins.
var start = time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)

// Run runs the suite. open returns a new, empty store and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) forgecroft.Store) {
	suites := []struct {
		name string
		test func(t *testing.T, f *fixture)
	}{
		{"organizations", testOrganizations},
		{"projects", testProjects},
		{"project contents", testProjectContents},
		{"workspaces", testWorkspaces},
		{"workspace filters", testWorkspaceFilters},
		{"credential configs", testCredentialConfigs},
		{"credential config filters", testCredentialConfigFilters},
		{"credential config users", testCredentialConfigUsers},
		{"verifications", testVerifications},
		{"secret versions", testSecretVersions},
		{"secret bindings", testSecretBindings},
		{"API keys", testAPIKeys},
		{"keys of people", testSubjectKeys},
		{"touches", testTouches},
		{"sessions", testSessions},
		{"ends of sessions", testSessionEnds},
		{"isolation", testIsolation},
		{"names of ids", testNamesOfIDs},
		{"revisions", testRevisions},
		{"searches", testSearches},
		{"pages", testPages},
		{"intents", testIntents},
		{"leases", testLeases},
		{"idempotency", testIdempotency},
		{"transactions", testTransactions},
		{"batches", testBatches},
		{"callers that leave", testLeaving},
		{"delivery plans", testDeliveryPlans},
		{"current plans", testCurrentPlans},
		{"authentication", testAuthentication},
		{"exact plans", testExactPlans},
		{"exact keys", testExactKeys},
		{"audit", testAudit},
		{"audit filters", testAuditFilters},
		{"deliveries", testDeliveries},
		{"names", testNames},
		{"audit under load", testAuditUnderLoad},
		{"duel: attach and delete", testAttachAndDelete},
		{"duel: names", testNameDuel},
		{"duel: revisions", testRevisionDuel},
		{"duel: leases", testLeaseDuel},
		{"closing", testClosing},
	}
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{T: t, store: open(t)}
			f.update(func(tx forgecroft.Tx) error {
				return errors.Join(
					tx.CreateOrganization(t.Context(), forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start}),
					tx.CreateOrganization(t.Context(), forgecroft.Organization{ID: other, Name: "theirs", CreatedAt: start}))
			})
			s.test(t, f)
		})
	}
}

// fixture makes objects with as little text as possible.
type fixture struct {
	*testing.T
	store forgecroft.Store
	last  atomic.Int64
}

// id returns a new id, greater than all before it.
func (f *fixture) id() string { return fmt.Sprintf("0192f3a0-0000-7000-8000-%012d", f.last.Add(1)) }

// ref returns a new reference.
func (f *fixture) ref() forgecroft.Reference {
	return forgecroft.Reference(fmt.Sprintf("%032d", f.last.Add(1)))
}

// update must succeed.
func (f *fixture) update(fn func(tx forgecroft.Tx) error) {
	f.Helper()
	if err := f.store.Update(f.Context(), fn); err != nil {
		f.Fatalf("update: %v", err)
	}
}

// refuse must fail with a kind.
func (f *fixture) refuse(want forgecroft.Kind, fn func(ctx context.Context, tx forgecroft.Tx) error) {
	f.Helper()
	err := f.store.Update(f.Context(), func(tx forgecroft.Tx) error { return fn(f.Context(), tx) })
	if !errors.Is(err, want) {
		f.Errorf("update: got %v, want %s", err, want)
	}
}

// project makes a project.
func (f *fixture) project(name string) forgecroft.Project {
	f.Helper()
	p := forgecroft.Project{ID: f.id(), OrganizationID: org, Name: name, Description: "about " + name, Revision: 1, CreatedAt: start, UpdatedAt: start}
	f.update(func(tx forgecroft.Tx) error { return tx.CreateProject(f.Context(), p) })
	return p
}

// config makes a credential config without secrets; change may be nil.
func (f *fixture) config(name string, change func(c *forgecroft.CredentialConfig)) forgecroft.CredentialConfig {
	f.Helper()
	c := f.newConfig(name)
	if change != nil {
		change(&c)
	}
	f.update(func(tx forgecroft.Tx) error { return tx.CreateCredentialConfig(f.Context(), c) })
	return c
}

func (f *fixture) newConfig(name string) forgecroft.CredentialConfig {
	return forgecroft.CredentialConfig{
		ID: f.id(), OrganizationID: org, Name: name, Description: "about " + name, Type: "generic_env",
		Revision: 1, CreatedBy: "0192f3a0-0000-7000-8000-0000000000cc", CreatedAt: start, UpdatedAt: start,
	}
}

// stored gives a config a secret version.
func (f *fixture) stored(version int64) func(c *forgecroft.CredentialConfig) {
	return func(c *forgecroft.CredentialConfig) {
		c.SecretVersion, c.Reference, c.SecretSize, c.SecretsStoredAt = version, f.ref(), 42, start.Add(time.Minute)
		c.Fields, c.Public = []string{"ACCESS", "REGION"}, map[string]string{"REGION": "eu-west-1"}
	}
}

// workspace makes a workspace with configs attached.
func (f *fixture) workspace(name string, p forgecroft.Project, configs ...forgecroft.CredentialConfig) forgecroft.Workspace {
	f.Helper()
	w := f.newWorkspace(name, p, configs...)
	f.update(func(tx forgecroft.Tx) error { return tx.CreateWorkspace(f.Context(), w) })
	return w
}

func (f *fixture) newWorkspace(name string, p forgecroft.Project, configs ...forgecroft.CredentialConfig) forgecroft.Workspace {
	w := forgecroft.Workspace{
		ID: f.id(), OrganizationID: org, ProjectID: p.ID, Name: name, Description: "about " + name, Revision: 1, CreatedAt: start, UpdatedAt: start,
	}
	for _, c := range configs {
		w.CredentialConfigIDs = append(w.CredentialConfigIDs, c.ID)
	}
	return w
}

// key makes an API key; change may be nil.
func (f *fixture) key(name string, role forgecroft.Role, change func(k *forgecroft.APIKey)) forgecroft.APIKey {
	f.Helper()
	k := forgecroft.APIKey{
		ID: f.id(), OrganizationID: org, Name: name, Role: role, Hash: []byte("hash of EXAMPLE"), Hint: "fc_live_ab", CreatedAt: start,
	}
	if change != nil {
		change(&k)
	}
	f.update(func(tx forgecroft.Tx) error { return tx.CreateAPIKey(f.Context(), k) })
	return k
}

// event makes an audit event with its digest.
func (f *fixture) event(action, object string) forgecroft.AuditEvent {
	e := forgecroft.AuditEvent{
		ID: f.id(), OrganizationID: org, Time: start, ActorKeyID: "0192f3a0-0000-7000-8000-0000000000cc", ActorName: "deploy", Action: action,
		ObjectType: "workspace", ObjectID: object, Outcome: forgecroft.OutcomeAllowed, RequestID: "r-1", RemoteAddr: "192.0.2.1",
		Details: forgecroft.AuditDetails(map[string]any{"names": []string{"AWS_REGION"}, "version": 3, "text": "<&>\u2028"}),
	}
	e.Digest = e.Sum()
	return e
}

// same compares what was read with what was written. Lists and maps without members are all alike.
func same[T any](t *testing.T, got, want T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(options, cmpopts.EquateEmpty())...); diff != "" {
		t.Errorf("got (+), want (-):\n%s", diff)
	}
}

// is checks the kind of a failure.
func is(t *testing.T, err error, want forgecroft.Kind) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error: got %v, want %s", err, want)
	}
}

// must unwraps what must not fail.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// ids lists the ids of items.
func ids[T any](items []T, id func(T) string) []string {
	list := []string{}
	for _, item := range items {
		list = append(list, id(item))
	}
	return list
}
