package vaulttest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// wantReferences lists the vault in pages of every small size and compares with what it must hold.
func wantReferences(t *testing.T, v forgecroft.Vault, want []forgecroft.Reference) {
	t.Helper()
	slices.Sort(want)
	for _, limit := range []int{1, 2, 3, 7, len(want), len(want) + 1, 1000} {
		if limit == 0 {
			continue
		}
		var got []forgecroft.Reference
		for after := forgecroft.Reference(""); ; {
			page, err := v.References(t.Context(), after, limit)
			if err != nil {
				t.Fatalf("References: %v", err)
			}
			if len(page) > limit {
				t.Fatalf("a page has %d references, more than the limit %d", len(page), limit)
			}
			got = append(got, page...)
			if len(page) < limit {
				break
			}
			after = page[len(page)-1]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", limit, diff)
		}
	}
}

func testReferences(t *testing.T, f Fixture) {
	empty, err := f.Vault.References(t.Context(), "", 10)
	if err != nil || len(empty) != 0 {
		t.Errorf("an empty vault lists %v, %v", empty, err)
	}
	var want []forgecroft.Reference
	for range 25 {
		want = append(want, MustPut(t, f.Vault, Binding(), "EXAMPLE"))
	}
	wantReferences(t, f.Vault, want)

	// Paging goes on after a reference that is not there any more.
	middle := want[10]
	if err := f.Vault.Destroy(t.Context(), middle); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 10, 11)
	wantReferences(t, f.Vault, want)
	got, err := f.Vault.References(t.Context(), middle, 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[10:13], got); diff != "" {
		t.Errorf("after one that is gone (-want +got):\n%s", diff)
	}
	if got, err := f.Vault.References(t.Context(), want[len(want)-1], 10); err != nil || len(got) != 0 {
		t.Errorf("after the last one: got %v, %v", got, err)
	}
}

// testSimilarReferences stores under references that differ in one character each.
func testSimilarReferences(t *testing.T, f Fixture) {
	base := NewReference()
	values := map[forgecroft.Reference]string{} // reference → value
	for i := range len(base) {
		changed := []byte(base)
		changed[i] = 'a' + (changed[i]+1)%20
		values[forgecroft.Reference(changed)] = "EXAMPLE " + string(changed)
	}
	values[base] = "EXAMPLE"
	var refs []forgecroft.Reference
	for ref, value := range values {
		refs = append(refs, ref)
		if err := f.Vault.Put(t.Context(), ref, Binding(), forgecroft.NewSecret(value)); err != nil {
			t.Fatalf("Put: %v", err)
		}
	}
	for ref, value := range values {
		WantValue(t, f.Vault, ref, Binding(), value)
	}
	wantReferences(t, f.Vault, refs)
}
