//go:build unix

// Package deploy_test holds the examples of this directory against the program: a setting that is named here exists, and the server runs as they say.
package deploy_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/server"
)

func TestSettingsExist(t *testing.T) {
	flags, variables := []string{"vault", "help"}, []string{}
	for _, s := range server.Settings() {
		flags, variables = append(flags, s.Flag), append(variables, s.Env)
	}
	variable := regexp.MustCompile(`\b(?:FORGECROFT|BAO)_[A-Z_]+\b`)
	flag := regexp.MustCompile(`(?m)^ExecStart=.*$`)
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range variable.FindAllString(string(text), -1) {
			if seen++; !slices.Contains(variables, name) {
				t.Errorf("%s: there is no setting %s", path, name)
			}
		}
		for _, word := range strings.Fields(flag.FindString(string(text))) {
			if name, found := strings.CutPrefix(word, "--"); found && !slices.Contains(flags, name) {
				t.Errorf("%s: there is no flag --%s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 15 {
		t.Errorf("got %d settings: the test does not see them any more", seen)
	}
}

// TestReadOnlyContainersHaveTmp checks that what makes the root file system read-only mounts a directory of temporary files, without which a
// server that keeps nothing itself takes no backups.
func TestReadOnlyContainersHaveTmp(t *testing.T) {
	for path, want := range map[string][]string{
		"kubernetes/forgecroft.yaml": {"readOnlyRootFilesystem: true", "{name: tmp, mountPath: /tmp}", "- name: tmp ", "emptyDir: {sizeLimit: "},
		"compose/compose.yaml":       {"read_only: true", `tmpfs: ["/tmp:mode=1777,`},
	} {
		text := read(t, path)
		for _, line := range want {
			if strings.Count(text, line) != 1 {
				t.Errorf("%s: want %q once", path, line)
			}
		}
	}
}

// TestKubernetesRole holds the role that docs/operations.md makes in OpenBao against the pods that log in for it, and the policy beside it.
func TestKubernetesRole(t *testing.T) {
	manifest, documentation := read(t, "kubernetes/forgecroft.yaml"), read(t, "../docs/operations.md")
	policy := between(t, documentation, "bao policy write ", " ")
	account, namespace := between(t, manifest, "serviceAccountName: ", "\n"), between(t, manifest, "namespace: ", "\n")
	role, rest, _ := strings.Cut(between(t, documentation, "bao write auth/kubernetes/role/", "\n"), " ")
	if want := between(t, manifest, "- name: FORGECROFT_VAULT_KUBERNETES_ROLE\n              value: ", "\n"); role != want {
		t.Errorf("the role is %s, but the pods log in for %s", role, want)
	}
	for name, want := range map[string]string{
		"bound_service_account_names": account, "bound_service_account_namespaces": namespace, "audience": between(t, manifest, "audience: ", "\n"), "token_policies": policy,
	} {
		if !slices.Contains(strings.Fields(rest), name+"="+want) {
			t.Errorf("the role is made by %q, want it to have %s=%s", rest, name, want)
		}
	}
}

// read is the text of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// between is what stands after the first occurrence of a text, as far as another.
func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	value, _, ends := strings.Cut(rest, after)
	if !found || !ends || value == "" {
		t.Fatalf("there is no %q followed by %q", before, after)
	}
	return value
}

func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not on this machine")
	}
	out, _ := exec.Command(analyze, "verify", "--man=no", "systemd/forgecroft.service").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "forgecroft.service") && !strings.Contains(line, "not executable") && !strings.Contains(line, "not found") {
			t.Error(line)
		}
	}
}
