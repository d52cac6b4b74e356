package moving_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/moving"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// errCut is where a test cuts a move off.
var errCut = errors.New("cut off")

// open opens an embedded vault in a directory.
func open(t testing.TB, dir, name string) *embedded.Vault {
	t.Helper()
	v, err := embedded.Open(t.Context(), embedded.Options{Path: filepath.Join(dir, name), Keys: embedded.FileKeys(filepath.Join(dir, "vault.key"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// private makes a directory as the embedded vault wants it.
func private(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// move is a move between two embedded vaults, and the rows that point at secrets.
type move struct {
	*moving.Vault
	from, to *embedded.Vault
	letGo    int // how often the old place was let go

	mu   sync.Mutex
	rows []forgecroft.BoundReference // sorted by reference
}

// begin opens two vaults and joins them.
func begin(t testing.TB) *move {
	t.Helper()
	dir := private(t)
	m := &move{from: open(t, dir, "from.db"), to: open(t, dir, "to.db")}
	m.join(nil)
	return m
}

// join makes the moving vault anew, as a start does. wrap may stand between it and the new place.
func (m *move) join(wrap func(forgecroft.Vault) forgecroft.Vault) {
	to := forgecroft.Vault(m.to)
	if wrap != nil {
		to = wrap(to)
	}
	m.Vault = moving.New(moving.Options{From: m.from, To: to, Proof: m.to, LetGo: func() error { m.letGo++; return nil }})
}

// SecretBindings implements [moving.Bindings].
func (m *move) SecretBindings(_ context.Context, after forgecroft.Reference, limit int) ([]forgecroft.BoundReference, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, _ := slices.BinarySearchFunc(m.rows, after, func(b forgecroft.BoundReference, r forgecroft.Reference) int {
		if b.Reference <= r {
			return -1
		}
		return 1
	})
	return slices.Clone(m.rows[i:min(len(m.rows), i+limit)]), nil
}

// mustRow stores a value in a vault, with a row that points at it.
func (m *move) mustRow(t testing.TB, v forgecroft.Vault, value string) forgecroft.BoundReference {
	t.Helper()
	bound := forgecroft.BoundReference{Binding: vaulttest.Binding(), Reference: vaulttest.MustPut(t, v, vaulttest.Binding(), value)}
	m.point(bound)
	return bound
}

// point adds a row.
func (m *move) point(bound forgecroft.BoundReference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = append(m.rows, bound)
	slices.SortFunc(m.rows, func(a, b forgecroft.BoundReference) int {
		if a.Reference < b.Reference {
			return -1
		}
		return 1
	})
}

// drop takes a row away.
func (m *move) drop(bound forgecroft.BoundReference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = slices.DeleteFunc(m.rows, func(b forgecroft.BoundReference) bool { return b == bound })
}

// TestConformance checks that both places together are a vault like any other, before the move and after.
func TestConformance(t *testing.T) {
	t.Run("while moving", func(t *testing.T) {
		vaulttest.Run(t, func(t *testing.T) vaulttest.Fixture { return vaulttest.Fixture{Vault: begin(t)} })
	})
	t.Run("moved", func(t *testing.T) {
		vaulttest.Run(t, func(t *testing.T) vaulttest.Fixture {
			m := begin(t)
			if _, err := m.Move(t.Context(), m, nil); err != nil || !m.Done() {
				t.Fatal(err)
			}
			return vaulttest.Fixture{Vault: m}
		})
	})
}

func TestMove(t *testing.T) {
	m := begin(t)
	values := map[forgecroft.Reference]string{}
	for n := range 450 { // more than two pages
		value := fmt.Sprint("EXAMPLE-", n)
		place := forgecroft.Vault(m.from)
		if n%5 == 0 {
			place = m // stored since the move began
		}
		values[m.mustRow(t, place, value).Reference] = value
	}
	garbage := vaulttest.MustPut(t, m.from, vaulttest.Binding(), "EXAMPLE of an attempt that came to nothing")
	calls := 0
	result, err := m.Move(t.Context(), m, func(done, total int) {
		if calls++; done != calls || total != 450 {
			t.Errorf("progress %d of %d at call %d", done, total, calls)
		}
	})
	if err != nil || result.Moved != 360 || len(result.Lost) != 0 || !m.Done() || m.letGo != 1 || calls != 450 {
		t.Errorf("%+v, %v; done %v, let go %d times, %d calls", result, err, m.Done(), m.letGo, calls)
	}
	if err := m.from.Close(); err != nil {
		t.Fatal(err)
	}
	for ref, value := range values {
		vaulttest.WantValue(t, m, ref, vaulttest.Binding(), value)
	}
	if _, err := m.Get(t.Context(), garbage, vaulttest.Binding()); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("what nobody uses was moved: %v", err)
	}
	if again, err := m.Move(t.Context(), m, nil); err != nil || again.Moved != 0 || m.letGo != 1 {
		t.Errorf("moving once more: %+v, %v; let go %d times", again, err, m.letGo)
	}
}

// failing is a vault that fails, or lies, from some call on.
type failing struct {
	forgecroft.Vault
	left  *int
	after bool // it does what it is asked, and then fails
}

func (f failing) Put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	*f.left--
	switch {
	case *f.left >= 0:
		return f.Vault.Put(ctx, ref, binding, value)
	case f.after:
		return errors.Join(f.Vault.Put(ctx, ref, binding, value), errCut)
	default:
		return errCut
	}
}

// TestCutOff cuts the move off at every step, and begins again as after a start: everything can be read all the time, and arrives once.
func TestCutOff(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the step %v", after), func(t *testing.T) {
			m := begin(t)
			values := map[forgecroft.Reference]string{}
			for n := range 12 {
				values[m.mustRow(t, m.from, fmt.Sprint("EXAMPLE-", n)).Reference] = fmt.Sprint("EXAMPLE-", n)
			}
			for cut := range 12 {
				m.join(func(to forgecroft.Vault) forgecroft.Vault {
					left := cut
					if after {
						left = 0
					}
					return failing{to, &left, after}
				})
				if _, err := m.Move(t.Context(), m, nil); !errors.Is(err, errCut) || m.Done() {
					t.Fatalf("cut %d: %v, done %v", cut, err, m.Done())
				}
				for ref, value := range values {
					vaulttest.WantValue(t, m, ref, vaulttest.Binding(), value)
				}
			}
			m.join(nil)
			if _, err := m.Move(t.Context(), m, nil); err != nil || m.letGo != 1 {
				t.Fatalf("%v, let go %d times", err, m.letGo)
			}
			for ref, value := range values {
				vaulttest.WantValue(t, m.to, ref, vaulttest.Binding(), value)
			}
		})
	}
}

// TestLies checks that the old place stays when the new one holds something else.
func TestLies(t *testing.T) {
	m := begin(t)
	bound := m.mustRow(t, m.from, "EXAMPLE")
	if err := m.to.Put(t.Context(), bound.Reference, bound.Binding, forgecroft.NewSecret("another EXAMPLE")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Move(t.Context(), m, nil); err == nil || m.Done() || m.letGo != 0 {
		t.Errorf("%v; done %v, let go %d times", err, m.Done(), m.letGo)
	}
}

// TestLost checks that what was lost before is named, and does not hold up the rest.
func TestLost(t *testing.T) {
	m := begin(t)
	lost := forgecroft.BoundReference{Binding: vaulttest.Binding(), Reference: vaulttest.NewReference()}
	m.point(lost)
	kept := m.mustRow(t, m.from, "EXAMPLE")
	result, err := m.Move(t.Context(), m, nil)
	if err != nil || !slices.Equal(result.Lost, []forgecroft.BoundReference{lost}) || result.Moved != 1 || !m.Done() {
		t.Errorf("%+v, %v", result, err)
	}
	vaulttest.WantValue(t, m, kept.Reference, kept.Binding, "EXAMPLE")
}

// TestDestroyedMeanwhile destroys every second secret version while all are moved: none comes back, and none is called lost.
func TestDestroyedMeanwhile(t *testing.T) {
	m := begin(t)
	var bounds []forgecroft.BoundReference
	for range 60 {
		bounds = append(bounds, m.mustRow(t, m.from, "EXAMPLE"))
	}
	slices.SortFunc(bounds, func(a, b forgecroft.BoundReference) int {
		if a.Reference < b.Reference {
			return -1
		}
		return 1
	})
	destroy := func(from, to int) {
		for i := from; i < to; i++ {
			if i%2 == 0 {
				m.drop(bounds[i])
				if err := m.Destroy(t.Context(), bounds[i].Reference); err != nil {
					t.Error(err)
				}
			}
		}
	}
	var group sync.WaitGroup
	result, err := m.Move(t.Context(), m, func(done, _ int) {
		switch done {
		case 20:
			destroy(0, 20) // copied already
			destroy(40, 60)
		case 21:
			group.Go(func() { destroy(20, 40) }) // at the same time
		}
	})
	group.Wait()
	if err != nil || len(result.Lost) != 0 || !m.Done() {
		t.Errorf("%+v, %v", result, err)
	}
	for i, bound := range bounds {
		_, err := m.to.Get(t.Context(), bound.Reference, bound.Binding)
		if gone := errors.Is(err, forgecroft.KindNotFound); gone != (i%2 == 0) {
			t.Errorf("version %d: %v", i, err)
		}
	}
}

// TestKeysStay checks that the ring, which both places seal with, is not changed while secrets move.
func TestKeysStay(t *testing.T) {
	m := begin(t)
	ring := m.KeyRing(m.to)
	if _, err := ring.Rotate(t.Context()); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("rotating: %v", err)
	}
	if err := ring.RemoveKey(t.Context(), "any"); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("removing a key: %v", err)
	}
	if _, err := m.Move(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Rotate(t.Context()); err != nil {
		t.Errorf("rotating after the move: %v", err)
	}
	if m.KeyRing(nil) != nil {
		t.Error("a ring out of nothing")
	}
}
