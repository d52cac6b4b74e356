//go:build unix

package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// The environment variables that make the test binary a child to be killed.
const (
	childRole = "FORGECROFT_TEST_CHILD"
	childHome = "FORGECROFT_TEST_HOME"
)

func TestMain(m *testing.M) {
	h := home{os.Getenv(childHome)}
	switch os.Getenv(childRole) {
	case "":
		os.Exit(m.Run())
	case "worker":
		exit(work(h))
	case "broken disk":
		exit(breakDisk(h))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child makes the command that runs this binary in a role.
func child(t *testing.T, role string, h home) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childHome+"="+h.dir)
	return cmd
}

// work stores, destroys, rotates and moves for ever, and says what is done.
func work(h home) error {
	ctx := context.Background()
	v, err := embedded.Open(ctx, h.options())
	if err != nil {
		return err
	}
	go func() {
		for {
			ref := vaulttest.NewReference()
			if err := v.Put(ctx, ref, vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE "+string(ref))); err != nil {
				exit(err)
			}
			fmt.Println("stored", ref)
			if strings.HasPrefix(string(ref), "0") {
				if err := v.Destroy(ctx, ref); err != nil {
					exit(err)
				}
				fmt.Println("destroyed", ref)
			}
		}
	}()
	for {
		keys, err := v.Keys(ctx)
		if err != nil {
			return err
		}
		if _, err := v.Rotate(ctx); err != nil {
			return err
		}
		for left := int64(1); left > 0; {
			if left, err = v.Rewrap(ctx, 5); err != nil {
				return err
			}
		}
		for _, k := range keys {
			if err := v.RemoveKey(ctx, k.ID); err != nil {
				return err
			}
		}
		fmt.Println("rotated")
	}
}

// TestKilled kills a process in the middle of everything (KEY-5): what it said is so, and all of it opens.
func TestKilled(t *testing.T) {
	rounds := 10
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		rounds = 100
	}
	h := newHome(t)
	state := map[forgecroft.Reference]bool{} // reference → is there
	for round := range rounds {
		cmd := child(t, "worker", h)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		readUntilKilled(t, cmd, bufio.NewScanner(out), 5+round*7, state)
		_ = cmd.Wait() // It was killed.
		checkSurvivors(t, h, state)
	}
}

// readUntilKilled takes a number of lines of a child, kills it, and takes what it said until then.
func readUntilKilled(t *testing.T, cmd *exec.Cmd, lines *bufio.Scanner, kill int, state map[forgecroft.Reference]bool) {
	t.Helper()
	for n := 0; lines.Scan(); n++ {
		if n == kill {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		what, ref, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "stored":
			state[forgecroft.Reference(ref)] = true
		case "destroyed":
			state[forgecroft.Reference(ref)] = false
		case "failed:":
			t.Fatal(lines.Text())
		}
	}
}

// checkSurvivors opens what a killed process left.
func checkSurvivors(t *testing.T, h home, state map[forgecroft.Reference]bool) {
	t.Helper()
	v := mustOpen(t, h.options())
	defer mustClose(t, v)
	if err := v.Integrity(t.Context()); err != nil {
		t.Errorf("Integrity: %v", err)
	}
	refs, err := v.References(t.Context(), "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE "+string(ref))
		if there, said := state[ref]; said && !there {
			// A reference that begins with 0 may have been destroyed just after it was said to be stored, never the other way round.
			t.Errorf("%s was destroyed and is back", ref)
		}
	}
	for ref, there := range state {
		_, err := v.Get(t.Context(), ref, vaulttest.Binding())
		lost := errors.Is(err, forgecroft.KindNotFound) && there && !strings.HasPrefix(string(ref), "0")
		if lost || err != nil && !errors.Is(err, forgecroft.KindNotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// breakDisk makes every write beyond the present size of the files fail, as a broken disk does, and reports what the vault makes of it.
func breakDisk(h home) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	var told atomic.Int64
	o := h.options()
	o.OnFatal = func(error) { told.Add(1) }
	v, err := embedded.Open(ctx, o)
	if err != nil {
		return err
	}
	ref := vaulttest.NewReference()
	if err := v.Put(ctx, ref, vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE")); err != nil {
		return err
	}
	put := func() error {
		return v.Put(ctx, vaulttest.NewReference(), vaulttest.Binding(), forgecroft.NewSecret(strings.Repeat("EXAMPLE", 10_000)))
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 16, Max: was.Max}); err != nil {
		return err
	}
	first := put()
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	second, check := put(), v.Check(ctx)
	value, read := v.Get(ctx, ref, vaulttest.Binding())
	fmt.Println("first put unavailable:", errors.Is(first, forgecroft.KindUnavailable))
	fmt.Println("second put unavailable:", errors.Is(second, forgecroft.KindUnavailable))
	fmt.Println("check unavailable:", errors.Is(check, forgecroft.KindUnavailable))
	fmt.Println("read:", read == nil && value.Len() == len("EXAMPLE"))
	fmt.Println("told:", told.Load())
	return nil
}

// TestBrokenDisk is DUR-17: the first failed write is final, and reads go on.
func TestBrokenDisk(t *testing.T) {
	h := newHome(t)
	out, err := child(t, "broken disk", h).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"first put unavailable: true", "second put unavailable: true", "check unavailable: true", "read: true", "told: 1"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("got %s, want %q", out, want)
		}
	}
	v := mustOpen(t, h.options())
	refs, err := v.References(t.Context(), "", 10)
	if err != nil || len(refs) != 1 {
		t.Errorf("after the next start: %d references, %v, want 1", len(refs), err)
	}
}

// TestFullDisk is DUR-18: storing fails with a clear reason, everything else goes on, and storing too when there is space again.
func TestFullDisk(t *testing.T) {
	o := newHome(t).options()
	o.OnFatal = func(err error) { t.Errorf("a full disk was taken for a broken one: %v", err) }
	v := mustOpen(t, o)
	var refs []forgecroft.Reference
	for range 30 {
		refs = append(refs, vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE"))
	}
	for range 20 {
		if err := v.SetMaxPages(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		err := v.Put(t.Context(), vaulttest.NewReference(), vaulttest.Binding(), forgecroft.NewSecret(strings.Repeat("EXAMPLE", 10_000)))
		wantCode(t, err, forgecroft.KindStorageFull, "storage_full")
		vaulttest.WantValue(t, v, refs[1], vaulttest.Binding(), "EXAMPLE")
		if err := v.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		if err := v.Destroy(t.Context(), refs[0]); err != nil {
			t.Errorf("Destroy: %v", err)
		}
		refs = refs[1:]
		if err := v.SetMaxPages(t.Context(), 1<<30); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE"))
	}
	if err := v.Integrity(t.Context()); err != nil {
		t.Errorf("Integrity: %v", err)
	}
}

// TestFullDiskHitsOnlyTheLarge shares commits between changes that fit on the disk and changes that do not.
func TestFullDiskHitsOnlyTheLarge(t *testing.T) {
	v := mustOpen(t, newHome(t).options())
	var small []forgecroft.Reference
	for range 32 {
		small = append(small, vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE"))
	}
	if err := v.SetMaxPages(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for _, ref := range small {
		go func() { results <- v.Destroy(t.Context(), ref) }()
		go func() {
			err := v.Put(t.Context(), vaulttest.NewReference(), vaulttest.Binding(), forgecroft.NewSecret(strings.Repeat("EXAMPLE", 20_000)))
			if !errors.Is(err, forgecroft.KindStorageFull) {
				results <- fmt.Errorf("got %v, want that the disk is full", err)
				return
			}
			results <- nil
		}()
	}
	for range 2 * len(small) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// TestFileCutWhileOpen takes the file away from under an open vault.
func TestFileCutWhileOpen(t *testing.T) {
	h := newHome(t)
	v := mustOpen(t, h.options())
	var refs []forgecroft.Reference
	for range 200 {
		refs = append(refs, vaulttest.MustPut(t, v, vaulttest.Binding(), strings.Repeat("EXAMPLE", 1000)))
	}
	mustClose(t, v)
	var told atomic.Int64
	o := h.options()
	o.OnFatal = func(error) { told.Add(1) }
	v = mustOpen(t, o)
	if err := os.Truncate(h.vault(), 8192); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for _, ref := range refs {
		if _, err := v.Get(t.Context(), ref, vaulttest.Binding()); err != nil {
			failures++
			if !errors.Is(err, forgecroft.KindIntegrity) && !errors.Is(err, forgecroft.KindUnavailable) {
				t.Fatalf("got %v, want that the vault is damaged or unavailable", err)
			}
		}
	}
	if failures == 0 || told.Load() != 1 {
		t.Errorf("%d reads failed and the server was told %d times, want some and once", failures, told.Load())
	}
	err := v.Put(t.Context(), vaulttest.NewReference(), vaulttest.Binding(), forgecroft.NewSecret("EXAMPLE"))
	wantCode(t, err, forgecroft.KindUnavailable, "vault_failed")
}
