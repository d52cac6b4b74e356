package sso_test

import (
	"context"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/internal/servertest/sso"
	"github.com/forgecroft/forgecroft/sdk"
)

// publicHost is where browsers reach the server: what listens there is the test's to say.
const publicHost = "127.0.0.1:9"

// person is somebody with a browser, who reads forms and sends them.
type person struct {
	testing.TB
	client *http.Client
}

// page is what a person sees.
type page struct {
	status int
	url    *url.URL
	header http.Header
	text   string
}

func newPerson(t *testing.T, s *servertest.Server) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == publicHost {
			address = strings.TrimPrefix(s.URL, "http://")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return &person{t, &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial}}}
}

func (p *person) see(response *http.Response, err error) page {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	return page{response.StatusCode, response.Request.URL, response.Header, string(text)}
}

func (p *person) open(path string) page {
	p.Helper()
	return p.see(p.client.Get("http://" + publicHost + path))
}

var (
	formAction  = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// send fills in the form of a page.
func (p *person) send(on page, fields url.Values) page {
	p.Helper()
	action := formAction.FindStringSubmatch(on.text)
	if action == nil {
		p.Fatalf("%s has no form:\n%s", on.url, on.text)
	}
	for _, input := range hiddenInput.FindAllStringSubmatch(on.text, -1) {
		fields.Set(input[1], html.UnescapeString(input[2]))
	}
	target, err := on.url.Parse(html.UnescapeString(action[1]))
	if err != nil {
		p.Fatal(err)
	}
	return p.see(p.client.PostForm(target.String(), fields))
}

// logIn goes through the provider's pages: the name, and the consent at the first time.
func (p *person) logIn(on page, name string) page {
	p.Helper()
	on = p.send(on, url.Values{"login": {name}, "password": {"EXAMPLE"}})
	if on.url.Host != publicHost {
		on = p.send(on, url.Values{})
	}
	return on
}

// TestRealProvider signs people on by a provider that was not written for this.
func TestRealProvider(t *testing.T) {
	s := servertest.MustStart(t, sso.MustProvide(t, "testdata", "http://"+publicHost))
	project, err := s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: "doomed"})
	if err != nil {
		t.Fatal(err)
	}

	alice := newPerson(t, s)
	in := alice.logIn(alice.open("/console/sign-on?next=%2Fconsole%2Fprojects"), "ops-alice")
	if in.status != http.StatusOK || in.header.Get("Refresh") != "0; url=/console/projects" {
		t.Fatalf("signing on ended at %s with %d:\n%s", in.url.Path, in.status, in.text)
	}
	if home := alice.open("/console/"); !strings.Contains(home.text, "ops-alice@example.com") || !strings.Contains(home.text, "owner") {
		t.Errorf("the home page does not know her:\n%s", home.text)
	}
	deletion := "/console/projects/" + project.ID + "/delete"
	if asked := alice.open(deletion); !strings.Contains(asked.text, "fresh=1") {
		t.Errorf("an act that cannot be undone does not ask who she is:\n%s", asked.text)
	}
	again := alice.open("/console/sign-on?fresh=1&next=" + url.QueryEscape(deletion))
	if again.url.Host == publicHost {
		t.Fatalf("the provider did not ask her again: %s", again.url)
	}
	if back := alice.logIn(again, "ops-alice"); back.header.Get("Refresh") != "0; url="+deletion {
		t.Fatalf("proving it again ended at %s with %d:\n%s", back.url.Path, back.status, back.text)
	}
	if done := alice.send(alice.mustAct(deletion), url.Values{"confirm": {"doomed"}}); !strings.Contains(done.text, "Deleted.") {
		t.Errorf("deleting ended with %d:\n%s", done.status, done.text)
	}

	bob := newPerson(t, s)
	if out := bob.logIn(bob.open("/console/sign-on"), "bob"); out.status != http.StatusForbidden || !strings.Contains(out.text, "none of your groups") {
		t.Errorf("somebody of no group: %d\n%s", out.status, out.text)
	}
	for _, secret := range []string{sso.ClientSecret, "id_token"} {
		if strings.Contains(s.Log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// mustAct opens a page whose form is sent to the page itself.
func (p *person) mustAct(path string) page {
	p.Helper()
	on := p.open(path)
	on.text = strings.ReplaceAll(on.text, `<form method="post" class="form danger"`, `<form method="post" class="form danger" action="`+path+`"`)
	on.text = on.text[strings.Index(on.text, `class="form danger"`)-len(`<form method="post" `):]
	return on
}
