package embedded_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// home is a private directory with a vault file and a key file.
type home struct{ dir string }

func newHome(t testing.TB) home {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return home{dir}
}

func (h home) vault() string { return filepath.Join(h.dir, "vault.db") }
func (h home) key() string   { return filepath.Join(h.dir, "vault.key") }

// options opens the vault of the directory with its key file.
func (h home) options() embedded.Options {
	return embedded.Options{Path: h.vault(), Keys: embedded.FileKeys(h.key())}
}

// mustOpen opens a vault that is closed when the test ends.
func mustOpen(t testing.TB, o embedded.Options) *embedded.Vault {
	t.Helper()
	v, err := embedded.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { mustClose(t, v) })
	return v
}

func mustClose(t testing.TB, v *embedded.Vault) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestConformance(t *testing.T) {
	for _, variant := range []struct {
		name  string
		cache int64
	}{{"with the usual cache", 0}, {"with hardly any cache", 1}} {
		t.Run(variant.name, func(t *testing.T) {
			vaulttest.Run(t, func(t *testing.T) vaulttest.Fixture {
				h := newHome(t)
				o := h.options()
				o.CacheBytes = variant.cache
				v := mustOpen(t, o)
				return vaulttest.Fixture{
					Vault: v,
					Reopen: func(t *testing.T) forgecroft.Vault {
						mustClose(t, v)
						o.MustExist = true
						return mustOpen(t, o)
					},
					Break: func(t *testing.T) { mustClose(t, v) },
				}
			})
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(map[int]string{1: "one", 64: "64"}[callers], func(b *testing.B) {
			v := mustOpen(b, newHome(b).options())
			value := forgecroft.NewSecret(string(make([]byte, 300)))
			b.SetParallelism((callers + 1) / 2)
			b.ReportAllocs()
			if callers == 1 {
				for b.Loop() {
					if err := v.Put(b.Context(), vaulttest.NewReference(), vaulttest.Binding(), value); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := v.Put(b.Context(), vaulttest.NewReference(), vaulttest.Binding(), value); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, variant := range []struct {
		name  string
		cache int64
	}{{"from the cache", 0}, {"from the file", 1}} {
		b.Run(variant.name, func(b *testing.B) {
			o := newHome(b).options()
			o.CacheBytes = variant.cache
			v := mustOpen(b, o)
			var refs []forgecroft.Reference
			for range 1000 {
				refs = append(refs, vaulttest.MustPut(b, v, vaulttest.Binding(), string(make([]byte, 300))))
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := v.Get(b.Context(), refs[i%len(refs)], vaulttest.Binding()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
