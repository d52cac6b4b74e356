package store_test

import (
	"path/filepath"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) forgecroft.Store { return open(t, t.TempDir()) })
}

// open opens the store in a directory.
func open(t testing.TB, directory string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: filepath.Join(directory, "metadata.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
