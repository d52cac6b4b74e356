//go:build linux

package operator_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// mustMount mounts a small file system, which needs root.
func mustMount(t *testing.T, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("a small file system cannot be mounted here (are you root?): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill writes a file until the file system is full.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for chunk := make([]byte, 1<<10); err == nil; {
		_, err = file.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return ballast
}

// TestDiskFull fills the disk under a running server: writes are refused with a reason, nothing that was acknowledged is lost, and all goes on by
// itself once there is space (DUR-18).
func TestDiskFull(t *testing.T) {
	t.Parallel()
	p := place{mustMount(t, "12m")}
	s := p.mustStart(t, nil)
	n := s.mustFill(t)
	projects := s.count(t)
	for round := range 3 {
		ballast := fill(t, p.dir)
		var problem *sdk.Error
		for i := 0; problem == nil && i < 500; i++ { // The log's file may have room left for some.
			_, err := s.client.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprintf("p %d %d", round, i), Description: strings.Repeat("x", 2000)})
			if err == nil {
				projects++
			} else if !errors.As(err, &problem) {
				t.Fatalf("creating a project on a full disk: %v", err)
			}
		}
		if problem == nil || problem.Status != 507 && problem.Status != 503 || !strings.Contains(problem.Error(), "full") {
			t.Errorf("round %d: creating a project on a full disk: %v", round, problem)
		}
		if got := s.count(t); got != projects {
			t.Errorf("round %d: %d projects while the disk is full, want %d", round, got, projects)
		}
		mustRemove(t, ballast)
		if _, err := s.client.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprint("after ", round)}); err != nil {
			t.Errorf("round %d: there is space again: %v", round, err)
		}
		projects++
		s.mustDeliver(t, n, value)
	}
	s.Stop(syscall.SIGTERM)
	if out := p.mustRun(t, 0, append([]string{"server", "fsck"}, p.settings()...)...); !strings.Contains(out, "clean") {
		t.Error(out)
	}
}

// TestFailedSync lets a sync fail, after which nobody knows what is on the disk: the server stops with an error instead of trying again, and what it
// had acknowledged is there at the next start (DUR-17).
func TestFailedSync(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("FORGECROFT_CI") != "" {
			t.Fatal("strace is missing")
		}
		t.Skip("strace is not installed")
	}
	for _, nth := range []int{1, 2, 5} {
		t.Run(fmt.Sprint("sync ", nth), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.mustStart(t, nil).Stop(syscall.SIGTERM)
			s := p.mustStart(t, nil)
			tracer := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
				"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", nth), "-p", fmt.Sprint(s.Cmd.Process.Pid))
			if err := tracer.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tracer.Process.Kill(); _ = tracer.Wait() }()
			acknowledged := int64(0)
			for i := range 10_000 {
				if _, err = s.client.CreateProject(t.Context(), sdk.CreateProject{Name: fmt.Sprint("p ", i)}); err != nil {
					break
				}
				acknowledged++
			}
			if err == nil {
				t.Fatal("the server survived a failed sync")
			}
			if end := s.Wait(); end == nil {
				t.Errorf("the server ended as if nothing had happened:\n%s", &s.Log)
			}
			if !strings.Contains(s.Log.String(), "start it again") {
				t.Errorf("the reason is not in the log:\n%s", &s.Log)
			}
			if got := p.mustStart(t, nil).count(t); got < acknowledged || got > acknowledged+1 {
				t.Errorf("%d projects, %d were acknowledged", got, acknowledged)
			}
		})
	}
}
