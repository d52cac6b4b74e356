package openbao_test

import (
	"errors"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// TestRecordsMoveSealed moves everything from one vault to another that has the same keys.
func TestRecordsMoveSealed(t *testing.T) {
	w := newWorld(t)
	from := mustOpen(t, w.options)
	values := mustFill(t, from, 12)
	w.options.Prefix = "restored"
	to := mustOpen(t, w.options)

	var records []forgecroft.SealedRecord
	for ref := range values {
		blob, err := from.SealedVault().Sealed(t.Context(), ref)
		if err != nil {
			t.Fatalf("Sealed: %v", err)
		}
		records = append(records, forgecroft.SealedRecord{Reference: ref, Binding: vaulttest.Binding(), Sealed: blob})
	}
	for range 2 { // The second time everything is there already.
		if err := to.SealedVault().PutSealed(t.Context(), records); err != nil {
			t.Fatalf("PutSealed: %v", err)
		}
	}
	wantValues(t, to, values)

	other := records[0]
	other.Sealed = records[1].Sealed
	other.Binding = records[1].Binding
	if err := to.SealedVault().PutSealed(t.Context(), []forgecroft.SealedRecord{other}); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("other bytes under a reference that is taken: got %v, want a conflict", err)
	}
	other.Reference, other.Binding.Version = vaulttest.NewReference(), 7
	if err := to.SealedVault().PutSealed(t.Context(), []forgecroft.SealedRecord{other}); !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("a record of something else: got %v, want an integrity failure", err)
	}
	if _, err := to.SealedVault().Sealed(t.Context(), other.Reference); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("Sealed of what was refused: got %v, want not found", err)
	}
}

func TestCanariesProveTheKeys(t *testing.T) {
	w := newWorld(t)
	v := mustOpen(t, w.options)
	mustRotate(t, v)
	canaries, err := v.SealedVault().Canaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := w.options.Keys.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(canaries) != 2 {
		t.Errorf("%d canaries of 2 keys", len(canaries))
	}
	for id, canary := range canaries {
		if err := ring.CheckCanary(id, canary); err != nil {
			t.Errorf("the canary of %s: %v", id, err)
		}
	}
}

func TestNothingSealedWithoutEnvelope(t *testing.T) {
	w := newWorld(t)
	w.options.Keys = nil
	if v := mustOpen(t, w.options); v.SealedVault() != nil {
		t.Error("a vault without an envelope says that its records are sealed")
	}
}
