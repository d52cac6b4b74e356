package backup_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

func TestRoundTrip(t *testing.T) {
	from := furnished(t, 50)
	archive, err := backup.Open(from.mustBackUp(t))
	check(t, err)
	defer archive.Close()
	var steps []string
	checked, err := archive.Check(t.Context(), from.ring(t), false, func(what string, done, total int64) { steps = append(steps, what) })
	check(t, err)
	to := open(t, from.keys)
	check(t, checked.RestoreSecrets(t.Context(), to.vault, nil))
	check(t, checked.RestoreSecrets(t.Context(), to.vault, nil)) // As after a restore that was cut off.
	check(t, checked.RestoreTables(t.Context(), to.store, nil))
	if loaded, err := checked.Loaded(t.Context(), to.store); err != nil || !loaded {
		t.Errorf("what was restored is not found: %t, %v", loaded, err)
	}
	again, err := backup.Take(t.Context(), to.source())
	check(t, err)
	defer again.Close()
	for i, m := range again.Manifest.Members {
		if want := archive.Manifest.Members[i]; m.Rows != want.Rows || string(m.Digest) != string(want.Digest) {
			t.Errorf("%s differs after a restore", m.Name)
		}
	}
	check(t, to.vault.Destroy(t.Context(), first(t, to)))
	if err := backup.CompareSecrets(t.Context(), to.store, from.vault, to.vault, nil); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("comparing with a vault that lacks something: got %v", err)
	}
}

// first is a live reference.
func first(t *testing.T, w *world) forgecroft.Reference {
	t.Helper()
	live, err := w.store.SecretBindings(t.Context(), "", 1)
	check(t, err)
	return live[0].Reference
}

// TestLostBefore takes a backup of a system that has lost a secret: it says so, and restoring it is no surprise.
func TestLostBefore(t *testing.T) {
	w := furnished(t, 3)
	check(t, w.vault.Destroy(t.Context(), first(t, w)))
	archive, err := backup.Open(w.mustBackUp(t))
	check(t, err)
	defer archive.Close()
	if len(archive.Manifest.Missing) != 1 {
		t.Errorf("missing: %v", archive.Manifest.Missing)
	}
	checked, err := archive.Check(t.Context(), w.ring(t), false, nil)
	check(t, err)
	if len(checked.Lost) != 1 {
		t.Errorf("lost: %v", checked.Lost)
	}
}

// TestHold looks at the lease that keeps destructions away: one backup at a time, released at the end, and lost if it was not renewed in time.
func TestHold(t *testing.T) {
	w := furnished(t, 3)
	now := time.Now().UTC()
	w.update(t, func(ctx context.Context, tx forgecroft.Tx) error {
		_, err := tx.AcquireLease(ctx, forgecroft.LeaseBackup, "another", now, now.Add(time.Minute))
		return err
	})
	if _, err := backup.Take(t.Context(), w.source()); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("beside another backup: got %v", err)
	}
	late := w.source()
	late.Now = func() time.Time { return now.Add(2 * time.Minute) }
	taken, err := backup.Take(t.Context(), late)
	check(t, err)
	check(t, taken.Close())
	lease, err := w.store.Lease(t.Context(), forgecroft.LeaseBackup)
	check(t, err)
	if lease.Expires.After(late.Now()) {
		t.Errorf("after the backup the lease is held until %v", lease.Expires)
	}

	slow := w.source()
	elapsed := now.Add(time.Hour)
	slow.Now = func() time.Time { elapsed = elapsed.Add(3 * time.Minute); return elapsed }
	if _, err := backup.Take(t.Context(), slow); err == nil || !strings.Contains(err.Error(), "too slow") {
		t.Errorf("a backup that takes minutes for a row: got %v", err)
	}
	if left, err := os.ReadDir(w.dir); err != nil || strings.Contains(left[0].Name(), "backup") {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSpool looks at where a backup is collected: a private file that has no name any more, so that it goes with the process at the latest.
func TestSpool(t *testing.T) {
	w := furnished(t, 3)
	from := w.source()
	from.Dir = t.TempDir()
	taken, err := backup.Take(t.Context(), from)
	check(t, err)
	if left, err := os.ReadDir(from.Dir); err != nil || len(left) > 0 {
		t.Errorf("the directory holds %v, %v, want nothing", left, err)
	}
	path := unnamed(t, from.Dir)
	if path == "" {
		t.Fatal("no open file was made in the directory: this test looks at the wrong thing")
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v, want mode 0600", info.Mode(), err)
	}
	check(t, taken.Close())
	if path := unnamed(t, from.Dir); path != "" {
		t.Error("the file is open after the end")
	}
}

// unnamed is the path, through /proc, of an open file that was removed from a directory; empty: there is none.
func unnamed(t *testing.T, dir string) string {
	t.Helper()
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	check(t, err)
	for _, path := range descriptors {
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, dir+"/") && strings.HasSuffix(target, " (deleted)") {
			return path
		}
	}
	return ""
}

// TestNowhereToCollect says what an operator has to do, in words that are shown to the client.
func TestNowhereToCollect(t *testing.T) {
	w := furnished(t, 1)
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("TMPDIR", missing)
	for name, test := range map[string]struct {
		dir  string
		want []string
	}{
		"no directory of temporary files": {"", []string{missing, "TMPDIR"}},
		"no data directory":               {missing + "/data", []string{missing + "/data"}},
		"a file":                          {file, []string{file}},
	} {
		from := w.source()
		from.Dir = test.dir
		_, err := backup.Take(t.Context(), from)
		var problem *forgecroft.Error
		if !errors.As(err, &problem) || problem.Kind != forgecroft.KindUnavailable || problem.Code != "backup_space" {
			t.Errorf("%s: got %v, want backup_space", name, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(problem.Message, want) {
				t.Errorf("%s: got %q, want it to say %s", name, problem.Message, want)
			}
		}
	}
	taken, err := backup.Take(t.Context(), w.source())
	check(t, err) // What failed has let go.
	check(t, taken.Close())
}

// TestEmptyInstallation has nothing to back up.
func TestEmptyInstallation(t *testing.T) {
	w := open(t, t.TempDir()+"/vault.key")
	if _, err := backup.Take(t.Context(), w.source()); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestOtherVault refuses to mix the records of an archive with others.
func TestOtherVault(t *testing.T) {
	from, to := furnished(t, 2), furnished(t, 2)
	archive, err := backup.Open(from.mustBackUp(t))
	check(t, err)
	defer archive.Close()
	checked, err := archive.Check(t.Context(), from.ring(t), false, nil)
	check(t, err)
	if err := checked.RestoreSecrets(t.Context(), to.vault, nil); err == nil {
		t.Error("records of two installations in one vault")
	}
	if _, err := checked.Loaded(t.Context(), to.store); !errors.Is(err, forgecroft.KindConflict) {
		t.Errorf("a database that holds another installation: got %v", err)
	}
}

// BenchmarkRecovery measures what a restore of 10 000 credentials takes (BAK-10: at most 60 seconds).
func BenchmarkRecovery(b *testing.B) {
	from := furnished(b, 10_000)
	path := from.mustBackUp(b)
	for b.Loop() {
		archive, err := backup.Open(path)
		check(b, err)
		checked, err := archive.Check(b.Context(), from.ring(b), false, nil)
		check(b, err)
		to := open(b, from.keys)
		check(b, checked.RestoreSecrets(b.Context(), to.vault, nil))
		check(b, checked.RestoreTables(b.Context(), to.store, nil))
		check(b, archive.Close())
	}
}

// TestWriteFile names a file only when it is a backup, and replaces nothing.
func TestWriteFile(t *testing.T) {
	w := furnished(t, 1)
	good, err := os.ReadFile(w.mustBackUp(t))
	check(t, err)
	dir := t.TempDir()
	for name, write := range map[string]func(io.Writer) error{
		"cut off": func(w io.Writer) error { _, err := w.Write(good[:len(good)/2]); return err },
		"failed":  func(io.Writer) error { return errors.New("no more") },
	} {
		if _, err := backup.WriteFile(dir+"/a.tar", write); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	whole := func(w io.Writer) error { _, err := w.Write(good); return err }
	if m, err := backup.WriteFile(dir+"/a.tar", whole); err != nil || m.Secrets != backup.SecretsSealed {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := backup.WriteFile(dir+"/a.tar", whole); err == nil {
		t.Error("a file was replaced")
	}
	left, err := os.ReadDir(dir)
	check(t, err)
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
