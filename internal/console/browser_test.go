package console_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// browser is a person without JavaScript: it keeps cookies, follows redirects and sends forms.
type browser struct {
	testing.TB
	base   string
	client *http.Client
}

// page is what the browser shows.
type page struct {
	Status int
	Header http.Header
	Body   string
	Path   string // where it ended up
}

// mustBrowser opens a browser that is not signed in.
func mustBrowser(t testing.TB, s *servertest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, s.URL, &http.Client{Jar: jar}}
}

// mustSignIn opens a browser and signs in with a key.
func mustSignIn(t testing.TB, s *servertest.Server, key string) *browser {
	t.Helper()
	b := mustBrowser(t, s)
	if p := b.post("/console/sign-in", url.Values{"api_key": {key}}); p.Status != http.StatusOK || !strings.Contains(p.Body, "Sign out") {
		t.Fatalf("signing in: status %d\n%s", p.Status, p.Body)
	}
	return b
}

// do sends a request.
func (b *browser) do(method, path, contentType string, body io.Reader, headers ...string) page {
	b.Helper()
	req, err := http.NewRequest(method, b.base+path, body)
	if err != nil {
		b.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	reply, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		b.Fatal(err)
	}
	return page{reply.StatusCode, reply.Header, string(text), reply.Request.URL.RequestURI()}
}

func (b *browser) get(path string, headers ...string) page {
	b.Helper()
	return b.do(http.MethodGet, path, "", nil, headers...)
}

func (b *browser) post(path string, form url.Values, headers ...string) page {
	b.Helper()
	return b.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), headers...)
}

// hidden matches the hidden inputs of a form.
var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"[^>]*>`)

// fill opens the page of a form and sends it filled in, hidden inputs included.
func (b *browser) fill(path string, pairs ...string) page {
	b.Helper()
	form := url.Values{}
	for _, input := range hidden.FindAllStringSubmatch(b.get(path).Body, -1) {
		form.Set(input[1], input[2])
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.post(path, form)
}

// upload sends a form as the page of secrets does; a name that ends in .file is a file.
func (b *browser) upload(path string, pairs ...string) page {
	b.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i+1 < len(pairs); i += 2 {
		var part io.Writer
		var err error
		if strings.HasSuffix(pairs[i], ".file") {
			part, err = w.CreateFormFile(pairs[i], "secret.txt")
		} else {
			part, err = w.CreateFormField(pairs[i])
		}
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(part, pairs[i+1]); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return b.do(http.MethodPost, path, w.FormDataContentType(), &body)
}

// The secrets of the stock. No page may ever hold one.
const (
	accessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	secretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	variableValue   = "postgres://app:EXAMPLE-password@db"
)

// stock is what an organization has in most tests.
type stock struct {
	project   sdk.Project
	aws, env  sdk.CredentialConfig
	workspace sdk.Workspace
}

// mustStock fills the server through its API.
func mustStock(t testing.TB, s *servertest.Server) stock {
	t.Helper()
	s.AWS.AddUser(fakeaws.User{Account: "123456789012", Name: "ci", AccessKeyID: accessKeyID, SecretAccessKey: secretAccessKey})
	ctx := t.Context()
	var k stock
	k.project = must(s.Owner.CreateProject(ctx, sdk.CreateProject{Name: "platform", Description: "What all teams stand on."}))(t)
	k.aws = mustCredential(t, s, "aws-production", "aws_static", "access_key_id", accessKeyID, "secret_access_key", secretAccessKey, "region", "eu-central-1")
	k.env = mustCredential(t, s, "database", "generic_env", "DATABASE_URL", variableValue)
	k.workspace = must(s.Owner.CreateWorkspace(ctx, sdk.CreateWorkspace{Name: "network", ProjectID: k.project.ID, CredentialConfigIDs: []string{k.aws.ID, k.env.ID}}))(t)
	return k
}

// mustCredential makes a credential config of the organization with its secrets.
func mustCredential(t testing.TB, s *servertest.Server, name, kind string, pairs ...string) sdk.CredentialConfig {
	t.Helper()
	c := must(s.Owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: name, CredentialType: kind}))(t)
	data := map[string]json.RawMessage{}
	for i := 0; i+1 < len(pairs); i += 2 {
		data[pairs[i]] = must(json.Marshal(pairs[i+1]))(t)
	}
	if len(data) > 0 {
		must(s.Owner.StoreSecrets(t.Context(), c.ID, sdk.StoreSecrets{Data: data}))(t)
	}
	return c
}

// mustKey makes an API key of the organization.
func mustKey(t testing.TB, s *servertest.Server, role string) sdk.CreatedAPIKey {
	t.Helper()
	return must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: role + "-key", Role: role}))(t)
}

// must unwraps what must not fail.
func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
