package console_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// everyPage lists the address of each page for a stock.
func everyPage(k stock) []string {
	credential, workspace, project := "/console/credentials/"+k.aws.ID, "/console/workspaces/"+k.workspace.ID, "/console/projects/"+k.project.ID
	return []string{
		"/console/", "/console/credentials", "/console/credentials?q=aws&type=aws_static&state=valid&scope=organization", "/console/credentials/new", "/console/credentials/new?type=aws_static",
		credential, credential + "/edit", credential + "/secrets", credential + "/delete", credential + "/workspaces", "/console/deliveries", "/console/deliveries?outcome=failed", "/console/credentials/" + k.env.ID, "/console/credentials/" + k.env.ID + "/secrets",
		"/console/workspaces", "/console/workspaces/new", workspace, workspace + "/edit", workspace + "/attach", workspace + "/attach?ids=" + k.env.ID, workspace + "/delete",
		"/console/projects", "/console/projects/new", project, project + "/edit", project + "/delete",
		"/console/keys", "/console/keys/new", "/console/audit", "/console/audit?action=credential_config.&outcome=allowed", "/console/audit/export", "/console/system", "/console/system/rotate",
	}
}

func TestEveryPageRenders(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	for _, path := range everyPage(k) {
		p := b.get(path)
		if p.Status != http.StatusOK {
			t.Errorf("%s: got status %d, want 200\n%s", path, p.Status, p.Body)
		}
		if !strings.HasPrefix(path, "/console/audit/export") && !strings.HasSuffix(strings.TrimSpace(p.Body), "</html>") {
			t.Errorf("%s: the page is cut off:\n%s", path, p.Body)
		}
	}
}

// TestNoPageHoldsASecret looks for every stored value in every page, after verifications and a failed form too.
func TestNoPageHoldsASecret(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	must(s.Owner.Verify(t.Context(), k.aws.ID))(t)
	must(s.Owner.Deliver(t.Context(), k.workspace.ID, sdk.DeliverRequest{}))(t)
	b := mustSignIn(t, s, s.OwnerKey)
	bodies := []string{b.upload("/console/credentials/"+k.aws.ID+"/secrets", "data.access_key_id", "not a key id", "data.secret_access_key", secretAccessKey).Body}
	bodies = append(bodies, b.upload("/console/credentials/"+k.env.ID+"/secrets", "name0", "LD_PRELOAD", "value0", variableValue).Body)
	if !strings.Contains(bodies[1], "LD_PRELOAD") {
		t.Errorf("the refusal of a name does not name it:\n%s", bodies[1])
	}
	for _, path := range everyPage(k) {
		bodies = append(bodies, b.get(path).Body)
	}
	for _, body := range bodies {
		for _, secret := range []string{secretAccessKey, variableValue, "EXAMPLE-password", s.OwnerKey} {
			if strings.Contains(body, secret) {
				t.Errorf("a page holds %q:\n%s", secret, body)
			}
		}
	}
	if log := s.Log.String(); strings.Contains(log, secretAccessKey) || strings.Contains(log, s.OwnerKey) {
		t.Error("the log holds a secret")
	}
}

// TestHeaders looks at pages, assets, redirects and failures alike (UI-1, UI-9).
func TestHeaders(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b, stranger := mustSignIn(t, s, s.OwnerKey), mustBrowser(t, s)
	stranger.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	b.client.CheckRedirect = stranger.client.CheckRedirect
	home := b.get("/console/").Body
	assets := regexp.MustCompile(`/console/static/[^"]+`).FindAllString(home, -1)
	if len(assets) != 4 {
		t.Fatalf("the page loads %v, want four assets", assets)
	}
	paths := append(everyPage(k), assets...)
	paths = append(paths, "/console", "/console/nothing", "/console/static/nothing.js", "/console/credentials/none", "/console/sign-in", "/console/sign-out", "/console/credentials?after=forged", "/console/a/../b")
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
	check := func(path string, p page) {
		want := map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		}
		if slices.Contains(assets, path) {
			want["Cache-Control"] = "public, max-age=31536000, immutable"
		}
		for name, value := range want {
			if got := p.Header.Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("%s (status %d): header %s: got %q, want %q", path, p.Status, name, got, value)
			}
		}
	}
	for _, path := range paths {
		check(path, b.get(path))
		check(path, stranger.get(path))
		check("PUT "+path, b.do("PUT", path, "", nil))
	}
}

// TestHomeNamesWhatNeedsAttention fills an organization with what goes wrong, and looks for each of it.
func TestHomeNamesWhatNeedsAttention(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustSignIn(t, s, s.OwnerKey)
	if p := b.get("/console/"); !strings.Contains(p.Body, "Three steps to the first run") {
		t.Errorf("an empty organization is not taught:\n%s", p.Body)
	}
	k := mustStock(t, s)
	const disabled = "EXAMPLEdisabledEXAMPLEdisabledEXAMPLEdis"
	s.Cloudflare.AddToken(fakecloudflare.Token{Value: disabled, ID: strings.Repeat("0b", 16), Status: fakecloudflare.Disabled})
	bad := mustCredential(t, s, "refused", "cloudflare_api_token", "api_token", disabled)
	must(s.Owner.Verify(t.Context(), bad.ID))(t)
	empty := mustCredential(t, s, "without", "gcp_service_account")
	must(s.Owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "stuck", ProjectID: k.project.ID, CredentialConfigIDs: []string{empty.ID}}))(t)
	soon := time.Now().Add(48 * time.Hour)
	s.Cloudflare.AddToken(fakecloudflare.Token{Value: "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMP", ID: strings.Repeat("0a", 16), ExpiresOn: soon})
	ends := mustCredential(t, s, "ends", "cloudflare_api_token", "api_token", "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMP")
	if v := must(s.Owner.Verify(t.Context(), ends.ID))(t); v.ExpiresAt == nil || !v.ExpiresAt.Equal(soon.Truncate(time.Second)) {
		t.Errorf("the verification does not tell the end: %+v", v)
	}
	must(s.Owner.CreateAPIKey(t.Context(), sdk.CreateAPIKey{Name: "short-lived", Role: "runner", ExpiresAt: &soon}))(t)
	must(s.Owner.Deliver(t.Context(), k.workspace.ID, sdk.DeliverRequest{}))(t)
	body := b.get("/console/").Body
	for _, want := range []string{
		"Refused by the provider", ">refused<", "No secrets stored", ">without<", "Never verified", ">aws-production<", "Workspaces that cannot run", ">stuck<",
		"Expire soon", ">ends<", "API keys that expire soon", ">short-lived<", "1 delivery and 0 refusals in the last 24 hours", ">serving<",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the home page does not say %q:\n%s", want, body)
		}
	}
	if p := b.get("/console/credentials/" + k.aws.ID); !strings.Contains(p.Body, "Last deliveries") {
		t.Errorf("the credential does not show its delivery:\n%s", p.Body)
	}
}

// TestNothingInline keeps pages within the policy: no style, script or handler of their own, nothing from elsewhere.
func TestNothingInline(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	forbidden := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script>|javascript:|(src|action|href)="(https?:)?//[^"]*"`)
	elsewhere := regexp.MustCompile(`href="https://[^"]*" rel="noreferrer"`) // the providers' documentation
	for _, path := range everyPage(k) {
		if strings.HasSuffix(path, "/export") {
			continue
		}
		if found := forbidden.FindString(elsewhere.ReplaceAllString(b.get(path).Body, "")); found != "" {
			t.Errorf("%s: got %q in the page", path, found)
		}
	}
}

func TestPagesAreSmall(t *testing.T) {
	s := servertest.MustStart(t, nil)
	k := mustStock(t, s)
	b := mustSignIn(t, s, s.OwnerKey)
	total := func(path string) (size int) { return len(b.get(path, "Accept-Encoding", "gzip").Body) }
	shared := 0
	for _, asset := range regexp.MustCompile(`/console/static/[^"]+`).FindAllString(b.get("/console/").Body, -1) {
		shared += total(asset)
	}
	for _, path := range everyPage(k) {
		if got := total(path) + shared; got > 50<<10 {
			t.Errorf("%s with all its assets takes %d bytes, more than 50 KiB", path, got)
		}
	}
}

// TestFrontDoor sends browsers from the bare address to the console, and nobody else.
func TestFrontDoor(t *testing.T) {
	s := servertest.MustStart(t, nil)
	b := mustBrowser(t, s)
	if p := b.get("/"); p.Path != "/console/sign-in?next=%2Fconsole%2F" || p.Status != http.StatusOK {
		t.Errorf("a browser at /: ended at %s with status %d", p.Path, p.Status)
	}
	if reply := s.MustCall(t, "", "GET", "/", ""); reply.Status != http.StatusNotFound {
		t.Errorf("a client of the API at /: got status %d, want 404", reply.Status)
	}
	if reply := s.MustCall(t, s.OwnerKey, "GET", "/projects", ""); reply.Status != http.StatusOK {
		t.Errorf("the API: got status %d, want 200", reply.Status)
	}
}
