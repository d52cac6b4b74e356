package openbao_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// TestStaleReplicaRotates has a replica rotate the key that does not know yet that another one has: the key file that they share keeps both keys, and nothing is lost.
func TestStaleReplicaRotates(t *testing.T) {
	w := newWorld(t)
	w.options.Keys = &keys{}
	first, second := mustOpen(t, w.options), mustOpen(t, w.options)
	values := mustFill(t, first, 2)
	mustRotate(t, first)
	for ref, value := range mustFill(t, first, 2) {
		values[ref] = value
	}
	mustRotate(t, second)
	for ref, value := range mustFill(t, second, 2) {
		values[ref] = value
	}
	if n := len(mustKeys(t, second)); n != 3 {
		t.Errorf("the ring has %d keys, want 3", n)
	}
	wantValues(t, first, values)
	wantValues(t, second, values)
	wantValues(t, mustOpen(t, w.options), values)
}

// TestStaleReplicaRemovesAKey has a replica take out a key that does not know yet of the newest one.
func TestStaleReplicaRemovesAKey(t *testing.T) {
	w := newWorld(t)
	w.options.Keys = &keys{}
	first, second := mustOpen(t, w.options), mustOpen(t, w.options)
	old := mustKeys(t, first)[0].ID
	mustRotate(t, first)
	values := mustFill(t, first, 2)
	if err := second.KeyRing().RemoveKey(t.Context(), old); err != nil {
		t.Fatalf("RemoveKey: %v", err)
	}
	wantValues(t, mustOpen(t, w.options), values)
	if err := first.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	wantValues(t, first, values)
}

// TestCopies gives each replica a key file of its own: after a rotation at one, the other is not ready, and says what it lacks instead of calling secrets damaged, until it has been given the key.
func TestCopies(t *testing.T) {
	w := newWorld(t)
	here := &keys{}
	w.options.Keys = here
	first := mustOpen(t, w.options)
	there := &keys{text: bytes.Clone(here.text)}
	elsewhere := w.options
	elsewhere.Keys = there
	second := mustOpen(t, elsewhere)
	values := mustFill(t, first, 1)
	fresh, err := first.KeyRing().Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantValues(t, second, values) // What the old key seals can be read.
	wantCode(t, "Check", second.Check(t.Context()), forgecroft.KindUnavailable, "vault_key_missing")
	after := mustFill(t, first, 1)
	if _, err := openbao.Open(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "lacks the key "+fresh) {
		t.Errorf("Open: got %v, want that the key is missing", err)
	}
	for ref := range after {
		_, err := second.Get(t.Context(), ref, vaulttest.Binding())
		wantCode(t, "Get", err, forgecroft.KindUnavailable, "vault_key_missing")
	}
	_, err = second.KeyRing().Rotate(t.Context())
	wantCode(t, "Rotate", err, forgecroft.KindUnavailable, "vault_key_missing")
	_, err = second.KeyRing().Rewrap(t.Context(), 10)
	wantCode(t, "Rewrap", err, forgecroft.KindUnavailable, "vault_key_missing")
	there.mu.Lock()
	there.text = bytes.Clone(here.text)
	there.mu.Unlock()
	wantValues(t, second, after)
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check with the new key: %v", err)
	}
}

// TestKeyGivenByHand brings a key to replicas whose sources cannot be written, one after the other: first in second place, where it makes none of them unready, then in the first.
func TestKeyGivenByHand(t *testing.T) {
	w := newWorld(t)
	one := &keys{text: newRing(t), readOnly: true}
	ring, err := one.Load()
	if err != nil {
		t.Fatal(err)
	}
	next, err := ring.WithNewPrimary() // new, old
	if err != nil {
		t.Fatal(err)
	}
	newFirst := next.Format()
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(newFirst)), "\n"), func(line string) bool { return strings.HasPrefix(line, "#") })
	slices.Reverse(lines)
	oldFirst := []byte(strings.Join(lines, "\n"))
	open := func(text []byte) *openbao.Vault {
		o := w.options
		o.Keys = &keys{text: text, readOnly: true}
		return mustOpen(t, o)
	}
	first, second := open(one.text), open(one.text)
	mustClose(t, first)
	first = open(oldFirst)
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check of a replica that has not been given the key yet: %v", err)
	}
	values := mustFill(t, first, 1)
	wantValues(t, second, values)
	mustClose(t, second)
	second = open(oldFirst)
	mustClose(t, first)
	first = open(newFirst)
	values = mustFill(t, first, 1)
	wantValues(t, second, values)
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check of a replica that has the key in second place: %v", err)
	}

	third := open(newFirst) // And one that somebody forgot.
	forgotten := w.options
	forgotten.Keys = &keys{text: one.text, readOnly: true}
	if _, err := openbao.Open(t.Context(), forgotten); err == nil || !strings.Contains(err.Error(), "which seals 1 secret versions") {
		t.Errorf("Open without the key: got %v", err)
	}
	wantValues(t, third, values)
}

// TestMetKeyIsMissed lets a replica without a key meet what it seals: from then on it is not ready.
func TestMetKeyIsMissed(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	first := mustOpen(t, w.options)
	ring, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	late := w.options
	late.Keys = &keys{text: bytes.Clone(source.text)}
	second := mustOpen(t, late)
	next, err := ring.WithNewPrimary()
	if err != nil {
		t.Fatal(err)
	}
	source.mu.Lock()
	source.text = next.Format() // By hand, so that no rotation tells of it.
	source.mu.Unlock()
	if err := first.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check before anything is sealed with the key: %v", err)
	}
	for ref := range mustFill(t, first, 1) {
		_, err := second.Get(t.Context(), ref, vaulttest.Binding())
		wantCode(t, "Get", err, forgecroft.KindUnavailable, "vault_key_missing")
	}
	wantCode(t, "Check", second.Check(t.Context()), forgecroft.KindUnavailable, "vault_key_missing")
}

// hooked serves the fake of a world with something that happens before a request is answered.
func hooked(t *testing.T, w *world, before func(r *http.Request)) openbao.Options {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(reply http.ResponseWriter, r *http.Request) {
		before(r)
		w.fake.ServeHTTP(reply, r)
	}))
	t.Cleanup(server.Close)
	o := w.options
	o.Address = server.URL
	return o
}

// lists reports whether a request begins to look at every secret version.
func lists(r *http.Request) bool { return r.Method == "LIST" || r.URL.Query().Get("list") != "" }

// meanwhile opens a vault during one request of which something else happens, once it is armed.
func meanwhile(t *testing.T, w *world, when func(r *http.Request) bool, act func()) (v *openbao.Vault, arm func()) {
	t.Helper()
	armed, done := false, false
	v = mustOpen(t, hooked(t, w, func(r *http.Request) {
		if armed && !done && when(r) {
			done = true
			act()
		}
	}))
	return v, func() { armed = true }
}

// TestRotationDuringARemoval has another replica rotate while one looks for what a key seals: the newest key stays in the file that they share.
func TestRotationDuringARemoval(t *testing.T) {
	w := newWorld(t)
	w.options.Keys = &keys{}
	second := mustOpen(t, w.options)
	old := mustKeys(t, second)[0].ID
	first, arm := meanwhile(t, w, lists, func() { mustRotate(t, second) })
	values := mustFill(t, first, 3)
	mustRotate(t, first)
	arm()
	if err := first.KeyRing().RemoveKey(t.Context(), old); err != nil {
		t.Fatalf("RemoveKey: %v", err)
	}
	for ref, value := range mustFill(t, second, 1) {
		values[ref] = value
	}
	for name, v := range map[string]*openbao.Vault{"first": first, "second": second, "third": mustOpen(t, w.options)} {
		if err := v.Check(t.Context()); err != nil {
			t.Errorf("Check of the %s: %v", name, err)
		}
		wantValues(t, v, values)
	}
	if n := len(mustKeys(t, first)); n != 2 {
		t.Errorf("the ring has %d keys, want 2", n)
	}
}

// TestMoveWhileItsKeyGoes takes a key out of use while another replica moves a secret version to it: the version stays under the key that it was under.
func TestMoveWhileItsKeyGoes(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	first := mustOpen(t, w.options)
	values := mustFill(t, first, 1)
	writes := func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/data/forgecroft/secrets/")
	}
	second, arm := meanwhile(t, w, writes, func() {
		middle, err := source.Load()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.KeyRing().Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := first.KeyRing().RemoveKey(t.Context(), middle.Primary()); err != nil {
			t.Fatalf("RemoveKey: %v", err)
		}
	})
	if _, err := second.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	arm()
	_, err := second.KeyRing().Rewrap(t.Context(), 10)
	wantCode(t, "Rewrap", err, forgecroft.KindUnavailable, "vault_key_retired")
	wantValues(t, mustOpen(t, w.options), values)
	mustRewrap(t, second)
	wantValues(t, mustOpen(t, w.options), values)
}

// TestRemovedKeyStaysRemoved starts a replica whose copy of the key file still has the key: the vault does not learn of it again, and nobody waits for it.
func TestRemovedKeyStaysRemoved(t *testing.T) {
	w := newWorld(t)
	here := &keys{}
	w.options.Keys = here
	first := mustOpen(t, w.options)
	values := mustFill(t, first, 1)
	old := mustKeys(t, first)[0].ID
	mustRotate(t, first)
	elsewhere := w.options
	elsewhere.Keys = &keys{text: bytes.Clone(here.text)}
	if err := first.KeyRing().RemoveKey(t.Context(), old); err != nil {
		t.Fatalf("RemoveKey: %v", err)
	}
	second := mustOpen(t, elsewhere)
	for name, v := range map[string]*openbao.Vault{"first": first, "second": second} {
		if err := v.Check(t.Context()); err != nil {
			t.Errorf("Check of the %s: %v", name, err)
		}
	}
	wantValues(t, mustOpen(t, w.options), values)
	if err := first.KeyRing().RemoveKey(t.Context(), old); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("RemoveKey again: got %v, want that there is no such key", err)
	}

	ring, err := here.Load()
	if err != nil {
		t.Fatal(err)
	}
	stale := strings.Split(strings.TrimSpace(string(elsewhere.Keys.(*keys).text)), "\n")
	elsewhere.Keys = &keys{text: []byte(stale[len(stale)-1])} // the old key alone, as in the oldest copy
	if _, err := openbao.Open(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "was taken out of the vault") {
		t.Errorf("Open with the old key in the first place, where %s belongs: got %v", ring.Primary(), err)
	}
}

// TestAbandonedRemoval has the client go away while the vault is looked through for a key that is in use: the key stays in use.
func TestAbandonedRemoval(t *testing.T) {
	w := newWorld(t)
	w.options.Keys = &keys{}
	ctx, cancel := context.WithCancel(t.Context())
	first, arm := meanwhile(t, w, lists, cancel)
	second := mustOpen(t, w.options) // It goes on sealing with the old key.
	values := mustFill(t, first, 2)
	old := mustKeys(t, first)[0].ID
	if _, err := first.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	arm()
	if err := first.KeyRing().RemoveKey(ctx, old); err == nil {
		t.Error("RemoveKey: it says that it is done")
	}
	for ref, value := range mustFill(t, second, 1) {
		values[ref] = value
	}
	wantValues(t, mustOpen(t, w.options), values)
	wantCode(t, "RemoveKey", first.KeyRing().RemoveKey(t.Context(), old), forgecroft.KindConflict, "key_in_use")
	mustRewrap(t, first)
	if err := first.KeyRing().RemoveKey(t.Context(), old); err != nil {
		t.Errorf("RemoveKey in the end: %v", err)
	}
}

// TestRotatedKeyIsReplacedByHand goes from a file to a source that cannot be written, with a key made by hand in the first place: the one that the last rotation made can go.
func TestRotatedKeyIsReplacedByHand(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	v := mustOpen(t, w.options)
	values := mustFill(t, v, 2)
	rotated := mustRotate(t, v)
	ring, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	next, err := ring.WithNewPrimary()
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, v)
	w.options.Keys = &keys{text: next.Format(), readOnly: true}
	v = mustOpen(t, w.options)
	mustRewrap(t, v)
	wantCode(t, "RemoveKey", v.KeyRing().RemoveKey(t.Context(), rotated), forgecroft.KindUnprocessable, "key_source_read_only")
	mustClose(t, v)
	without, err := next.Without(rotated)
	if err != nil {
		t.Fatal(err)
	}
	w.options.Keys = &keys{text: without.Format(), readOnly: true}
	v = mustOpen(t, w.options)
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	wantValues(t, v, values)
	if err := v.KeyRing().RemoveKey(t.Context(), rotated); err != nil {
		t.Errorf("RemoveKey of a key that only the vault knows: %v", err)
	}
}

// TestFreshKeyIsLost loses the key file right after a rotation, before the new key has sealed anything: the copy of before is good.
func TestFreshKeyIsLost(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	v := mustOpen(t, w.options)
	values := mustFill(t, v, 2)
	backup := bytes.Clone(source.text)
	if _, err := v.KeyRing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	source.mu.Lock()
	source.text = backup
	source.mu.Unlock()
	wantCode(t, "Check while the key is in memory", v.Check(t.Context()), forgecroft.KindUnavailable, "vault_key_mismatch")
	_, err := v.KeyRing().Rotate(t.Context())
	wantCode(t, "Rotate", err, forgecroft.KindUnavailable, "vault_key_mismatch")
	mustClose(t, v)
	v = mustOpen(t, w.options)
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	wantValues(t, v, values)
	mustRotate(t, v)
	wantValues(t, mustOpen(t, w.options), values)
}

// TestMetKeyIsForgotten moves away whatever is sealed with a key that a replica lacks: then the replica lacks nothing.
func TestMetKeyIsForgotten(t *testing.T) {
	w := newWorld(t)
	source := &keys{}
	w.options.Keys = source
	first := mustOpen(t, w.options)
	ring, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	late := w.options
	late.Keys = &keys{text: bytes.Clone(source.text)}
	second := mustOpen(t, late)
	next, err := ring.WithNewPrimary()
	if err != nil {
		t.Fatal(err)
	}
	source.mu.Lock()
	source.text = next.Format()
	source.mu.Unlock()
	if err := first.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	refs := mustFill(t, first, 1)
	for ref := range refs {
		_, err := second.Get(t.Context(), ref, vaulttest.Binding())
		wantCode(t, "Get", err, forgecroft.KindUnavailable, "vault_key_missing")
	}
	wantCode(t, "Check", second.Check(t.Context()), forgecroft.KindUnavailable, "vault_key_missing")
	for ref := range refs {
		if err := first.Destroy(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "Check right after", second.Check(t.Context()), forgecroft.KindUnavailable, "vault_key_missing")
	w.advance(time.Minute)
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("Check a minute later: %v", err)
	}
}

// TestPutWhileItsKeyGoes stores with a key that another replica takes out of use, at each moment of that: the secret can be read afterwards, or was not stored.
func TestPutWhileItsKeyGoes(t *testing.T) {
	tests := []struct {
		name string
		when func(r *http.Request) bool
		put  string // the code of the put's failure
		code string // that of the removal
	}{
		{"before the vault forgets the key", func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/vault")
		}, "", "key_in_use"},
		{"before it looks for what the key seals", lists, "vault_key_retired", "key_in_use"},
		{"afterwards", func(*http.Request) bool { return false }, "vault_key_retired", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.options.Keys = &keys{}
			second := mustOpen(t, w.options) // It goes on sealing with the old key.
			old := mustKeys(t, second)[0].ID
			ref := vaulttest.NewReference()
			var stored error
			done, armed := false, false
			put := func() { done, stored = true, second.Put(t.Context(), ref, vaulttest.Binding(), value) }
			first := mustOpen(t, hooked(t, w, func(r *http.Request) {
				if armed && !done && tt.when(r) {
					put()
				}
			}))
			mustRotate(t, first)
			armed = true
			if err := first.KeyRing().RemoveKey(t.Context(), old); codeOf(err) != tt.code {
				t.Errorf("RemoveKey: got %v, want %q", err, tt.code)
			}
			if !done {
				put()
			}
			if codeOf(stored) != tt.put {
				t.Errorf("Put: got %v, want %q", stored, tt.put)
			}
			if tt.put != "" { // The replica has learned of the newest key, so that the repetition succeeds.
				ref = vaulttest.NewReference()
				if err := second.Put(t.Context(), ref, vaulttest.Binding(), value); err != nil {
					t.Errorf("Put again: %v", err)
				}
			}
			vaulttest.WantValue(t, mustOpen(t, w.options), ref, vaulttest.Binding(), value.Reveal())
		})
	}
}
