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

// eachFile parses every Go file that is not a test.
func eachFile(t *testing.T, visit func(path string, files *token.FileSet, file *ast.File)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join("../..", path), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		visit(path, files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The hard limits of a function and of a file, in lines. Suites of tests are lists and may be longer.
const (
	maxFunction = 80
	maxFile     = 600
)

func TestSizes(t *testing.T) {
	eachFile(t, func(path string, files *token.FileSet, file *ast.File) {
		if lines := files.Position(file.End()).Line; lines > maxFile {
			t.Errorf("%s has %d lines, more than %d", path, lines, maxFile)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; lines > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", path, f.Name.Name, lines, maxFunction)
			}
		}
	})
}

// TestExportsAreDocumented demands a comment on every exported declaration.
func TestExportsAreDocumented(t *testing.T) {
	eachFile(t, func(path string, files *token.FileSet, file *ast.File) {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no comment", path, d.Name.Name)
				}
			case *ast.GenDecl:
				undocumented(t, path, d)
			}
		}
	})
}

// exportedReceiver reports whether a function is no method, or one of an exported type.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	switch generic := kind.(type) {
	case *ast.IndexExpr:
		kind = generic.X
	case *ast.IndexListExpr:
		kind = generic.X
	}
	name, ok := kind.(*ast.Ident)
	return ok && name.IsExported()
}

// undocumented reports exported types, constants and variables that neither they nor their group explain.
func undocumented(t *testing.T, path string, d *ast.GenDecl) {
	t.Helper()
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				t.Errorf("%s: type %s has no comment", path, s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				t.Errorf("%s: %s has no comment", path, s.Names[0].Name)
			}
		}
	}
}

// TestNoInit refuses init functions: registries are literals, and wiring is explicit.
func TestNoInit(t *testing.T) {
	eachFile(t, func(path string, _ *token.FileSet, file *ast.File) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", path)
			}
		}
	})
}

// TestOnlyTheGateAppendsAudit keeps the one door: no other file of the broker appends audit entries.
func TestOnlyTheGateAppendsAudit(t *testing.T) {
	eachFile(t, func(path string, _ *token.FileSet, file *ast.File) {
		if !strings.HasPrefix(path, "internal/broker/") || path == "internal/broker/gate.go" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "AppendAudit" {
				t.Errorf("%s appends audit entries; only gate.go may", path)
			}
			return true
		})
	})
}
