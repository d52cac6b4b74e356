package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/store"
)

// tenantTables hold rows that belong to an organization.
var tenantTables = []string{
	"projects", "workspaces", "credential_configs", "attachments", "secret_versions", "api_keys", "audit_events", "audit_checkpoints",
	"intents", "idempotency_records",
}

// excused are the functions that may read or write rows whatever their organization, each with the reason.
var excused = map[string]string{
	"Authenticate":           "the key that is presented says which organization it belongs to",
	"compareChecksums":       "fsck reads every row, and gives away only which one is damaged",
	"SecretBindings":         "the vault is one for all: fsck compares it with every organization's references",
	"ReferenceLive":          "the sweeper asks before it destroys; references are unguessable and never a client's",
	"Intents":                "the sweeper works for all organizations",
	"OldestIntent":           "the age of what waits is a metric of the whole installation, and gives away nothing else",
	"Intent":                 "found by its reference, which is unguessable and never a client's",
	"DropIntent":             "found by its reference, which is unguessable and never a client's",
	"DropIdempotencyRecords": "forgetting what is too old is the same for all organizations",
	"Rows":                   "a backup is one of the whole installation",
	"checkEmpty":             "loading a backup looks for whatever is there already",
}

// TestTenancy reads every SQL text of the package: each part of a statement that names a tenant's table must compare organization_id with
// $1 or with a table that does (TEN-1). An INSERT must name the column.
func TestTenancy(t *testing.T) {
	bound := regexp.MustCompile(`organization_id = (\$1|[a-z]\.organization_id)|INSERT INTO \w+ \([^)]*\borganization_id\b`)
	seen, met := 0, map[string]bool{} // function → it was excused
	eachStatement(t, func(function, text string) {
		if strings.HasPrefix(text, store.AcrossTenants) {
			if met[function] = true; excused[function] == "" {
				t.Errorf("%s is for all organizations without an excuse: %s", function, strings.Join(strings.Fields(text), " "))
			}
		}
		for _, part := range regexp.MustCompile(`\bUNION( ALL)?\b|\bSELECT\b`).Split(text, -1) {
			if !namesTenantTable(part) {
				continue
			}
			seen++
			if excused[function] != "" {
				met[function] = true
				continue
			}
			if !bound.MatchString(part) {
				t.Errorf("%s: no organization_id = $1 in: %s", function, strings.Join(strings.Fields(part), " "))
			}
		}
	})
	if seen < 40 {
		t.Errorf("got %d statements on tenants' tables: the test does not see them any more", seen)
	}
	for function := range excused {
		if !met[function] {
			t.Errorf("%s is excused without need", function)
		}
	}
}

func namesTenantTable(part string) bool {
	for _, table := range tenantTables {
		if regexp.MustCompile(`\b(FROM|JOIN|INTO|UPDATE) ` + table + `\b`).MatchString(part) {
			return true
		}
	}
	return false
}

// eachStatement visits every SQL text with the function it stands in. Texts that are put together with + are visited whole.
func eachStatement(t *testing.T, visit func(function, text string)) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	constants := map[string]string{} // name → text
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				constants[spec.Names[0].Name] = textOf(spec.Values[0], constants)
			}
			return true
		})
	}
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				visitTexts(f, constants, visit)
			}
		}
	}
}

// visitTexts finds the outermost string expressions of a function.
func visitTexts(f *ast.FuncDecl, constants map[string]string, visit func(function, text string)) {
	ast.Inspect(f, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		switch e.(type) {
		case *ast.BinaryExpr, *ast.BasicLit:
			if text := textOf(e, constants); text != "" {
				visit(f.Name.Name, text)
				return false
			}
		}
		return true
	})
}

// textOf evaluates an expression of strings; what is only known when it runs becomes a space.
func textOf(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.Ident:
		return constants[e.Name]
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return textOf(e.X, constants) + " " + textOf(e.Y, constants)
		}
	}
	return ""
}
