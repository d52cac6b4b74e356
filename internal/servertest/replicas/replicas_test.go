package replicas_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
)

// TestDisturbances kills and freezes replicas, the database and the vault under load, one after the other and together, and then checks every
// invariant: what clients saw is what one server would have answered, every release is in one unbroken audit trail, and nothing dangles.
func TestDisturbances(t *testing.T) {
	h := newHouse(t, 3)
	h.keepCheckpoint(t)
	targets := mustMakeTargets(t, h, 4)
	c := start(t, h, targets, 6)
	const some = 40 // calls
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	await(t, "at rest", &c.done, some)
	rounds := 1
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		rounds = 50
	}
	for range rounds {
		for _, d := range []struct {
			name string
			work func()
		}{
			{"a replica is killed", func() {
				i := random.IntN(len(h.replicas))
				h.replica(i).Signal(syscall.SIGKILL)
				await(t, "without a replica", &c.done, some)
				must(t, h.restart(i))
			}},
			{"a replica is frozen", func() {
				i := random.IntN(len(h.replicas))
				h.replica(i).Signal(syscall.SIGSTOP)
				must(t, h.frozen(i))
			}},
			{"the database is killed", func() {
				h.database.Kill()
				await(t, "without a database", &c.failed, 3)
				must(t, h.database.Start())
			}},
			{"the database is frozen", func() {
				h.database.Freeze()
				await(t, "with a frozen database", &c.failed, 1)
				h.database.Thaw()
			}},
			{"the vault is sealed", func() {
				h.vault.SetState(bao.Sealed)
				await(t, "with a sealed vault", &c.failed, 3)
				h.vault.SetState(bao.Active)
			}},
			{"the vault is killed", func() {
				h.killVault()
				await(t, "without a vault", &c.failed, 3)
				must(t, h.startVault(h.listener.Listener.Addr().String()))
			}},
			{"the vault is frozen", func() {
				h.gate.freeze()
				await(t, "with a frozen vault", &c.failed, 1)
				h.gate.thaw()
			}},
			{"the vault's key is rotated while a replica dies", func() {
				i := random.IntN(len(h.replicas))
				must(t, h.rotate())
				h.replica(i).Signal(syscall.SIGKILL)
				await(t, "rotating without a replica", &c.done, some)
				must(t, h.restart(i))
			}},
		} {
			d.work()
			await(t, "after: "+d.name, &c.done, some)
		}
	}
	c.mustEnd(t)
	h.mustBeSound(t)
}

// frozen lets the others serve for longer than a stuck transaction is waited for, and thaws the replica.
func (h *house) frozen(i int) error {
	other := h.replica((i + 1) % len(h.replicas))
	client, err := h.ledger.client(other.URL, h.ownerKey)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err = client.CreateAuditCheckpoint(h.t.Context()); err == nil || time.Now().After(deadline) {
			break
		}
	}
	h.replica(i).Signal(syscall.SIGCONT)
	return err
}

// rotate makes a new primary key at one replica, and lets the others look, as a balancer that asks for readiness does.
func (h *house) rotate() error {
	if _, err := h.owner.RotateVaultKey(h.t.Context()); err != nil {
		return err
	}
	for i := range h.replicas {
		r, err := http.Get(h.replica(i).URL + "/readyz")
		if err != nil {
			return err
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("after the rotation replica %d is not ready: %s", i, r.Status)
		}
	}
	return nil
}
