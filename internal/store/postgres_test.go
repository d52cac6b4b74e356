package store_test

import (
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
