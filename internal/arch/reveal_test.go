package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// revealers are the files that may take a secret out of its wrapper, with the reason.
var revealers = map[string]string{ // file → reason
	"internal/forgecroft/secret.go":         "the wrapper itself: length and packing",
	"internal/forgecroft/envname.go":        "a value is checked for a NUL byte",
	"internal/httpapi/apikey.go":            "a new API key is shown once",
	"internal/httpapi/environment.go":       "delivery: the one answer that holds values",
	"internal/console/keys.go":              "a new API key is shown once",
	"internal/console/session.go":           "the token of a new session goes into its cookie",
	"internal/console/signon.go":            "the token of a new session goes into its cookie",
	"internal/signon/signon.go":             "the client secret is sent to the identity provider",
	"internal/server/ownerkey.go":           "the first owner key is shown or written down",
	"internal/server/vault.go":              "the key ring of FORGECROFT_KEY is parsed",
	"internal/cli/server.go":                "the first owner key is saved as a login",
	"internal/forgecroft/credentialtype.go": "values of fields that are not secret are shown back",
	"internal/broker/keytext.go":            "the instance keys are turned from text to bytes",
	"internal/store/postgres.go":            "the address of the database holds its password",
	"internal/vault/embedded/vault.go":      "what is stored is sealed",
	"internal/vault/openbao/login.go":       "a token is sent to the vault",
	"internal/vault/openbao/vault.go":       "what is stored is sealed",
	"internal/vault/vaulttest/vaulttest.go": "the suite compares what comes back",
	"internal/broker/setup.go":              "the instance keys become a signer and a MAC key",
	"internal/credtype/aws.go":              "keys sign a call to STS",
	"internal/credtype/aws_static.go":       "the length of a new secret is looked at",
	"internal/credtype/fields.go":           "values go into calls of their provider",
}

// TestCallersOfReveal keeps the list of places where a secret leaves its wrapper short and known.
func TestCallersOfReveal(t *testing.T) {
	found := map[string]bool{} // file → calls Reveal
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if callsReveal(t, filepath.Join("../..", path)) {
			found[path] = true
			if revealers[path] == "" {
				t.Errorf("%s calls Secret.Reveal and has no reason in reveal_test.go", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range revealers {
		if !found[path] {
			t.Errorf("%s has a reason in reveal_test.go, but does not call Secret.Reveal", path)
		}
	}
}

// callsReveal reports whether a file selects anything called Reveal.
func callsReveal(t *testing.T, path string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	calls := false
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
			calls = true
		}
		return !calls
	})
	return calls
}
