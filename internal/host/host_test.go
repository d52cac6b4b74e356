package host_test

import (
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/host"
)

func TestPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // One that is there stays.
		if err := host.MakePrivateDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	f, err := host.CreatePrivate(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(host.CheckPrivatePath(dir, host.PrivateDir), host.CheckPrivatePath(f.Name(), host.PrivateFile)); err != nil {
		t.Error(err)
	}
	info, err := f.Stat()
	if err != nil || host.CheckUnread(f.Name(), info) != nil {
		t.Errorf("others may read a private file: %v, %v", err, host.CheckUnread(f.Name(), info))
	}
	if _, err := host.CreatePrivate(f.Name()); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if err := host.MkdirPrivate(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a directory that is there: %v", err)
	}
	if err := host.MakePrivateDir(filepath.Join(f.Name(), "below")); err == nil {
		t.Error("a directory below a file was made")
	}
}

func TestTemporary(t *testing.T) {
	base := t.TempDir()
	dir, err := host.MkdirTempPrivate(base, "d-*-x")
	if err != nil || !strings.HasPrefix(filepath.Base(dir), "d-") || !strings.HasSuffix(dir, "-x") || filepath.Dir(dir) != base {
		t.Fatalf("directory %q, %v", dir, err)
	}
	again, err := host.MkdirTempPrivate(base, "d-*-x")
	if err != nil || again == dir {
		t.Errorf("directory %q, %v; want another name than %q", again, err, dir)
	}
	f, err := host.CreateTempPrivate(dir, "f-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(host.CheckPrivatePath(dir, host.PrivateDir), host.CheckPrivatePath(f.Name(), host.PrivateFile)); err != nil {
		t.Error(err)
	}
	if _, err := host.CreateTempPrivate(filepath.Join(base, "none"), "f"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is missing: %v", err)
	}
}

func TestTemporaryWithoutBase(t *testing.T) {
	dir, err := host.MkdirTempPrivate("", "forgecroft-host-test-")
	if err != nil || filepath.Dir(dir) != filepath.Clean(os.TempDir()) {
		t.Errorf("directory %q, %v; want one in %s", dir, err, os.TempDir())
	}
	_ = os.Remove(dir)
}

func TestNameless(t *testing.T) {
	dir := t.TempDir()
	f, err := host.CreateNameless(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("text"), 0); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); err != nil || string(text) != "text" {
		t.Errorf("read back %q, %v", text, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second, third := open(), open(), open()
	if err := host.TryLock(first); err != nil {
		t.Fatal(err)
	}
	if err := host.TryLock(second); !errors.Is(err, host.ErrLocked) {
		t.Errorf("the second lock: %v", err)
	}
	got := make(chan error)
	go func() { got <- host.Lock(third) }()
	first.Close()
	if err := <-got; err != nil {
		t.Errorf("the lock after the first one ended: %v", err)
	}
}

func TestFileSystem(t *testing.T) {
	dir := t.TempDir()
	if free, err := host.FreeSpace(dir); err != nil || free <= 0 {
		t.Errorf("free space: %d, %v", free, err)
	}
	if name, err := host.NetworkFileSystem(dir); err != nil || name != "" {
		t.Errorf("network file system %q, %v", name, err)
	}
	if err := host.SyncDirectory(dir); err != nil {
		t.Error(err)
	}
	if err := host.SyncDirectory(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is missing: %v", err)
	}
	if _, err := host.FreeSpace(filepath.Join(dir, "none")); err == nil {
		t.Error("free space of a directory that is missing")
	}
}

func TestFileURL(t *testing.T) {
	got, err := host.FileURL(filepath.Join(t.TempDir(), "a b?#"), url.Values{"mode": {"ro"}})
	if err != nil || !strings.HasPrefix(got, "file:///") || !strings.HasSuffix(got, "/a%20b%3F%23?mode=ro") {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := host.FileURL("relative", nil); err != nil || !strings.HasPrefix(got, "file:///") {
		t.Errorf("%s, %v", got, err)
	}
	for path, want := range map[string]string{"/var/lib": "/var/lib", "C:/Users/a": "/C:/Users/a"} {
		if got := host.URLPath(path); got != want {
			t.Errorf("path %s in a URL: %s, want %s", path, got, want)
		}
	}
}

func TestOpenToOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := host.CheckPrivatePath(path, host.PrivateFile); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
			t.Errorf("mode %o: %v", mode, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := host.CheckUnread(path, info); (err != nil) != (mode&0o077 != 0) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := host.CheckPrivatePath(os.DevNull, host.PrivateFile); err == nil {
		t.Error("a device is a private file")
	}
}
