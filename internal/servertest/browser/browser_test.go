// Package browser_test uses the console as a person does: in real Chromium, by clicking, typing and looking, against a whole server with behaving fakes of the
// providers. The walks are scripts in testdata, for a driver of browsers and a judge of accessibility that exist for Node alone; each step of a walk is a
// subtest here. What they see is kept as pictures in the directory that FORGECROFT_ARTEFACTS names.
package browser_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/internal/servertest/sso"
	"github.com/forgecroft/forgecroft/sdk"
)

// errand is what a walk is told, on its standard input: a key belongs neither into arguments nor into the environment.
type errand struct {
	URL       string            `json:"url"`
	Key       string            `json:"key"`
	Chromium  string            `json:"chromium"`
	Artefacts string            `json:"artefacts"`
	Resolve   string            `json:"resolve,omitempty"` // how the browser resolves an address, in its own words; empty: as everybody does
	IDs       map[string]string `json:"ids"`               // name → id of what the server holds
	Secrets   map[string]string `json:"secrets"`
}

// step is a line of a walk's standard output.
type step struct {
	Name    string `json:"name"`
	Problem string `json:"problem"` // empty: it went as it should
}

func TestConsole(t *testing.T) {
	t.Parallel()
	found := mustFindTools(t)
	secrets := map[string]string{"access_key_id": accessKeyID, "secret_access_key": secretAccessKey}
	empty := func(t *testing.T, s *servertest.Server) map[string]string { mustAddUser(t, s); return nil }
	tests := []struct {
		name string // of the script, and of the directory of its pictures
		fill func(t *testing.T, s *servertest.Server) map[string]string
	}{
		{"tour", empty},
		{"craft", mustOddStock},
		{"pages", mustOddStock},
		{"widths", mustOddStock},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := servertest.MustStart(t, nil)
			ids := tt.fill(t, s)
			walk(t, found, tt.name, errand{URL: s.URL, Key: s.OwnerKey, Chromium: found.chromium, Artefacts: mustMakeArtefacts(t, tt.name), IDs: ids, Secrets: secrets})
			for _, secret := range []string{secretAccessKey, s.OwnerKey} {
				if strings.Contains(s.Log.String(), secret) {
					t.Error("the server's log holds a secret")
				}
			}
		})
	}
}

// TestSignOn signs people on by a real OpenID provider. It and the server are of different sites, as they are in life: localhost and 127.0.0.1. So the browser decides which cookies
// come along on the way back.
func TestSignOn(t *testing.T) {
	t.Parallel()
	const public = "localhost:8399" // for the browser alone: it is led to where the server listens
	found := mustFindTools(t)
	s := servertest.MustStart(t, sso.MustProvide(t, "../sso/testdata", "http://"+public))
	project := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "doomed"}))(t)
	walk(t, found, "signon", errand{
		URL: "http://" + public, Resolve: "MAP " + public + " " + strings.TrimPrefix(s.URL, "http://"), Chromium: found.chromium, Artefacts: mustMakeArtefacts(t, "signon"),
		IDs: map[string]string{"project": project.ID},
	})
	if strings.Contains(s.Log.String(), sso.ClientSecret) {
		t.Error("the server's log holds the client secret")
	}
}

// TestStorybook opens the canned pages of the console, which show states that are hard to come by: the longest names, right-to-left ones, failures.
func TestStorybook(t *testing.T) {
	t.Parallel()
	found := mustFindTools(t)
	s := httptest.NewServer(http.FileServer(http.Dir("../../console")))
	t.Cleanup(s.Close)
	walk(t, found, "stories", errand{URL: s.URL, Chromium: found.chromium})
}

// TestReadme takes the pictures of the README, if FORGECROFT_README_IMAGES names where they belong (make screenshots).
func TestReadme(t *testing.T) {
	dir := os.Getenv("FORGECROFT_README_IMAGES")
	if dir == "" {
		t.Skip("FORGECROFT_README_IMAGES names no directory to fill")
	}
	s := servertest.MustStart(t, nil)
	ids := mustStock(t, s)
	found := mustFindTools(t)
	walk(t, found, "readme", errand{URL: s.URL, Key: s.OwnerKey, Chromium: found.chromium, Artefacts: dir, IDs: ids})
}

// mustMakeArtefacts makes the directory for what a walk sees.
func mustMakeArtefacts(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("FORGECROFT_ARTEFACTS")
	if root == "" {
		return t.TempDir()
	}
	dir, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// walk runs a script of testdata and makes a subtest of each step that it reports. It must end by itself: what a walk did not come to has failed.
func walk(t *testing.T, found tools, name string, e errand) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(found.modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), found.node, name+".mjs") // each step has limits of its own, the test binary one for all
	node.Dir, node.Stdin = dir, bytes.NewReader(input)
	var said bytes.Buffer
	node.Stderr = &said
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatalf("starting node: %v", err)
	}
	steps := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); steps++ {
		report(t, lines.Bytes())
	}
	if err := node.Wait(); err != nil {
		t.Errorf("the walk ended early: %v\n%s", err, &said)
	}
	if steps == 0 {
		t.Errorf("the walk took no step\n%s", &said)
	}
}

// report makes a subtest of a line.
func report(t *testing.T, line []byte) {
	t.Helper()
	var s step
	if err := json.Unmarshal(line, &s); err != nil || s.Name == "" {
		t.Errorf("the walk said %q", line)
		return
	}
	t.Run(s.Name, func(t *testing.T) {
		if s.Problem != "" {
			t.Error(s.Problem)
		}
	})
}
