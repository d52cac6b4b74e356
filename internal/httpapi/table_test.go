package httpapi_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestTableIsWhatTheSeedPromises keeps the paths of the seed, to the letter.
func TestTableIsWhatTheSeedPromises(t *testing.T) {
	routes := map[string]int{} // :: method and path → status of success
	for _, r := range httpapi.Routes() {
		if _, twice := routes[r.Method+" "+r.Path]; twice {
			t.Errorf("%s %s stands in the table twice", r.Method, r.Path)
		}
		routes[r.Method+" "+r.Path] = r.Status
	}
	for route, status := range map[string]int{
		"POST /credential-configs": 201, "GET /credential-configs": 200, "POST /credential-configs/{id}/secrets": 201, "POST /credential-configs/{id}/verify": 200,
		"DELETE /credential-configs/{id}": 204, "PATCH /workspaces/{id}": 200, "POST /workspaces/{id}/environment": 200,
	} {
		if routes[route] != status {
			t.Errorf("%s: got status %d, want %d", route, routes[route], status)
		}
	}
}

func TestOperationWithoutPermissionIsRefused(t *testing.T) {
	for _, r := range httpapi.Routes() {
		if err := httpapi.DescribeWithout(r.ID); err == nil {
			t.Errorf("%s without a permission is accepted", r.ID)
		}
	}
}

// TestOneDoorToTheMux holds the code to one place that adds routes, which works off the table.
func TestOneDoorToTheMux(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{} // :: function → how often it adds to a mux
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Handle" || s.Sel.Name == "HandleFunc") {
					calls[f.Name.Name]++
				}
				return true
			})
		}
	}
	if len(calls) != 1 || calls["route"] != 2 {
		t.Errorf("got calls of Handle in %v, want two, in route", calls)
	}
}

func TestExamplesObeyTheRules(t *testing.T) {
	for _, r := range httpapi.Routes() {
		if !r.HasBody {
			continue
		}
		if r.Example == "" {
			t.Errorf("%s takes a body and shows no example", r.ID)
			continue
		}
		var in any
		if err := httpapi.Decoder(r.ID)([]byte(r.Example), &in); err != nil {
			t.Errorf("the example of %s: %v", r.ID, err)
		}
	}
}

// TestLimitsAgree compares the limits in the wire types' tags with the constants of the rules that are checked behind them.
func TestLimitsAgree(t *testing.T) {
	limits := map[string]map[string]int{ // :: member → tag → limit
		"name":                  {"maxLength": forgecroft.MaxName, "minLength": 1},
		"description":           {"maxLength": forgecroft.MaxDescription},
		"credential_config_ids": {"maxItems": forgecroft.MaxAttached},
	}
	checked := 0
	for _, body := range []any{
		sdk.CreateProject{}, sdk.UpdateProject{}, sdk.CreateWorkspace{}, sdk.UpdateWorkspace{}, sdk.CreateCredentialConfig{}, sdk.UpdateCredentialConfig{}, sdk.CreateAPIKey{},
	} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(body)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			for tag, want := range limits[name] {
				checked++
				if got, _ := strconv.Atoi(f.Tag.Get(tag)); got != want {
					t.Errorf("%T.%s has %s %d, want %d", body, f.Name, tag, got, want)
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d limits were compared", checked)
	}
}
