//go:build unix

package replicas_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/forgecroft/forgecroft/internal/servertest/leak"
	"github.com/forgecroft/forgecroft/sdk"
)

// mustBeSound checks, after everything, the audit trail and both stores, and that no secret is anywhere but in deliveries.
func (h *house) mustBeSound(t *testing.T) {
	t.Helper()
	h.ledger.mustReconcile(t, append(h.tenants, h.owner)...)
	h.mustVerifyTrail(t)
	h.mustHideSecretsIn(t, h.answers(t))
	h.killAll()
	if pending := h.mustCheck(t); pending == 0 {
		t.Error("nothing waits for the sweeper: sweeping proves nothing")
	}
	h.mustSweep(t)
	if pending := h.mustCheck(t); pending != 0 {
		t.Errorf("after the sweep %d entries of the vault wait for it", pending)
	}
	h.mustHoldWhatLives(t)
	h.mustHideSecrets(t)
}

// keepCheckpoint keeps a signed checkpoint where no server can change it.
func (h *house) keepCheckpoint(t *testing.T) {
	t.Helper()
	c, err := h.owner.CreateAuditCheckpoint(t.Context())
	must(t, err)
	text, err := json.Marshal(c)
	must(t, err)
	must(t, os.WriteFile(h.path("checkpoint.json"), text, 0o600))
}

// mustVerifyTrail verifies hashes, links and signatures as an auditor would, with the checkpoint that was kept.
func (h *house) mustVerifyTrail(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binary, "audit", "verify", "--checkpoint", h.path("checkpoint.json"))
	cmd.Env = []string{"HOME=" + h.dir, "FORGECROFT_API_URL=" + h.proxy.URL, "FORGECROFT_API_KEY=" + h.ownerKey}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("verifying the audit trail: %v\n%s", err, out)
	}
}

// mustCheck has both stores compared and every trail verified, and returns how many entries of the vault wait for the sweeper.
func (h *house) mustCheck(t *testing.T) (pending int) {
	t.Helper()
	out, err := h.command("server", "fsck").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "clean") {
		t.Errorf("fsck: %v\n%s", err, out)
	}
	_, waiting, _ := strings.Cut(string(out), "(")
	if _, err := fmt.Sscan(waiting, &pending); err != nil {
		t.Errorf("fsck says %s", out)
	}
	return pending
}

// mustSweep lets so much time pass that all work that was begun is due, and one replica do it. No replica runs, so the rows are where time is.
func (h *house) mustSweep(t *testing.T) {
	t.Helper()
	h.mustQuery(t, "UPDATE intents SET not_before = 0")
	h.mustQuery(t, "UPDATE leases SET expires = 0")
	must(t, h.start(0))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); h.count(t, "intents") > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d intents are never finished", h.count(t, "intents"))
		}
	}
	h.killAll()
}

// mustHoldWhatLives wants the vault to hold the secret versions that rows point at, and nothing else.
func (h *house) mustHoldWhatLives(t *testing.T) {
	t.Helper()
	live, held := map[string]bool{}, map[string]bool{} // whose secret version, and which
	for _, row := range h.mustQuery(t, "SELECT id, secret_version FROM credential_configs WHERE reference IS NOT NULL UNION SELECT 'instance-keys', 1") {
		live[fmt.Sprint(row...)] = true
	}
	for _, text := range h.vault.Everything("", "secret") {
		if text == nil {
			continue // It was destroyed.
		}
		var document struct {
			Credential string
			Version    int64
		}
		must(t, json.Unmarshal(text, &document))
		if document.Credential != "" { // The vault has a document of its own.
			held[fmt.Sprint(document.Credential, document.Version)] = true
		}
	}
	if !maps.Equal(live, held) || len(live) < 2 {
		t.Errorf("the vault holds %d secret versions, %d are in use: %v and %v", len(held), len(live), held, live)
	}
}

// count counts rows.
func (h *house) count(t *testing.T, of string) (n int) {
	t.Helper()
	for _, row := range h.mustQuery(t, "SELECT count(*) FROM "+of) {
		n = int(row[0].(int64))
	}
	return n
}

// mustQuery asks the database behind the replicas' back, for all organizations.
func (h *house) mustQuery(t *testing.T, text string) [][]any {
	t.Helper()
	c, err := pgx.Connect(t.Context(), h.url)
	must(t, err)
	defer c.Close(context.Background())
	_, err = c.Exec(t.Context(), "SET forgecroft.organization_id = '*'")
	must(t, err)
	rows, err := c.Query(t.Context(), text)
	must(t, err)
	defer rows.Close()
	var all [][]any
	for rows.Next() {
		values, err := rows.Values()
		must(t, err)
		all = append(all, values)
	}
	must(t, rows.Err())
	return all
}

// answers are what replicas say of everything, but for deliveries: the whole audit trail, lists, and metrics.
func (h *house) answers(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	keep := func(name string, v any, err error) {
		t.Helper()
		must(t, err)
		text, err := json.Marshal(v)
		must(t, err)
		all[name] = append(all[name], text...)
	}
	for e, err := range sdk.All(t.Context(), sdk.ListOptions{Limit: 200}, h.owner.AuditEvents) {
		keep("the audit trail", e, err)
	}
	for c, err := range sdk.All(t.Context(), sdk.ListOptions{Limit: 200}, h.owner.CredentialConfigs) {
		keep("the credential configs", c, err)
	}
	for i := range h.replicas {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.replica(i).URL+"/metrics", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+h.ownerKey)
		reply, err := http.DefaultClient.Do(r)
		must(t, err)
		text, err := io.ReadAll(reply.Body)
		_ = reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			t.Errorf("the metrics: %s", reply.Status)
		}
		keep("the metrics", string(text), err)
	}
	return all
}

// mustHideSecretsIn scans answers, which have to be long enough that something could be in them.
func (h *house) mustHideSecretsIn(t *testing.T, answers map[string][]byte) {
	t.Helper()
	if len(answers) != 3 {
		t.Errorf("there are answers of %d kinds", len(answers))
	}
	for name, text := range answers {
		if len(text) < 1000 {
			t.Errorf("%s have only %d bytes", name, len(text))
		}
		h.scanner.Check(t, name, text)
	}
}

// mustHideSecrets looks for the canary in all that the replicas have left: logs and what the vault was sent were scanned on their way.
func (h *house) mustHideSecrets(t *testing.T) {
	t.Helper()
	for _, text := range h.vault.Everything("", "secret") {
		h.scanner.Check(t, "the vault", text)
	}
	h.database.Halt()
	kept := h.scanner.CheckTree(t, h.database.DataDir())
	for what, n := range map[string]int64{"the vault was sent": h.sent.Load(), "the replicas have logged": h.logged.Load(), "the database keeps": int64(kept)} {
		if n < 100<<10 {
			t.Errorf("%s only %d bytes", what, n)
		}
	}
	h.mustFindControl(t)
}

// mustFindControl looks in the database's files for a name that is no secret: the scan has to find that.
func (h *house) mustFindControl(t *testing.T) {
	t.Helper()
	var s leak.Scanner
	s.Add("the control", control)
	inner := &testing.T{}
	if s.CheckTree(inner, h.database.DataDir()); !inner.Failed() {
		t.Error("the scan does not find what is in the database")
	}
}
