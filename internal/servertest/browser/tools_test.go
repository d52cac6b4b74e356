package browser_test

import (
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest/node"
)

// tools are the programs of this machine that the suite needs.
type tools struct {
	chromium, node string
	modules        string // the node_modules of testdata/package-lock.json
}

// mustFindTools finds the programs and installs the modules. Without a program the test is skipped, except in CI, where it fails.
func mustFindTools(t *testing.T) tools {
	t.Helper()
	return tools{
		chromium: node.MustFind(t, "chromium", "chromium-browser", "google-chrome"), node: node.MustFind(t, "node", "nodejs"),
		modules: node.MustInstall(t, "testdata"),
	}
}
