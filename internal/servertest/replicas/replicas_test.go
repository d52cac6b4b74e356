//go:build unix

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

// some is how many calls are enough to see that the replicas serve.
const some = 40

// TestDisturbances kills and freezes replicas, the database and the vault under load, one after the other and together, and then checks every
// invariant: what clients saw is what one server would have answered, everything is in one unbroken audit trail, and nothing dangles. The long form does so again
// and again, each time with a history of its own.
func TestDisturbances(t *testing.T) {
	h := newHouse(t, 3)
	h.keepCheckpoint(t)
	h.strangers = h.mustMakeStrangers(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	histories := 1
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		histories = 50
	}
	for range histories {
		c := start(t, h, mustMakeTargets(t, h, 4), 6)
		await(t, "at rest", &c.done, some)
		for _, d := range h.disturbances(t, c, random.IntN(len(h.replicas))) {
			d.work()
			await(t, "after: "+d.name, &c.done, some)
		}
		c.mustEnd(t)
	}
	h.mustBeSound(t)
}

// disturbance is something that goes wrong, and is put right again.
type disturbance struct {
	name string
	work func()
}

// disturbances are all there are, with the i-th replica as the victim.
func (h *house) disturbances(t *testing.T, c *clients, i int) []disturbance {
	return []disturbance{
		{"a replica is killed", func() {
			h.replica(i).Signal(syscall.SIGKILL)
			await(t, "without a replica", &c.done, some)
			must(t, h.restart(i))
		}},
		{"a replica is frozen", func() {
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
			must(t, h.rotate())
			h.replica(i).Signal(syscall.SIGKILL)
			await(t, "rotating without a replica", &c.done, some)
			must(t, h.restart(i))
		}},
	}
}

// stuck is for longer than a transaction of a frozen replica is waited for.
const stuck = 2 * time.Second

// frozen lets another replica serve for long enough, and thaws the replica. At first it may have to wait for a transaction that froze.
func (h *house) frozen(i int) error {
	other := h.replica((i + 1) % len(h.replicas))
	client, err := h.ledger.client(other.URL, h.ownerKey)
	if err != nil {
		return err
	}
	for began, served := time.Now(), false; ; {
		_, err = client.CreateAuditCheckpoint(h.t.Context())
		served = served || err == nil
		if after := time.Since(began); after > 20*time.Second || served && (err != nil || after > stuck) {
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
