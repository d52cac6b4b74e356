package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/forgecroft/forgecroft/"

// allowed is the import table: what a package may import of this module. A key ending in /... stands for all packages below it. What is
// missing here may import nothing of the module.
var allowed = map[string][]string{ // package → packages it may import
	"cmd/forgecroft":              {"internal/cli"},
	"sdk":                         {},
	"internal/envname":            {},
	"internal/host":               {},
	"internal/forgecroft":         {"internal/envname"},
	"internal/apikey":             {},
	"internal/audit":              {"internal/forgecroft"},
	"internal/provider":           {},
	"internal/provider/...":       {"internal/provider"},
	"internal/credtype":           {"internal/forgecroft", "internal/provider", "internal/provider/..."},
	"internal/vault/envelope":     {},
	"internal/vault/cache":        {"internal/forgecroft"},
	"internal/vault/embedded":     {"internal/host", "internal/forgecroft", "internal/vault/cache", "internal/vault/envelope"},
	"internal/vault/moving":       {"internal/forgecroft"},
	"internal/vault/openbao":      {"internal/forgecroft", "internal/vault/cache", "internal/vault/envelope"},
	"internal/vault/vaulttest":    {"internal/forgecroft"},
	"internal/store":              {"internal/host", "internal/forgecroft"},
	"internal/store/storetest":    {"internal/forgecroft"},
	"internal/backup":             {"internal/host", "internal/audit", "internal/forgecroft", "internal/store", "internal/vault/envelope"},
	"internal/broker":             {"internal/apikey", "internal/audit", "internal/forgecroft"},
	"internal/httpapi":            {"internal/broker", "internal/forgecroft", "sdk"},
	"internal/console":            {"internal/broker", "internal/forgecroft", "internal/paste"},
	"internal/paste":              {},
	"internal/signon":             {"internal/forgecroft"},
	"internal/runner":             {"internal/host", "internal/envname", "sdk"},
	"internal/server":             {"internal/host", "internal/backup", "internal/broker", "internal/console", "internal/credtype", "internal/forgecroft", "internal/httpapi", "internal/provider", "internal/provider/...", "internal/signon", "internal/store", "internal/vault/..."},
	"internal/cli":                {"internal/host", "internal/audit", "internal/backup", "internal/forgecroft", "internal/runner", "internal/server", "internal/envname", "internal/paste", "sdk"},
	"internal/pgserver":           {},
	"internal/pgtest":             {"internal/pgserver"},
	"internal/fake/...":           {"internal/fake/fault"},
	"internal/servertest/process": {},
	"internal/servertest/node":    {},
	"internal/servertest/sso":     {"internal/servertest/node"},
	"internal/servertest/leak":    {},
	"internal/servertest":         {"internal/pgtest", "internal/server", "internal/fake/...", "internal/forgecroft", "sdk"},
	"bench":                       {"sdk", "internal/fake/...", "internal/pgserver"},
	"demo":                        {"sdk", "internal/fake/..."},
}

// testOnly are packages that nothing but tests (and the demo and the load driver, which are not part of the binary) may import.
var testOnly = []string{"internal/fake/", "internal/servertest", "internal/store/storetest", "internal/pgserver", "internal/pgtest", "internal/vault/vaulttest", "internal/arch"}

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	Standard     bool
	GoFiles      []string
	Dir          string
	Doc          string
}

// list runs go list.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImportTable(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, path := range p.Imports {
			imported, ours := strings.CutPrefix(path, module)
			if ours && !permits(name, imported) {
				t.Errorf("%s imports %s: the table in imports_test.go does not allow it", name, imported)
			}
		}
	}
}

// permits looks an import up in the table; an exact entry goes before one with /....
func permits(name, imported string) bool {
	table, exact := allowed[name]
	if !exact {
		for key, value := range allowed {
			if prefix, tree := strings.CutSuffix(key, "..."); tree && strings.HasPrefix(name, prefix) {
				table = value
			}
		}
	}
	return slices.ContainsFunc(table, func(entry string) bool {
		prefix, tree := strings.CutSuffix(entry, "...")
		return entry == imported || (tree && strings.HasPrefix(imported, prefix))
	})
}

// TestVocabularyIsPure holds sdk, runner and the vocabulary to the standard library.
func TestVocabularyIsPure(t *testing.T) {
	extra := map[string][]string{"internal/runner": {"golang.org/x/sys/unix"}} // package → what else it may import
	for _, name := range []string{"sdk", "internal/forgecroft", "internal/envname", "internal/apikey", "internal/vault/envelope", "internal/runner", "internal/audit"} {
		for _, p := range list(t, "./"+name) {
			for _, path := range p.Imports {
				foreign := strings.Contains(strings.Split(path, "/")[0], ".")
				if foreign && !strings.HasPrefix(path, module) && !slices.Contains(extra[name], path) {
					t.Errorf("%s imports %s: it is to use the standard library alone", name, path)
				}
			}
		}
	}
}

// TestBinaryHoldsNoTestCode checks that fakes, suites and the testing package stay out of the binary.
func TestBinaryHoldsNoTestCode(t *testing.T) {
	binary := list(t, "./cmd/forgecroft")
	if len(binary) != 1 || len(binary[0].Deps) < 100 {
		t.Fatalf("go list found no binary with dependencies")
	}
	for _, path := range binary[0].Deps {
		name := strings.TrimPrefix(path, module)
		if path == "testing" || slices.ContainsFunc(testOnly, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			t.Errorf("the binary depends on %s", path)
		}
	}
}

// TestEveryPackageSaysWhy demands a package comment of every package.
func TestEveryPackageSaysWhy(t *testing.T) {
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
