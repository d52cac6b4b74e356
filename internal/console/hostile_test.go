package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	nethtml "golang.org/x/net/html"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// hostileTexts are those of the threat model that forms can send (H1 to H23), and one that is several at once.
var hostileTexts = []struct{ name, text string }{
	{"H1 nothing", ""},
	{"H2 a space", " "},
	{"H2 tabs", "\t\t"},
	{"H3 the longest", strings.Repeat("x", 256)},
	{"H4 too long", strings.Repeat("x", 257)},
	{"H5 a mebibyte", strings.Repeat("x", 1<<20)},
	{"H6 a path upwards", "../../etc/passwd"},
	{"H7 a path", "a/b"},
	{"H8 dots", ".."},
	{"H9 names of others", "__proto__"},
	{"H10 a script", "<script>alert(1)</script>"},
	{"H11 an image", `"><img src=x onerror=alert(1)>`},
	{"H12 templates", "{{7*7}} ${7*7} #{7*7} {{.}}"},
	{"H13 SQL", "'; DROP TABLE x;-- %' OR 1=1"},
	{"H14 a formula", "=cmd|'/c calc'!A1"},
	{"H15 a header", "a\r\nSet-Cookie: x=y"},
	{"H16 a zero byte", "a\x00b"},
	{"H17 turned around", "\u202egnp.exe"},
	{"H18 zero width", "a\u200bdmin"},
	{"H19 a look-alike", "аdmin"},
	{"H20 composed", "é"},
	{"H20 decomposed", "e\u0301"},
	{"H21 a lone surrogate", "a\xed\xa0\x80b"},
	{"H22 no UTF-8", "a\xffb"},
	{"H23 a terminal's escape", "\x1b[2J\x1b]0;x\a"},
	{"all at once", `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}'` + "`</textarea></title><svg onload=alert(1)>"},
}

// TestHostileTexts sends each text through every form that takes a name: it is refused, or comes back as nothing but text, wherever it is shown (UI-2).
func TestHostileTexts(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	home := must(s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "home"}))(t)
	for _, h := range hostileTexts {
		t.Run(h.name, func(t *testing.T) {
			b := &browser{t, b.base, b.client}
			project := send(b, "/console/projects/new", "name", h.text, "description", h.text)
			credential := send(b, "/console/credentials/new?type=generic_env", "name", h.text, "description", h.text, "type", "generic_env", "project_id", "")
			send(b, "/console/workspaces/new", "name", h.text, "description", h.text, "project_id", home.ID)
			send(b, "/console/keys/new", "name", h.text, "role", "reader", "scope", "", "days", "30")
			for _, path := range []string{"/console/", "/console/projects", "/console/credentials", "/console/workspaces", "/console/keys", "/console/audit", project, credential} {
				inert(t, path, b.get(path))
			}
		})
	}
}

// send fills a form in. The answer is a refusal, or the page of what was made; its address is returned.
func send(b *browser, path string, pairs ...string) string {
	b.Helper()
	p := b.fill(path, pairs...)
	inert(b, path, p)
	if p.Status >= http.StatusInternalServerError {
		b.Errorf("%s: got status %d", path, p.Status)
	}
	return p.Path
}

// TestHostileAddresses sends each text as every parameter that an address can have.
func TestHostileAddresses(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	pages := []string{"/console/credentials", "/console/workspaces", "/console/audit", "/console/sign-in", "/console/credentials/new", "/console/keys/new", "/console/workspaces/" + k.workspace.ID + "/attach"}
	for _, h := range hostileTexts {
		if len(h.text) > 4096 { // Longer than addresses are.
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			b := &browser{t, b.base, b.client}
			for _, name := range []string{"q", "type", "state", "scope", "action", "outcome", "actor", "since", "object", "ids", "add", "find", "next", "project", "workspace", "credential", "after", "revision"} {
				for _, path := range pages {
					address := path + "?" + url.Values{name: {h.text}}.Encode()
					p := b.get(address)
					inert(t, address, p)
					if p.Status >= http.StatusInternalServerError {
						t.Errorf("%s: got status %d", address, p.Status)
					}
				}
			}
		})
	}
}

// inert fails if a page holds an element or an attribute that the console itself never writes, or a header that somebody else wrote.
func inert(t testing.TB, path string, p page) {
	t.Helper()
	if p.Header.Get("Set-Cookie") == "x=y" {
		t.Errorf("%s: the text became a header", path)
	}
	if !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
		return
	}
	root, err := nethtml.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != nethtml.ElementNode {
			continue
		}
		_, loads := attribute(n, "src")
		if n.Data == "img" || n.Data == "iframe" || (n.Data == "script" && !loads) {
			t.Errorf("%s: the text came back alive as <%s>", path, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || (a.Key == "href" && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:")) {
				t.Errorf("%s: the text came back alive as the attribute %s", path, a.Key)
			}
		}
	}
}
