package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// TestKeyFileIsChangedInTurn has many add a key to one file at once: none of the keys is lost.
func TestKeyFileIsChangedInTurn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	ring, err := envelope.GenerateRing()
	if err != nil {
		t.Fatal(err)
	}
	if err := embedded.FileKeys(path).Create(ring); err != nil {
		t.Fatal(err)
	}
	const all = 20
	var group sync.WaitGroup
	for range all {
		group.Go(func() {
			source := embedded.FileKeys(path) // Each is another process: nothing is shared but the file.
			err := source.Update(func(now *envelope.Ring) (*envelope.Ring, error) { return now.WithNewPrimary() })
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	final, err := embedded.FileKeys(path).Load()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(final.IDs()); n != all+1 {
		t.Errorf("the file holds %d keys, want %d", n, all+1)
	}
	if info, err := os.Stat(path + ".lock"); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 0 {
		t.Errorf("the lock file: %v, %v", info, err)
	}
}

// TestRefusedChangeLeavesTheKeyFile returns the failure of the change as it is, and writes nothing.
func TestRefusedChangeLeavesTheKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	ring, err := envelope.GenerateRing()
	if err != nil {
		t.Fatal(err)
	}
	source := embedded.FileKeys(path)
	if err := source.Create(ring); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := source.Update(func(*envelope.Ring) (*envelope.Ring, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want the failure of the change", err)
	}
	if now, err := source.Load(); err != nil || now.Primary() != ring.Primary() {
		t.Errorf("afterwards: %v", err)
	}
}
