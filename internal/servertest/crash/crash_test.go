//go:build unix

package crash_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// calls are the system calls at which the server is killed: each is a moment at which the disk, or the client, knows more than
// before. write covers answers, rename and link the key file, the others the databases.
var calls = []string{"fsync,fdatasync", "pwrite64", "write", "ftruncate,unlink,unlinkat,rename,renameat,renameat2"}

// TestCrash kills the server a few hundred times, or with FORGECROFT_CRASH=long some ten thousand times.
// FORGECROFT_CRASH_SEED repeats a run.
func TestCrash(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("FORGECROFT_CI") != "" {
			t.Fatal("strace is missing; .ci/run installs it")
		}
		t.Skip("strace is not on this machine (Debian: apt-get install strace)")
	}
	cycles := 240
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		cycles = 10_000
	} else if testing.Short() {
		cycles = 20
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FORGECROFT_CRASH_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("repeat this run with FORGECROFT_CRASH_SEED=%d", seed)
	h := &harness{binary: buildBinary(t), random: rand.New(rand.NewPCG(seed, 0)), reach: map[string]int{}}
	h.template = h.prepare(t)
	for i := range cycles {
		h.cycle(t, i)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d cycles: %d kills while starting, %d while working, %d runs that outlived their kill", cycles, h.early, h.killed, h.survived)
	if h.killed < cycles/4 {
		t.Errorf("only %d of %d runs were killed at work: the harness proves too little", h.killed, cycles)
	}
}

// harness makes cycle after cycle.
type harness struct {
	binary, template        string
	random                  *rand.Rand
	reach                   map[string]int // system call → up to which count killing makes sense
	early, killed, survived int
}

// prepare makes a data directory with something in it.
func (h *harness) prepare(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p, ready := start(t, h.binary, dir, nil)
	if !ready {
		t.Fatalf("the server does not start:\n%s", p.output.String())
	}
	p.stop(t)
	return dir
}

// cycle runs one server until it is killed, starts it again and compares.
func (h *harness) cycle(t *testing.T, i int) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "cycle")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	first := h.random.IntN(10) == 0 // Now and then the very first start is killed.
	if !first {
		copyTree(t, h.template, dir)
	}
	call := calls[i%len(calls)]
	if h.reach[call] == 0 {
		h.reach[call] = 60
	}
	kill := &inject{call, 1 + h.random.IntN(h.reach[call])}
	m := &model{random: rand.New(rand.NewPCG(h.random.Uint64(), uint64(i)))}
	h.work(t, dir, kill, m)

	p, ready := start(t, h.binary, dir, nil)
	if !ready {
		t.Fatalf("cycle %d, killed at %s #%d: the server does not start again:\n%s", i, kill.call, kill.nth, p.output.String())
	}
	m.check(t, p)
	for range 3 { // It goes on working.
		if m.project == "" {
			break
		}
		if err := m.act(t, p); err != nil {
			t.Fatalf("after the restart: %v\n%s", err, p.output.String())
		}
	}
	p.stop(t)
	h.fsck(t, dir, kill)
}

// work lets a server work until it is killed.
func (h *harness) work(t *testing.T, dir string, kill *inject, m *model) {
	t.Helper()
	p, ready := start(t, h.binary, dir, kill)
	defer p.kill()
	if !ready {
		h.early++
		return
	}
	var project struct{ ID string }
	died := p.call(t, 201, "POST", "/projects", "project", map[string]any{"name": "project"}, &project)
	m.project = project.ID
	for n := 0; n < 40 && died == nil; n++ {
		died = m.act(t, p)
	}
	if died == nil {
		h.survived++
		h.reach[kill.call] = max(10, kill.nth*3/4) // Aim lower: the calls are counted by thread.
		return
	}
	h.killed++
	h.reach[kill.call]++
}

// fsck runs the offline check, which wants a clean result.
func (h *harness) fsck(t *testing.T, dir string, kill *inject) {
	t.Helper()
	out, err := exec.Command(h.binary, "server", "fsck", "--data-dir", filepath.Join(dir, "data")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "clean") {
		t.Fatalf("killed at %s #%d: fsck: %v\n%s", kill.call, kill.nth, err, out)
	}
}

// status makes a request without a body and returns the status.
func (p *process) status(t *testing.T, key, method, path string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	reply, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, errDied
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, reply.Body); err != nil {
		return 0, errDied
	}
	return reply.StatusCode, nil
}

// copyTree copies a data directory, modes included.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("copying the template: %v", fmt.Errorf("%w: %s", err, out))
	}
}
