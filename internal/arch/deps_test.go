package arch_test

import (
	"os/exec"
	"strings"
	"testing"
)

// reasons lists every direct dependency with why it is here. A new one needs a line; a line without its dependency goes.
var reasons = map[string]string{ // module → reason
	"github.com/adrg/xdg":                      "where a user's configuration and data belong, on each system",
	"github.com/aws/aws-sdk-go-v2":             "AWS's own request signing and partitions",
	"github.com/aws/aws-sdk-go-v2/credentials": "tests: credentials for AWS's own client",
	"github.com/aws/aws-sdk-go-v2/service/sts": "tests: the fake STS is held against AWS's own client",
	"github.com/anishathalye/porcupine":        "tests: whether what clients of many replicas saw could be one server",
	"github.com/creack/pty":                    "tests: prompts need a terminal",
	"github.com/danielgtaylor/huma/v2":         "HTTP operations, validation and the OpenAPI 3.1 document from one declaration",
	"github.com/go-json-experiment/json":       "strict JSON: encoding/json accepts repeated members, invalid UTF-8 and trailing data",
	"github.com/google/go-cmp":                 "tests: differences a person can read",
	"github.com/google/uuid":                   "UUID version 7",
	"github.com/jackc/pgx/v5":                  "PostgreSQL: its protocol, notices and error codes",
	"github.com/pressly/goose/v3":              "migrations for both databases, with locking",
	"github.com/prometheus/client_golang":      "metrics in the format that operators scrape",
	"github.com/rogpeppe/go-internal":          "tests: the CLI as scripts",
	"github.com/spf13/cobra":                   "the CLI: help, completion, what people of this field know",
	"github.com/spf13/pflag":                   "the flags beneath cobra: which were given, and empty",
	"go.uber.org/goleak":                       "tests: no goroutine is left behind",
	"github.com/coreos/go-oidc/v3":             "ID tokens of single sign-on: discovery, keys and their rotation, verification",
	"golang.org/x/net":                         "tests: the HTML of the console's pages, parsed",
	"golang.org/x/oauth2":                      "the signed-JWT token exchange with Google, and the code exchange of single sign-on",
	"golang.org/x/sys":                         "file locks, statfs, prctl, signals",
	"golang.org/x/term":                        "prompts that do not echo",
	"golang.org/x/text":                        "Unicode normalization of names",
	"modernc.org/sqlite":                       "SQLite without cgo",
	"pgregory.net/rapid":                       "tests: properties",
}

func TestEveryDependencyHasAReason(t *testing.T) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	direct := map[string]bool{} // module → is required directly
	for _, path := range strings.Fields(string(out)) {
		direct[path] = true
		if reasons[path] == "" {
			t.Errorf("%s is a direct dependency without a reason in deps_test.go", path)
		}
	}
	for path := range reasons {
		if !direct[path] {
			t.Errorf("%s has a reason in deps_test.go, but is no direct dependency", path)
		}
	}
}
