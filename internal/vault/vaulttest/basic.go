package vaulttest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func testRoundTrip(t *testing.T, f Fixture) {
	allBytes := make([]byte, 256)
	for i := range allBytes {
		allBytes[i] = byte(i)
	}
	for _, test := range []struct{ name, value string }{
		{"short", "EXAMPLE"},
		{"empty", ""},
		{"one NUL", "\x00"},
		{"every byte", string(allBytes)},
		{"not UTF-8", "EXAMPLE\xff\xfe\xc0\x80"},
		{"newlines", "EXAMPLE\r\n\n"},
		{"spaces around", "  EXAMPLE  "},
		{"JSON", `{"private_key":"-----BEGIN EXAMPLE-----\n","n":1e400}`},
		{"Unicode that could be normalized", "e\u0301\u00e9\U0001F511"},
		{"64 KiB", strings.Repeat(string(allBytes), 256)},
	} {
		t.Run(test.name, func(t *testing.T) {
			ref := MustPut(t, f.Vault, Binding(), test.value)
			WantValue(t, f.Vault, ref, Binding(), test.value)
			WantValue(t, f.Vault, ref, Binding(), test.value)
		})
	}
}

func testPutExists(t *testing.T, f Fixture) {
	ref := MustPut(t, f.Vault, Binding(), "first EXAMPLE")
	other := Binding()
	other.Version++
	for _, test := range []struct {
		name    string
		binding forgecroft.Binding
		value   string
	}{
		{"another value", Binding(), "second EXAMPLE"},
		{"the same value", Binding(), "first EXAMPLE"},
		{"another binding", other, "first EXAMPLE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := f.Vault.Put(t.Context(), ref, test.binding, forgecroft.NewSecret(test.value)); !errors.Is(err, forgecroft.KindConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
			WantValue(t, f.Vault, ref, Binding(), "first EXAMPLE")
		})
	}
}

func testBinding(t *testing.T, f Fixture) {
	right := forgecroft.Binding{OrganizationID: "ab", CredentialConfigID: "c", Version: 7}
	ref := MustPut(t, f.Vault, right, "EXAMPLE")
	for _, test := range []struct {
		name    string
		binding forgecroft.Binding
	}{
		{"organization", forgecroft.Binding{OrganizationID: "xx", CredentialConfigID: "c", Version: 7}},
		{"credential config", forgecroft.Binding{OrganizationID: "ab", CredentialConfigID: "x", Version: 7}},
		{"older version", forgecroft.Binding{OrganizationID: "ab", CredentialConfigID: "c", Version: 6}},
		{"newer version", forgecroft.Binding{OrganizationID: "ab", CredentialConfigID: "c", Version: 8}},
		{"boundary moved", forgecroft.Binding{OrganizationID: "a", CredentialConfigID: "bc", Version: 7}},
		{"exchanged", forgecroft.Binding{OrganizationID: "c", CredentialConfigID: "ab", Version: 7}},
		{"case", forgecroft.Binding{OrganizationID: "AB", CredentialConfigID: "c", Version: 7}},
		{"none", forgecroft.Binding{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := f.Vault.Get(t.Context(), ref, test.binding)
			if !errors.Is(err, forgecroft.KindIntegrity) {
				t.Errorf("got %v, want an integrity failure", err)
			}
			if !got.IsZero() {
				t.Error("a value comes with the failure")
			}
		})
	}
	WantValue(t, f.Vault, ref, right, "EXAMPLE")
}

func testNotFound(t *testing.T, f Fixture) {
	MustPut(t, f.Vault, Binding(), "EXAMPLE")
	for _, ref := range []forgecroft.Reference{NewReference(), forgecroft.Reference(strings.Repeat("0", 32)), forgecroft.Reference(strings.Repeat("v", 32))} {
		if _, err := f.Vault.Get(t.Context(), ref, Binding()); !errors.Is(err, forgecroft.KindNotFound) {
			t.Errorf("Get of an absent reference: got %v, want not found", err)
		}
	}
}

func testDestroy(t *testing.T, f Fixture) {
	ref, other := MustPut(t, f.Vault, Binding(), "EXAMPLE"), MustPut(t, f.Vault, Binding(), "other EXAMPLE")
	WantValue(t, f.Vault, ref, Binding(), "EXAMPLE")
	for range 3 {
		if err := f.Vault.Destroy(t.Context(), ref); err != nil {
			t.Fatalf("Destroy: %v", err)
		}
		if _, err := f.Vault.Get(t.Context(), ref, Binding()); !errors.Is(err, forgecroft.KindNotFound) {
			t.Errorf("Get after Destroy: got %v, want not found", err)
		}
	}
	if err := f.Vault.Destroy(t.Context(), NewReference()); err != nil {
		t.Errorf("Destroy of what never was: %v", err)
	}
	WantValue(t, f.Vault, other, Binding(), "other EXAMPLE")
	wantReferences(t, f.Vault, []forgecroft.Reference{other})
}

func testContextOver(t *testing.T, f Fixture) {
	ref := MustPut(t, f.Vault, Binding(), "EXAMPLE")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		call func() error
	}{
		{"Put", func() error { return f.Vault.Put(over, NewReference(), Binding(), forgecroft.NewSecret("EXAMPLE")) }},
		{"Get", func() error { _, err := f.Vault.Get(over, ref, Binding()); return err }},
		{"Destroy", func() error { return f.Vault.Destroy(over, ref) }},
		{"References", func() error { _, err := f.Vault.References(over, "", 10); return err }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want that the context was cancelled", err)
			}
		})
	}
	// The vault is as good as before.
	WantValue(t, f.Vault, MustPut(t, f.Vault, Binding(), "later EXAMPLE"), Binding(), "later EXAMPLE")
}

func testDurable(t *testing.T, f Fixture) {
	if f.Reopen == nil {
		t.Skip("this vault cannot be opened anew")
	}
	kept, gone := map[forgecroft.Reference]string{}, []forgecroft.Reference{} // reference → value
	for i := range 20 {
		value := strings.Repeat("EXAMPLE", i)
		ref := MustPut(t, f.Vault, Binding(), value)
		if i%4 > 0 {
			kept[ref] = value
			continue
		}
		gone = append(gone, ref)
		if err := f.Vault.Destroy(t.Context(), ref); err != nil {
			t.Fatalf("Destroy: %v", err)
		}
	}
	v := f.Reopen(t)
	for ref, want := range kept {
		WantValue(t, v, ref, Binding(), want)
		if err := v.Put(t.Context(), ref, Binding(), forgecroft.NewSecret("other")); !errors.Is(err, forgecroft.KindConflict) {
			t.Errorf("Put over a value of before: got %v, want a conflict", err)
		}
	}
	for _, ref := range gone {
		if _, err := v.Get(t.Context(), ref, Binding()); !errors.Is(err, forgecroft.KindNotFound) {
			t.Errorf("Get of what was destroyed before: got %v, want not found", err)
		}
	}
}

func testUnavailable(t *testing.T, f Fixture) {
	if f.Break == nil {
		t.Skip("this vault cannot be broken")
	}
	ref := MustPut(t, f.Vault, Binding(), "EXAMPLE")
	f.Break(t)
	for _, test := range []struct {
		name string
		call func() error
	}{
		{"Put", func() error {
			return f.Vault.Put(t.Context(), NewReference(), Binding(), forgecroft.NewSecret("EXAMPLE"))
		}},
		{"Get", func() error { _, err := f.Vault.Get(t.Context(), ref, Binding()); return err }},
		{"Destroy", func() error { return f.Vault.Destroy(t.Context(), ref) }},
		{"References", func() error { _, err := f.Vault.References(t.Context(), "", 10); return err }},
		{"Check", func() error { return f.Vault.Check(t.Context()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(); !errors.Is(err, forgecroft.KindUnavailable) {
				t.Errorf("got %v, want unavailable", err)
			}
		})
	}
}

func testCheck(t *testing.T, f Fixture) {
	for range 2 {
		if err := f.Vault.Check(t.Context()); err != nil {
			t.Errorf("Check of a sound vault: %v", err)
		}
		MustPut(t, f.Vault, Binding(), "EXAMPLE")
	}
}

// testErrors looks for the value in what the failures say.
func testErrors(t *testing.T, f Fixture) {
	const value = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
	ref := MustPut(t, f.Vault, Binding(), value)
	conflict := f.Vault.Put(t.Context(), ref, Binding(), forgecroft.NewSecret(value))
	_, mismatch := f.Vault.Get(t.Context(), ref, forgecroft.Binding{OrganizationID: "other"})
	for _, err := range []error{conflict, mismatch} {
		if err == nil || strings.Contains(err.Error(), value[:8]) {
			t.Errorf("got %v, want a failure without the value", err)
		}
	}
}
