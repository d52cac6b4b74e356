package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
)

// world is a broker on real stores, with a clock that stands until it is moved, and one credential type that does as it is told.
type world struct {
	*broker.Broker
	config broker.Config
	store  forgecroft.Store
	vault  *faultyVault
	types  *types
	clock  *clock
	owner  broker.Call
	raw    string
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// faultyVault is a real vault that can be told to fail.
type faultyVault struct {
	forgecroft.Vault
	mu      sync.Mutex
	put     func(ref forgecroft.Reference) error // nil: no fault; errApplied: the put is done, then fails
	destroy func(ref forgecroft.Reference) error
	get     func(ref forgecroft.Reference) error
}

// errLost makes a call fail after it has done its work, like a reply that is lost.
var errLost = forgecroft.Errorf(forgecroft.KindUnavailable, "vault_unreachable", "The vault's reply was lost.")

func (v *faultyVault) set(change func(v *faultyVault)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(v)
}

func (v *faultyVault) fault(which func(*faultyVault) func(forgecroft.Reference) error, ref forgecroft.Reference) error {
	v.mu.Lock()
	hook := which(v)
	v.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ref)
}

func (v *faultyVault) Put(ctx context.Context, ref forgecroft.Reference, b forgecroft.Binding, s forgecroft.Secret) error {
	err := v.fault(func(v *faultyVault) func(forgecroft.Reference) error { return v.put }, ref)
	if err == nil {
		return v.Vault.Put(ctx, ref, b, s)
	}
	if errors.Is(err, errLost) {
		_ = v.Vault.Put(ctx, ref, b, s)
	}
	return err
}

func (v *faultyVault) Get(ctx context.Context, ref forgecroft.Reference, b forgecroft.Binding) (forgecroft.Secret, error) {
	if err := v.fault(func(v *faultyVault) func(forgecroft.Reference) error { return v.get }, ref); err != nil {
		return forgecroft.Secret{}, err
	}
	return v.Vault.Get(ctx, ref, b)
}

func (v *faultyVault) Destroy(ctx context.Context, ref forgecroft.Reference) error {
	if err := v.fault(func(v *faultyVault) func(forgecroft.Reference) error { return v.destroy }, ref); err != nil {
		return err
	}
	return v.Vault.Destroy(ctx, ref)
}

// types are two credential types for tests: "plain" delivers its values as they are, "lease" asks a provider that the test plays.
type types struct {
	mu      sync.Mutex
	verify  func(forgecroft.Resolution) (forgecroft.Verification, error)
	deliver func(forgecroft.Resolution) (forgecroft.Contribution, error)
}

func (s *types) set(change func(s *types)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// registry declares the two types.
func (s *types) registry() forgecroft.Registry {
	check := func(input map[string]json.RawMessage) (forgecroft.Values, []forgecroft.FieldError) {
		values := forgecroft.Values{}
		for name, raw := range input {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				return nil, []forgecroft.FieldError{{Field: "data." + name, Code: "wrong_type", Message: "A string is wanted."}}
			}
			values[name] = forgecroft.NewSecret(text)
		}
		return values, nil
	}
	variables := func(fields []string, _ map[string]string) []forgecroft.EffectVariable {
		var effects []forgecroft.EffectVariable
		for _, f := range fields {
			if f != "source" {
				effects = append(effects, forgecroft.EffectVariable{Name: f, Secret: true})
			}
		}
		return effects
	}
	plain := func(r forgecroft.Resolution) forgecroft.Contribution {
		var c forgecroft.Contribution
		for _, f := range r.Config.Fields {
			c.Variables = append(c.Variables, forgecroft.Variable{Name: f, Value: r.Values[f], SourceID: r.Config.ID})
		}
		return c
	}
	return forgecroft.Registry{
		{
			Name: "plain", Settles: plainSettles, Check: check, Variables: variables, AWSIdentity: true,
			Deliver: func(_ context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
				return plain(r), nil
			},
			Verify: func(_ context.Context, r forgecroft.Resolution) (forgecroft.Verification, error) {
				s.mu.Lock()
				verify := s.verify
				s.mu.Unlock()
				if verify == nil {
					return forgecroft.Verification{Valid: true, Conclusive: true, Identity: "someone"}, nil
				}
				return verify(r)
			},
		},
		{
			Name: "lease", Settles: leaseSettles, Check: check, Variables: variables, ShortLived: true, ExternalID: true, AWSIdentity: true,
			Fields: []forgecroft.Field{{Name: "source", Kind: forgecroft.FieldConfig}},
			Source: func(public map[string]string) string { return public["source"] },
			Deliver: func(_ context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
				s.mu.Lock()
				deliver := s.deliver
				s.mu.Unlock()
				if deliver == nil {
					return plain(forgecroft.Resolution{Config: forgecroft.CredentialConfig{ID: r.Config.ID}}), nil
				}
				return deliver(r)
			},
			Verify: func(context.Context, forgecroft.Resolution) (forgecroft.Verification, error) {
				return forgecroft.Verification{Valid: true, Conclusive: true}, nil
			},
		},
	}
}

// How long the two types need until their provider knows what is new.
const (
	plainSettles = time.Minute
	leaseSettles = 5 * time.Minute
)

// openStore opens an empty store: with FORGECROFT_TEST_DATABASE=postgres a new database, else a file.
func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	open, options := store.OpenSQLite, store.Options{Path: path}
	if os.Getenv("FORGECROFT_TEST_DATABASE") == "postgres" {
		open, options = store.OpenPostgres, store.Options{URL: forgecroft.NewSecret(pgtest.New(t))}
	}
	s, err := open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newWorld opens a fresh installation.
func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := &world{clock: &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}, types: &types{}}
	vault, err := embedded.Open(ctx, embedded.Options{Path: filepath.Join(dir, "vault.db"), Keys: embedded.FileKeys(filepath.Join(dir, "vault.key"))})
	if err != nil {
		t.Fatal(err)
	}
	w.vault = &faultyVault{Vault: vault}
	metadata := openStore(t, filepath.Join(dir, "metadata.db"))
	w.store = metadata
	t.Cleanup(func() {
		if err := errors.Join(metadata.Close(), vault.Close()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	w.config = broker.Config{Store: metadata, Vault: w.vault, KeyRing: vault, Types: w.types.registry(), Now: w.clock.Now}
	w.Broker, err = broker.Open(ctx, w.config, func(k broker.OwnerKey) error {
		w.owner = broker.Call{Principal: k.Key.Principal(), RequestID: "test"}
		w.raw = k.Raw.Reveal()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// as returns a call with another role and scope.
func (w *world) as(role forgecroft.Role, scope forgecroft.KeyScope) broker.Call {
	call := w.owner
	call.Role, call.Scope = role, scope
	return call
}

// data makes the input of StoreSecrets.
func data(pairs ...string) map[string]json.RawMessage {
	input := map[string]json.RawMessage{}
	for i := 0; i+1 < len(pairs); i += 2 {
		text, _ := json.Marshal(pairs[i+1])
		input[pairs[i]] = text
	}
	return input
}

func (w *world) mustProject(t testing.TB, name string) forgecroft.Project {
	t.Helper()
	p, err := w.CreateProject(t.Context(), w.owner, forgecroft.Project{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mustConfig makes a config of a type with secrets, if any are given.
func (w *world) mustConfig(t testing.TB, name, kind, projectID string, pairs ...string) forgecroft.CredentialConfig {
	t.Helper()
	c, err := w.CreateCredentialConfig(t.Context(), w.owner, forgecroft.CredentialConfig{Name: name, Type: kind, ProjectID: projectID})
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) > 0 {
		if _, err := w.StoreSecrets(t.Context(), w.owner, c.ID, data(pairs...)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (w *world) mustWorkspace(t testing.TB, name, projectID string, configs ...string) forgecroft.Workspace {
	t.Helper()
	ws, err := w.CreateWorkspace(t.Context(), w.owner, forgecroft.Workspace{Name: name, ProjectID: projectID, CredentialConfigIDs: configs})
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

// env is a delivery as a map.
func env(d broker.Delivery) map[string]string {
	values := map[string]string{}
	for _, v := range d.Variables {
		values[v.Name] = v.Value.Reveal()
	}
	return values
}

// codeOf is the stable code of an error.
func codeOf(err error) string {
	var known *forgecroft.Error
	if errors.As(err, &known) {
		return known.Code
	}
	if err != nil {
		return "internal: " + err.Error()
	}
	return ""
}

// trail returns the newest audit events, the newest first.
func (w *world) trail(t testing.TB) []forgecroft.AuditEvent {
	t.Helper()
	events, err := w.store.AuditEvents(t.Context(), w.owner.OrganizationID, forgecroft.AuditFilter{}, forgecroft.Page{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// references counts what the vault holds.
func (w *world) references(t *testing.T) int {
	t.Helper()
	refs, err := w.vault.References(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(refs)
}

// mustBeClean runs the check of both stores.
func (w *world) mustBeClean(t testing.TB) {
	t.Helper()
	report, err := broker.Fsck(t.Context(), w.config, false)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Clean() {
		t.Errorf("fsck: %+v", report)
	}
	if text, _ := json.Marshal(report); bytes.Contains(text, []byte("EXAMPLE")) {
		t.Errorf("the report holds a secret: %s", text)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// detail is one member of an audit event's details.
func detail(t *testing.T, e forgecroft.AuditEvent, name string) any {
	t.Helper()
	var details map[string]any
	if err := json.Unmarshal(e.Details, &details); err != nil {
		t.Fatal(err)
	}
	return details[name]
}
