package browser_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tools are the programs of this machine that the suite needs.
type tools struct {
	chromium, node string
	modules        string // the node_modules of testdata/package-lock.json
}

// mustFindTools finds the programs and installs the modules. Without a program the test is skipped, except in CI, where it fails.
func mustFindTools(t *testing.T) tools {
	t.Helper()
	npm := mustFind(t, "npm")
	found := tools{chromium: mustFind(t, "chromium", "chromium-browser", "google-chrome"), node: mustFind(t, "node", "nodejs")}
	found.modules = mustInstall(t, npm)
	return found
}

// mustFind looks a program up by any of its names.
func mustFind(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("FORGECROFT_CI") != "" {
		t.Fatalf("%s is not installed", names[0])
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

// mustInstall puts the modules of the lock file into the user's cache, under the hash of that file, unless they are there. It appears there whole, under its
// name, or not at all: other tests may install it at the same time.
func mustInstall(t *testing.T, npm string) string {
	t.Helper()
	lock, err := os.ReadFile("testdata/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("looking for a cache directory: %v", err)
	}
	sum := sha256.Sum256(lock)
	parent := filepath.Join(cache, "forgecroft-test")
	dir := filepath.Join(parent, "npm-"+hex.EncodeToString(sum[:8]))
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(parent, "installing-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	for _, name := range []string{"package.json", "package-lock.json"} {
		mustCopy(t, filepath.Join("testdata", name), filepath.Join(fresh, name))
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return modules
}

// mustCopy copies a file.
func mustCopy(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
