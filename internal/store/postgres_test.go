package store_test

import (
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/store/storetest"
)

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) forgecroft.Store { return openPostgres(t, pgtest.New(t)) })
}

// openPostgres opens the store in a database.
func openPostgres(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), store.Options{URL: forgecroft.NewSecret(url)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestTransport holds the addresses that may be used against the way in which the driver would reach them.
func TestTransport(t *testing.T) {
	for _, test := range []struct {
		name, address, sslmode string // sslmode is PGSSLMODE
		refused                bool
	}{
		{"nothing said", "postgres://u:EXAMPLE@db.example/x", "", true},
		{"prefer", "postgres://u@db.example/x?sslmode=prefer", "", true},
		{"allow", "postgres://u@db.example/x?sslmode=allow", "", true},
		{"disable", "postgres://u@db.example/x?sslmode=disable", "", false},
		{"require", "postgres://u@db.example/x?sslmode=require", "", false},
		{"verify-ca", "postgres://u@db.example/x?sslmode=verify-ca", "", false},
		{"verify-full", "postgres://u@db.example/x?sslmode=verify-full", "", false},
		{"PGSSLMODE prefers", "postgres://u@db.example/x", "prefer", true},
		{"PGSSLMODE verifies", "postgres://u@db.example/x", "verify-full", false},
		{"PGSSLMODE disables", "postgres://u@db.example/x", "disable", false},
		{"the address goes before PGSSLMODE", "postgres://u@db.example/x?sslmode=prefer", "verify-full", true},
		{"an address of the network", "postgres://u@192.0.2.1/x", "", true},
		{"an address of IPv6", "postgres://u@[2001:db8::1]:5432/x", "", true},
		{"a host among the parameters", "postgres:///x?host=db.example", "", true},
		{"one of two hosts", "postgres://u@127.0.0.1,db.example/x", "", true},
		{"one host twice, verified", "postgres://u@db.example,db.example/x?sslmode=verify-full", "", false},
		{"loopback", "postgres://u@127.0.0.1/x", "", false},
		{"loopback of IPv6", "postgres://u@[::1]/x", "", false},
		{"localhost", "postgres://u@localhost/x", "", false},
		{"localhost, written otherwise", "postgres://u@LOCALHOST./x", "", false},
		{"a socket", "postgres:///x?host=/run/postgresql", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PGSSLMODE", test.sslmode)
			err := store.CheckAddress(test.address)
			if !test.refused {
				if err != nil {
					t.Errorf("got %v, want it to be used", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it would be used")
			}
			for _, want := range []string{"sslmode=verify-full", "sslrootcert", "sslmode=disable"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %s", err, want)
				}
			}
		})
	}
}
