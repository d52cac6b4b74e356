// Package sso starts a real OpenID provider, which is a program for Node, for tests that sign people on to the console. Only tests import it.
package sso

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest/node"
)

// What the provider knows of the server.
const (
	clientID     = "forgecroft"
	ClientSecret = "EXAMPLE-client-secret-of-some-length"
)

// MustProvide starts the provider for a server that browsers reach at publicURL, and returns the server's settings: whoever is in the group ops is an owner. from is where
// the testdata of this package lie, seen from the test.
func MustProvide(t *testing.T, from, publicURL string) map[string]string {
	t.Helper()
	secretFile := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(secretFile, []byte(ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"public-url": publicURL, "oidc-issuer": mustStart(t, from, publicURL+"/console/sign-on/callback"), "oidc-client-id": clientID, "oidc-client-secret-file": secretFile,
		"oidc-scopes": "profile email groups", "oidc-roles": "ops=owner",
	}
}

// mustStart starts the program and returns its issuer.
func mustStart(t *testing.T, from, redirectURI string) string {
	t.Helper()
	program, modules := node.MustFind(t, "node", "nodejs"), node.MustInstall(t, from)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	client, err := json.Marshal(map[string]string{"client_id": clientID, "client_secret": ClientSecret, "redirect_uri": redirectURI})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "provider.mjs")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PROVIDER_CLIENT="+string(client))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://") {
			issuer := lines.Text()
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return issuer
		}
	}
	t.Fatal("the provider did not start")
	return ""
}
