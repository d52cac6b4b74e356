package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/httpapi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// checkGolden compares with a golden file, or rewrites it with -update.
func checkGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date; if the change is wanted, run make generate (-want +got):\n%s", path, cmp.Diff(string(want), string(got)))
	}
}

func TestGoldenOpenAPI(t *testing.T) {
	document, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "testdata/openapi.golden.json", append(text, '\n'))
}

func TestGoldenReference(t *testing.T) {
	text, err := httpapi.Markdown()
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "../../docs/api.md", text)
}
