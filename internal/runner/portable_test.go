package runner_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// The tests in this file hold the rules of Windows, which are the same wherever they run.

func TestWithExtensions(t *testing.T) {
	tests := []struct {
		path, extensions string
		want             []string
	}{
		{"terraform", "", []string{"terraform.com", "terraform.exe", "terraform.bat", "terraform.cmd"}},
		{"terraform.EXE", ".COM;.EXE", []string{"terraform.EXE", "terraform.EXE.com", "terraform.EXE.exe"}},
		{"terraform.sh", ".EXE", []string{"terraform.sh.exe"}},
		{"a", "EXE;.;;.PY", []string{"a.py"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, runner.WithExtensions(tt.path, tt.extensions)); diff != "" {
			t.Errorf("%s with %q (-want +got):\n%s", tt.path, tt.extensions, diff)
		}
	}
}

func TestCheckBatch(t *testing.T) {
	for _, tt := range []struct {
		path    string
		args    []string
		refused bool
	}{
		{"a.exe", []string{`"&calc`}, false},
		{"a.cmd", []string{"plan", "-out=x y"}, false},
		{"a.cmd", nil, false},
		{"a.CMD", []string{"a", "%PATH%"}, true},
		{"a.bat", []string{"a&calc"}, true},
		{"a.bat", []string{`a"`}, true},
		{"a.bat", []string{"a\nb"}, true},
	} {
		if err := runner.CheckBatch(tt.path, append([]string{"a&b"}, tt.args...)); (err != nil) != tt.refused {
			t.Errorf("%s %q: %v", tt.path, tt.args, err)
		}
	}
}

func TestInheritFoldsNames(t *testing.T) {
	parent := []string{"Path=p", "aws_profile=theirs", "Forgecroft_Api_Key=k", "Token=old", "Kept=1"}
	e := sdk.Environment{Unset: []string{"AWS_PROFILE"}}
	set := map[string]string{"TOKEN": "new"}
	environ, replaced := runner.Inherit(parent, set, e, true)
	if diff := cmp.Diff([]string{"Path=p", "Kept=1"}, environ); diff != "" {
		t.Errorf("inherited (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Token"}, replaced); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	if environ, _ := runner.Inherit(parent, set, e, false); len(environ) != len(parent) {
		t.Errorf("without folding: %v", environ)
	}
}
