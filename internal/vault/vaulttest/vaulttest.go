// Package vaulttest states in tests what every vault must do. An implementation runs the suite against itself:
//
//	func TestConformance(t *testing.T) {
//		vaulttest.Run(t, func(t *testing.T) vaulttest.Fixture { … })
//	}
//
// References that reach the vault are always well-formed, as they are in the server, which makes them itself.
package vaulttest

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Fixture is a vault of one test, empty and its own.
type Fixture struct {
	Vault forgecroft.Vault
	// Reopen opens the same storage anew, as after a restart, and returns the vault that takes the place of the one before. Nil where nothing
	// can be closed.
	Reopen func(t *testing.T) forgecroft.Vault
	// Break makes the vault unable to answer until the test ends. Nil skips the tests of that.
	Break func(t *testing.T)
}

// Run runs the suite, each test with a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	tests := []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"round trip", testRoundTrip},
		{"put exists", testPutExists},
		{"binding", testBinding},
		{"not found", testNotFound},
		{"destroy", testDestroy},
		{"references", testReferences},
		{"references unlike in one character", testSimilarReferences},
		{"many at once", testManyAtOnce},
		{"one reference, many at once", testOneReference},
		{"destroyed while read", testDestroyedWhileRead},
		{"context over", testContextOver},
		{"durable", testDurable},
		{"unavailable", testUnavailable},
		{"check", testCheck},
		{"no secret in errors", testErrors},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// NewReference makes a reference as the server does.
func NewReference() forgecroft.Reference {
	random := make([]byte, 20)
	rand.Read(random)
	return forgecroft.Reference(strings.ToLower(base32.HexEncoding.EncodeToString(random)))
}

// Binding is what the suite binds its values to.
func Binding() forgecroft.Binding {
	return forgecroft.Binding{OrganizationID: "org_EXAMPLE", CredentialConfigID: "cc_EXAMPLE", Version: 1}
}

// MustPut stores a value under a new reference.
func MustPut(t testing.TB, v forgecroft.Vault, b forgecroft.Binding, value string) forgecroft.Reference {
	t.Helper()
	ref := NewReference()
	if err := v.Put(t.Context(), ref, b, forgecroft.NewSecret(value)); err != nil {
		t.Fatalf("Put: %v", err)
	}
	return ref
}

// WantValue fails the test unless the vault returns the value.
func WantValue(t testing.TB, v forgecroft.Vault, ref forgecroft.Reference, b forgecroft.Binding, want string) {
	t.Helper()
	got, err := v.Get(t.Context(), ref, b)
	if err != nil {
		t.Errorf("Get: %v", err)
	} else if !isValue(got, want) {
		t.Errorf("Get returns %d bytes that are not the %d that were stored", got.Len(), len(want))
	}
}

// isValue compares a secret with what it should be.
func isValue(got forgecroft.Secret, want string) bool { return got.Reveal() == want }
