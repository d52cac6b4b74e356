//go:build unix

package operator_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/servertest/process"
	"github.com/forgecroft/forgecroft/sdk"
)

// filled is a stopped installation with secrets in it.
func filled(t *testing.T) (place, tenant) {
	t.Helper()
	p := newPlace(t)
	s := p.mustStart(t, nil)
	n := s.mustFill(t)
	for i := range 20 {
		s.mustConfig(t, fmt.Sprint("more ", i), "generic_env", map[string]any{"A": strings.Repeat("EXAMPLE", 20)})
	}
	s.Stop(syscall.SIGTERM)
	return p, n
}

func TestFsck(t *testing.T) {
	t.Parallel()
	p, n := filled(t)
	before := contents(t, p.data())
	if out := p.mustRun(t, 0, append([]string{"server", "fsck"}, p.settings()...)...); !strings.Contains(out, "clean") {
		t.Errorf("nothing says that all is well:\n%s", out)
	}
	for _, name := range []string{"metadata.db", "vault.db"} {
		if before[name] != contents(t, p.data())[name] {
			t.Errorf("fsck changed %s", name)
		}
	}
	p.mustStart(t, nil).mustDeliver(t, n, value)
}

// TestFsckFindsDamage puts yesterday's vault beside today's metadata.
func TestFsckFindsDamage(t *testing.T) {
	t.Parallel()
	p, n := filled(t)
	vault := filepath.Join(p.data(), "vault.db")
	yesterday := mustRead(t, vault)
	s := p.mustStart(t, nil)
	s.mustStore(t, n.config, "EXAMPLE-of-today")
	s.Stop(syscall.SIGTERM)
	replace(t, vault, yesterday)
	out := p.mustRun(t, 1, append([]string{"server", "fsck"}, p.settings()...)...)
	if !strings.Contains(out, n.config) {
		t.Errorf("the credential config whose secrets are gone is not named:\n%s", out)
	}
	again := p.mustStart(t, nil)
	_, err := again.client.Deliver(t.Context(), n.workspace, sdk.DeliverRequest{})
	var problem *sdk.Error
	if !errors.As(err, &problem) || problem.Code != "secret_unreadable" {
		t.Errorf("the delivery: %+v", problem.Problem)
	}
	again.mustStore(t, n.config, value)
	again.mustDeliver(t, n, value)
}

// TestCorruption flips bytes in the files of stopped servers, and cuts them off: the next start serves what is right or refuses (DUR-21). With
// FORGECROFT_CRASH=long it does so 1,000 times.
func TestCorruption(t *testing.T) {
	t.Parallel()
	p, n := filled(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rounds, refused, served := 40, 0, 0
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		rounds = 1000
	}
	for i := range rounds {
		name := []string{"metadata.db", "vault.db"}[i%2]
		path := filepath.Join(p.data(), name)
		whole := mustRead(t, path)
		broken := slices.Clone(whole)
		if i%8 < 2 {
			broken = broken[:random.IntN(len(broken))]
		} else {
			for range 1 + random.IntN(8) {
				broken[random.IntN(len(broken))] ^= byte(1 + random.IntN(255))
			}
		}
		replace(t, path, broken)
		if p.serves(t, n) {
			served++
		} else {
			refused++
		}
		for _, left := range mustReadDir(t, p.data()) { // logs of the broken run
			if strings.HasSuffix(left.Name(), "-wal") || strings.HasSuffix(left.Name(), "-shm") {
				mustRemove(t, filepath.Join(p.data(), left.Name()))
			}
		}
		replace(t, path, whole)
	}
	if refused == 0 || served == 0 {
		t.Errorf("%d refused, %d served: the damage was not of both kinds", refused, served)
	}
	p.mustStart(t, nil).mustDeliver(t, n, value)
}

// serves starts the server on damaged files. It must refuse with a reason, or deliver what was stored, or say that it cannot: never something
// else, and never fall over.
func (p place) serves(t *testing.T, n tenant) bool {
	t.Helper()
	cmd := p.command(nil, append([]string{"server", "--listen", "127.0.0.1:0"}, p.settings()...)...)
	s, err := process.Start(cmd)
	if started := err == nil; started {
		client := mustClient(t, s.URL, strings.TrimSpace(string(mustRead(t, p.ownerKey()))))
		env, err := client.Deliver(t.Context(), n.workspace, sdk.DeliverRequest{})
		if err == nil && env.Env[variable] != value {
			t.Errorf("another value was delivered: %d variables, %d files", len(env.Env), len(env.Files))
		}
		s.Stop(syscall.SIGTERM)
	} else if !strings.Contains(s.Log.String(), "forgecroft: ") {
		t.Errorf("it neither served nor said why: %v", err)
	}
	if log := s.Log.String(); strings.Contains(log, "goroutine ") || strings.Contains(log, "panic") {
		t.Errorf("it fell over:\n%s", log)
	}
	return err == nil
}

// TestRecoverOwner makes another owner key while the server is stopped.
func TestRecoverOwner(t *testing.T) {
	t.Parallel()
	p, n := filled(t)
	lost := strings.TrimSpace(string(mustRead(t, p.ownerKey())))
	mustRemove(t, p.ownerKey())
	out := p.mustRun(t, 0, append([]string{"server", "recover-owner", "--owner-key-file", p.ownerKey()}, p.settings()...)...)
	found := strings.TrimSpace(string(mustRead(t, p.ownerKey())))
	if found == lost || strings.Contains(out, found) {
		t.Errorf("the new key is the old one, or is shown beside its file:\n%s", out)
	}
	s := p.mustStart(t, nil)
	s.mustDeliver(t, n, value)
	events, err := s.client.AuditEvents(t.Context(), sdk.ListOptions{Limit: 50})
	must(t, events, err)
	if !slices.ContainsFunc(events.Items, func(e sdk.AuditEvent) bool { return strings.Contains(e.Action, "recover") }) {
		t.Error("the audit trail does not say that an owner key was made")
	}
}
