//go:build unix

package replicas_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/servertest/process"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestBackupsUnderLoad takes backups at any replica while all work, and restores each into a new database and a new vault. What a restored installation delivers
// goes into the history as if it had been delivered while the backup was taken: so it has to be what was so at one moment then (BAK-1).
func TestBackupsUnderLoad(t *testing.T) {
	h := newHouse(t, 3)
	c := start(t, h, mustMakeTargets(t, h, 4), 4)
	backups := 5
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		backups = 20
	}
	for n := range backups {
		await(t, "before a backup", &c.lives, 2)
		ended := h.ended.clone()
		path := h.path(fmt.Sprint("backup-", n, ".tar"))
		began := time.Since(c.began)
		h.mustBackUp(t, path)
		c.mustRestore(t, path, began, time.Since(c.began), ended)
	}
	c.mustEnd(t)
}

// mustBackUp takes a backup as an operator does, and scans it: it holds no secret.
func (h *house) mustBackUp(t *testing.T, path string) {
	t.Helper()
	cmd := exec.Command(binary, "backup", path)
	cmd.Env = []string{"HOME=" + h.dir, "FORGECROFT_API_URL=" + h.proxy.URL, "FORGECROFT_API_KEY=" + h.ownerKey}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("taking a backup: %v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	h.scanner.Check(t, path, text)
}

// elsewhere is an installation of one replica on a new database and a new vault, which has the same key.
func (h *house) elsewhere(t *testing.T) *house {
	t.Helper()
	e := &house{t: t, dir: h.dir, database: h.database, url: h.database.MustCreate(t), vault: bao.New(nil, rootToken), ownerKey: h.ownerKey, canary: h.canary, replicas: make([]*process.Server, 1)}
	e.gate = &gate{next: e.vault}
	must(t, e.startVault("127.0.0.1:0"))
	t.Cleanup(e.killVault)
	e.address = e.listener.URL
	t.Cleanup(e.killAll)
	return e
}

// mustRestore restores a backup that was taken between two moments, and holds it against what was so then.
func (c *clients) mustRestore(t *testing.T, path string, began, taken time.Duration, before *ended) {
	t.Helper()
	e := c.h.elsewhere(t)
	if out, err := e.command("restore", path).CombinedOutput(); err != nil {
		t.Fatalf("restoring: %v\n%s", err, out)
	}
	e.mustCheck(t)
	must(t, e.start(0))
	client, err := sdk.New(e.replica(0).URL, e.ownerKey)
	must(t, err)
	for i, target := range c.targets {
		value, err := e.deliver(t.Context(), client, target.workspace)
		seen := outcome{verdict: verdictOf(err), value: value}
		if seen.verdict == "" || seen.verdict == unknown {
			t.Fatalf("a restored installation answers: %v", err)
		}
		c.add(porcupine.Operation{ClientId: restorer, Input: act{target: i, call: deliverValue}, Output: seen, Call: began.Nanoseconds(), Return: taken.Nanoseconds()})
	}
	e.mustHaveEnded(t, client, before)
	e.killAll()
	e.mustSweep(t)
	e.mustHoldWhatLives(t)
}

// restorer is the client that looks at restored installations.
const restorer = 1000

// mustHaveEnded wants what had ended before a backup not to be in it.
func (h *house) mustHaveEnded(t *testing.T, owner *sdk.Client, before *ended) {
	t.Helper()
	for _, id := range before.configs {
		if _, err := owner.CredentialConfig(t.Context(), id); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("the config %s was deleted before the backup, and is in it: %v", id, err)
		}
	}
	for _, key := range before.keys {
		client, err := sdk.New(h.replica(0).URL, key.raw)
		must(t, err)
		if _, err := client.Whoami(context.Background()); !errors.Is(err, sdk.ErrUnauthenticated) {
			t.Errorf("a key was revoked before the backup, and opens what was restored: %v", err)
		}
	}
	if len(before.configs) == 0 || len(before.keys) == 0 {
		t.Error("nothing had ended before the backup")
	}
}

// clone is what has ended by now.
func (e *ended) clone() *ended {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &ended{configs: slices.Clone(e.configs), keys: slices.Clone(e.keys)}
}
