//go:build unix

package deploy_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/forgecroft/forgecroft/internal/apikey"
	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/servertest/process"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Runner{M: m}.Run()) }

// TestComposeRuns starts the server with the environment of the Compose file, in which only the places of this machine stand for those of the containers, and
// takes a backup of it.
func TestComposeRuns(t *testing.T) {
	environment := composeEnvironment(t)
	database := pgtest.New(t)
	vault := httptest.NewTLSServer(bao.New(nil, environment["BAO_TOKEN"]))
	t.Cleanup(vault.Close)
	dir := t.TempDir()
	binary, err := process.Build(dir)
	must(t, err)
	authority := filepath.Join(dir, "vault-ca.pem")
	must(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vault.Certificate().Raw}), 0o600))

	for name, place := range map[string]string{
		"FORGECROFT_LISTEN": "127.0.0.1:0", "FORGECROFT_DATABASE_URL": database, "FORGECROFT_KEY": mustKey(t, binary, dir), "BAO_ADDR": vault.URL, "BAO_CACERT": authority,
	} {
		if environment[name] == "" {
			t.Fatalf("the file sets no %s", name)
		}
		environment[name] = place
	}
	cmd := exec.Command(binary, "server")
	cmd.Env = []string{"TMPDIR=" + t.TempDir()}
	for name, value := range environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	s, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	_, rest, found := strings.Cut(s.Said(), apikey.Prefix)
	if !found {
		t.Fatalf("the first start shows no owner key:\n%s", s.Said())
	}
	key := apikey.Prefix + strings.Fields(rest)[0]
	mustStore(t, mustClient(t, s.URL, key))
	backup := exec.Command(binary, "backup", filepath.Join(dir, "backup.tar"))
	backup.Env = []string{"HOME=" + dir, "FORGECROFT_API_URL=" + s.URL, "FORGECROFT_API_KEY=" + key}
	if out, err := backup.CombinedOutput(); err != nil {
		t.Errorf("forgecroft backup: %v\n%s", err, out)
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("the server ended with %d:\n%s", code, &s.Log)
	}
}

// composeEnvironment reads what the Compose file puts into the environment of the server: name → value.
func composeEnvironment(t *testing.T) map[string]string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^      ((?:FORGECROFT|BAO)_[A-Z_]+): (\S+)`)
	environment := map[string]string{}
	for _, match := range line.FindAllStringSubmatch(read(t, "compose/compose.yaml"), -1) {
		environment[match[1]] = strings.Trim(match[2], `"`)
	}
	return environment
}

// mustKey makes a key, as the head of the file says.
func mustKey(t *testing.T, binary, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "vault.key")
	if out, err := exec.Command(binary, "vault", "new-key", path).CombinedOutput(); err != nil {
		t.Fatalf("forgecroft vault new-key: %v\n%s", err, out)
	}
	var ring []string
	for text := range strings.Lines(read(t, path)) {
		if !strings.HasPrefix(text, "#") {
			ring = append(ring, text)
		}
	}
	return strings.TrimSpace(strings.Join(ring, ""))
}
