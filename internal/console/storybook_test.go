package console_test

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	nethtml "golang.org/x/net/html"

	"github.com/forgecroft/forgecroft/internal/console"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const storybook = "testdata/storybook"

// asset matches the address of a file that pages load. In the storybook it is the file in the source, so that a story can be opened from the disk.
var asset = regexp.MustCompile(`/console/static/([a-z]+)(?:\.min)?[.-][0-9a-f]+[a-z.-]*\.(css|js|svg)`)

// file is where a story is kept.
func (s story) file() string { return s.name + "-" + s.state + ".html" }

// render writes a story.
func (s story) render(t *testing.T) []byte {
	t.Helper()
	text, err := console.Render(s.page)
	if err != nil {
		t.Fatalf("%s: %v", s.file(), err)
	}
	return text
}

// checkGolden compares with a golden file, or rewrites it with -update.
func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(storybook, name)
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

// TestGoldenStorybook holds every page in every state to what it looked like when somebody last looked at it. testdata/storybook/index.html shows them all.
func TestGoldenStorybook(t *testing.T) {
	if *update {
		if err := os.MkdirAll(storybook, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var index bytes.Buffer
	index.WriteString("<!doctype html>\n<meta charset=\"utf-8\">\n<title>The pages of the console</title>\n<link rel=\"icon\" href=\"../../static/favicon.svg\">\n<ul>\n")
	wanted := map[string]bool{"index.html": true} // file
	for _, s := range stories() {
		if wanted[s.file()] {
			t.Fatalf("there are two stories %s", s.file())
		}
		wanted[s.file()] = true
		fmt.Fprintf(&index, "<li><a href=%q>%s: %s</a></li>\n", s.file(), html.EscapeString(s.name), html.EscapeString(s.state))
		t.Run(s.file(), func(t *testing.T) { checkGolden(t, s.file(), fromDisk(s.render(t))) })
	}
	index.WriteString("</ul>\n")
	checkGolden(t, "index.html", index.Bytes())
	files, err := filepath.Glob(storybook + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if wanted[filepath.Base(file)] {
			continue
		}
		if !*update {
			t.Errorf("%s belongs to no story", file)
			continue
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// fromDisk has a page load its files from the source.
func fromDisk(page []byte) []byte {
	return asset.ReplaceAllFunc(page, func(address []byte) []byte {
		m := asset.FindSubmatch(address)
		if string(m[1]) == "htmx" {
			return []byte("../../static/htmx/htmx.min.js")
		}
		return fmt.Appendf(nil, "../../static/%s.%s", m[1], m[2])
	})
}

// TestEveryTemplateHasAStory fails for a page that nobody has told a story of.
func TestEveryTemplateHasAStory(t *testing.T) {
	told := map[string]bool{} // template
	for _, s := range stories() {
		told[console.TemplateOf(s.page)] = true
	}
	files, err := filepath.Glob("templates/*.html.tmpl")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %d templates: %v", len(files), err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".html.tmpl"); !told[name] {
			t.Errorf("no story shows %s", file)
		}
	}
}

// The states that every page has to be told in: empty, with everything that it can have, refused, with a part of Forgecroft away, with the longest names and with right-to-left
// ones. Lists are told with one row as well.
var (
	everyState = []string{"empty", "many", "error", "degraded", "long", "rtl"}
	lists      = []string{"credentials", "workspaces", "projects", "keys", "audit"}
)

// Why a page has no such state.
const (
	ownWords   = "it shows nothing that people have named"
	neverEmpty = "what brings people there is in it"
)

// impossible are the states that a page cannot be in, with the reason.
var impossible = map[string]string{
	"bulk empty": neverEmpty, "bulk error": "each row has its own", "bulk degraded": "each row has its own", "keys empty": neverEmpty, "audit empty": neverEmpty, "problem empty": neverEmpty, "key-made empty": neverEmpty,
	"key-made error": "a key that was not made has no page", "key-made degraded": "a key that was not made has no page",
	"system long": ownWords, "system rtl": ownWords, "types long": ownWords, "types rtl": ownWords, "sign-in long": ownWords, "sign-in rtl": ownWords, "sign-in many": ownWords,
	"types empty": "a server has types", "types error": "it takes nothing that could be refused",
}

// TestEveryPageInEveryState fails for a state of a page that nobody has told, and for an excuse that is none.
func TestEveryPageInEveryState(t *testing.T) {
	told := map[string]map[string]bool{} // page → state
	for _, s := range stories() {
		if told[s.name] == nil {
			told[s.name] = map[string]bool{}
		}
		told[s.name][s.state] = true
	}
	delete(told, "onward") // It is gone before anybody sees it.
	for name, states := range told {
		wanted := everyState
		if slices.Contains(lists, name) {
			wanted = append([]string{"one", "none-match"}, everyState...)
		}
		for _, state := range wanted {
			reason := impossible[name+" "+state]
			if state == "none-match" && name == "keys" {
				reason = "it has no filter"
			}
			switch {
			case !states[state] && reason == "":
				t.Errorf("no story shows %s: %s", name, state)
			case states[state] && reason != "":
				t.Errorf("%s: %s is called impossible (%s), and there is a story of it", name, state, reason)
			}
		}
	}
}

// TestStructure judges the HTML of every story: what assistive technology and the content security policy need.
func TestStructure(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.file(), func(t *testing.T) {
			text := s.render(t)
			for _, problem := range unbalanced(text) {
				t.Error(problem)
			}
			root, err := nethtml.Parse(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			j := &judge{T: t, ids: map[string]bool{}, labels: map[string]bool{}}
			j.walk(root, j.collect)
			j.walk(root, j.element)
			j.walk(root, j.direction)
			if j.headings != 1 {
				t.Errorf("there are %d headings of the first level", j.headings)
			}
		})
	}
}

// void are the elements without an end.
var void = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

// unbalanced lists tags that close what was not opened, or leave something open: parsers mend that silently.
func unbalanced(text []byte) []string {
	var open, problems []string
	z := nethtml.NewTokenizer(bytes.NewReader(text))
	for {
		kind := z.Next()
		name, _ := z.TagName()
		tag := string(name)
		switch kind {
		case nethtml.ErrorToken:
			if len(open) > 0 {
				problems = append(problems, fmt.Sprintf("never closed: %v", open))
			}
			return problems
		case nethtml.StartTagToken:
			if !slices.Contains(void, tag) {
				open = append(open, tag)
			}
		case nethtml.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != tag {
				return append(problems, fmt.Sprintf("</%s> closes %v", tag, open))
			}
			open = open[:len(open)-1]
		}
	}
}

// judge looks at the elements of one page.
type judge struct {
	*testing.T
	ids, labels map[string]bool // id → there is an element, a label for it
	headings    int
}

// walk visits all nodes.
func (j *judge) walk(n *nethtml.Node, visit func(*nethtml.Node)) {
	visit(n)
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		j.walk(child, visit)
	}
}

// attribute is the value of an attribute, and whether it is there.
func attribute(n *nethtml.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// collect notes ids and labels. An id must be the only one of its kind.
func (j *judge) collect(n *nethtml.Node) {
	if id, has := attribute(n, "id"); has {
		if j.ids[id] || id == "" {
			j.Errorf("the id %q stands twice, or is empty", id)
		}
		j.ids[id] = true
	}
	if target, has := attribute(n, "for"); has && n.Data == "label" {
		j.labels[target] = true
	}
}

// element judges one element.
func (j *judge) element(n *nethtml.Node) {
	if n.Type != nethtml.ElementNode {
		return
	}
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			j.Errorf("<%s> has the attribute %s, which the policy forbids", n.Data, a.Key)
		}
		if a.Key == "aria-describedby" {
			for _, id := range strings.Fields(a.Val) {
				j.refers(n, id)
			}
		}
	}
	switch n.Data {
	case "h1":
		j.headings++
	case "style":
		j.Error("there is an inline style sheet")
	case "script":
		if _, has := attribute(n, "src"); !has {
			j.Error("there is an inline script")
		}
	case "label":
		if target, has := attribute(n, "for"); has {
			j.refers(n, target)
		}
	case "input", "select", "textarea", "progress":
		id, _ := attribute(n, "id")
		if kind, _ := attribute(n, "type"); kind != "hidden" && !j.labels[id] {
			j.Errorf("<%s id=%q> has no label", n.Data, id)
		}
	case "a", "button":
		if label, _ := attribute(n, "aria-label"); label == "" && strings.TrimSpace(textOf(n)) == "" {
			j.Errorf("a <%s> says nothing", n.Data)
		}
	case "img":
		if _, has := attribute(n, "alt"); !has {
			j.Error("an image has no text in its place")
		}
	}
}

// refers checks that an id is there.
func (j *judge) refers(n *nethtml.Node, id string) {
	if !j.ids[id] {
		j.Errorf("<%s> refers to %q, which is not there", n.Data, id)
	}
}

// isolated are the elements whose text has a direction of its own.
var isolated = []string{"bdi", "option", "textarea", "title", "pre"}

// direction checks that right-to-left text stands by itself: beside it, signs and numbers of the page would change places (Unicode Standard Annex 9).
func (j *judge) direction(n *nethtml.Node) {
	if n.Type != nethtml.TextNode || !strings.ContainsFunc(n.Data, func(r rune) bool { return unicode.In(r, unicode.Hebrew, unicode.Arabic) }) {
		return
	}
	for parent := n.Parent; parent != nil; parent = parent.Parent {
		if slices.Contains(isolated, parent.Data) {
			return
		}
	}
	j.Errorf("%q stands outside <bdi>", n.Data)
}

// textOf is the text inside an element.
func textOf(n *nethtml.Node) string {
	if n.Type == nethtml.TextNode {
		return n.Data
	}
	var b strings.Builder
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		b.WriteString(textOf(child))
	}
	return b.String()
}
