package openbao_test

import (
	"testing"

	"github.com/forgecroft/forgecroft/internal/vault/openbao"
)

// mustRotate makes a new primary key and moves everything to it. It returns the new key's id.
func mustRotate(t testing.TB, v *openbao.Vault) string {
	t.Helper()
	id, err := v.KeyRing().Rotate(t.Context())
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	mustRewrap(t, v)
	return id
}

func mustRewrap(t testing.TB, v *openbao.Vault) {
	t.Helper()
	for rounds := 0; ; rounds++ {
		left, err := v.KeyRing().Rewrap(t.Context(), 7)
		if err != nil {
			t.Fatalf("Rewrap: %v", err)
		}
		if left == 0 {
			return
		}
		if rounds == 1000 {
			t.Fatal("Rewrap does not come to an end")
		}
	}
}
