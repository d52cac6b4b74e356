//go:build unix

package backups_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/internal/servertest/process"
)

// moveFrom are the variables of a server that moves its secrets while it works.
var moveFrom = []string{"FORGECROFT_VAULT_MOVE_FROM", "embedded"}

// movedAway reports whether the vault of a data directory was let go.
func movedAway(t *testing.T, dir string) bool {
	t.Helper()
	return slices.Contains(entries(t, dir), "vault.db.moved")
}

// TestOnlineMove moves secrets to OpenBao under a server that works: everything is delivered all the time, what is stored meanwhile as well.
func TestOnlineMove(t *testing.T) {
	h := newStopped(t, 30)
	for _, envelope := range []string{"on", "off"} {
		t.Run("envelope "+envelope, func(t *testing.T) {
			dir := h.copyData(t)
			own := append(newBao(t), "FORGECROFT_VAULT_ENVELOPE", envelope)
			keyFile, more := h.keyFile, slices.Concat(own, moveFrom)
			if envelope == "off" {
				keyFile, more = "", append(more, "FORGECROFT_VAULT_MOVE_FROM_KEY_FILE", h.keyFile)
			}
			t.Run("moving", func(t *testing.T) {
				client := h.mustServeAs(t, settings(t, dir, keyFile, more...))
				for deadline := time.Now().Add(time.Minute); !movedAway(t, dir); {
					if time.Now().After(deadline) {
						t.Fatalf("the move does not end: %v", entries(t, dir))
					}
					for i := range h.configs {
						if got := h.deliver(t, client)[fmt.Sprint("SECRET_", i)]; got != secret(i, 1) {
							t.Fatalf("config %d: got %q", i, got)
						}
					}
				}
				h.deliver(t, client)
			})
			c := settings(t, dir, keyFile, own...)
			check(t, server.Fsck(t.Context(), c, false, io.Discard, io.Discard))
			t.Run("without the setting", func(t *testing.T) { h.wantAll(t, c) })
			t.Run("the setting forgotten there", func(t *testing.T) { h.wantAll(t, settings(t, dir, keyFile, more...)) })
		})
	}
}

// TestOnlineMoveIsRefused checks the settings, and that two installations never share a place.
func TestOnlineMoveIsRefused(t *testing.T) {
	h := newStopped(t, 1)
	variables := slices.Concat(newBao(t), moveFrom)
	h.wantAll(t, settings(t, h.copyData(t), h.keyFile, append(variables, "FORGECROFT_VAULT_ENVELOPE", "on")...))
	tests := map[string]struct {
		c    server.Config
		want string
	}{
		"another installation is there": {settings(t, newStopped(t, 1).copyData(t), h.keyFile, variables...), "vault"},
		"nothing to move":               {settings(t, filepath.Join(t.TempDir(), "new"), h.keyFile, variables...), "nothing to move"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := server.Run(stopped(), test.c, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// trap is a fake of OpenBao that springs at its n-th request: before it is served, or after.
type trap struct {
	http.Handler
	left   atomic.Int64
	before bool
	spring func()
}

func (b *trap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := b.left.Add(-1)
	if n == 0 && b.before {
		b.spring()
	}
	b.Handler.ServeHTTP(w, r)
	if n == 0 && !b.before {
		b.spring()
	}
}

// TestKilledOnlineMove kills the server at one request to OpenBao after the other, before and after each, until the move comes to its end (UPG-10).
func TestKilledOnlineMove(t *testing.T) {
	h := newStopped(t, 4)
	for n, ended := int64(1), false; !ended; n++ {
		if n > 200 {
			t.Fatal("the move never comes to its end")
		}
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("request %d, before it %v", n, before), func(t *testing.T) {
				ended = h.killMove(t, n, before)
			})
		}
		if t.Failed() {
			return
		}
	}
}

// killMove kills a move at a request, and then lets it go on. It reports whether the move was over before.
func (h *house) killMove(t *testing.T, n int64, before bool) (over bool) {
	t.Helper()
	b := &trap{Handler: bao.New(nil, baoToken), before: before}
	listener := httptest.NewServer(b)
	t.Cleanup(listener.Close)
	token := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(token, []byte(baoToken), 0o600))
	variables := slices.Concat([]string{"FORGECROFT_VAULT", "openbao", "BAO_ADDR", listener.URL, "FORGECROFT_VAULT_TOKEN_FILE", token}, moveFrom)
	c := settings(t, h.copyData(t), h.keyFile, variables...)

	cmd := exec.Command(os.Args[0], "server", "--data-dir", c.DataDir, "--key-file", h.keyFile, "--listen", "127.0.0.1:0", "--log-level", "error")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	for i := 0; i < len(variables); i += 2 {
		cmd.Env = append(cmd.Env, variables[i]+"="+variables[i+1])
	}
	sprung := make(chan struct{})
	b.spring = func() { _ = cmd.Process.Kill(); close(sprung) }
	b.left.Store(n)
	s, err := process.Start(cmd)
	if err == nil {
		over = waitFor(t, sprung, func() bool { return movedAway(t, c.DataDir) })
		s.Stop(syscall.SIGKILL)
	}
	b.left.Store(0)
	client := h.mustServeAs(t, c)
	waitFor(t, nil, func() bool { return movedAway(t, c.DataDir) })
	for i := range h.configs {
		if got := h.deliver(t, client)[fmt.Sprint("SECRET_", i)]; got != secret(i, 1) {
			t.Errorf("config %d: got %q", i, got)
		}
	}
	return over
}

// waitFor waits until something holds, or returns false when another thing has happened first.
func waitFor(t *testing.T, first <-chan struct{}, holds func() bool) bool {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-first:
			return false
		case <-deadline.C:
			t.Fatal("the move does not end")
		case <-tick.C:
		}
	}
	return true
}
