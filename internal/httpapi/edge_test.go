package httpapi_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

const absentID = "019a3b5e-7c1d-7000-8000-00000000dead"

// problem decodes a problem and checks that it is one.
func problem(t *testing.T, r servertest.Reply) sdk.Problem {
	t.Helper()
	var p sdk.Problem
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("got content type %q, want application/problem+json", got)
	}
	if err := json.Unmarshal([]byte(r.Body), &p); err != nil {
		t.Fatalf("decoding %q: %v", r.Body, err)
	}
	if p.Status != r.Status || p.Code == "" || p.Title == "" || p.RequestID == "" || p.RequestID != r.Header.Get("X-Request-Id") {
		t.Errorf("got problem %+v for status %d and request id %q", p, r.Status, r.Header.Get("X-Request-Id"))
	}
	return p
}

// wantProblem checks status and code.
func wantProblem(t *testing.T, r servertest.Reply, status int, code string) sdk.Problem {
	t.Helper()
	p := problem(t, r)
	if r.Status != status || p.Code != code {
		t.Errorf("got %d %s, want %d %s: %s", r.Status, p.Code, status, code, r.Body)
	}
	return p
}

// at fills an id into a path.
func at(path, id string) string { return strings.ReplaceAll(path, "{id}", id) }

func TestPublicSurface(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for path, contentType := range map[string]string{
		"/healthz": "text/plain; charset=utf-8", "/readyz": "text/plain; charset=utf-8", "/openapi.json": "application/openapi+json",
		"/openapi.yaml": "application/openapi+yaml", "/docs": "text/html; charset=utf-8",
	} {
		r := s.MustCall(t, "", "GET", path, "")
		if r.Status != 200 || r.Header.Get("Content-Type") != contentType || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d, %v", path, r.Status, r.Header)
		}
		wantProblem(t, s.MustCall(t, "", "POST", path, ""), 405, "method_not_allowed")
	}
	wantProblem(t, s.MustCall(t, "", "GET", "/metrics", ""), 401, "unauthenticated")
	for _, route := range httpapi.Routes() {
		r := s.MustCall(t, "", route.Method, at(route.Path, absentID), "")
		wantProblem(t, r, 401, "unauthenticated")
	}
	for _, path := range []string{"/", "/debug/pprof/", "/favicon.ico", "/schemas/Project.json", "/openapi-3.0.json", "/docs/", "/projects/", "//projects", "/projects/../whoami", "/projects/./x", "/%2e%2e/etc"} {
		wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", path, ""), 404, "no_such_path")
	}
}

func TestDocsPageNeedsNothingFromOutside(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	r := s.MustCall(t, "", "GET", "/docs", "")
	for _, foreign := range []string{"<script", "http://", "https://", "//cdn", "@import", "url("} {
		if strings.Contains(r.Body, foreign) {
			t.Errorf("the page contains %q", foreign)
		}
	}
	if policy := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("got policy %q", policy)
	}
	_, rest, _ := strings.Cut(r.Body, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(r.Header.Get("Content-Security-Policy"), want) {
		t.Errorf("the policy does not allow the page's own style sheet, %s", want)
	}
	for _, route := range httpapi.Routes() {
		if !strings.Contains(r.Body, `<article id="`+route.ID+`">`) {
			t.Errorf("the page says nothing of %s", route.ID)
		}
	}
}

// TestEveryWrongKeyIsTheSame compares answers byte for byte but for request id and date (AUTH-5).
func TestEveryWrongKeyIsTheSame(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	ctx := t.Context()
	revoked, err := s.Owner.CreateAPIKey(ctx, sdk.CreateAPIKey{Name: "revoked", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Owner.RevokeAPIKey(ctx, revoked.ID); err != nil {
		t.Fatal(err)
	}
	last := s.OwnerKey[len(s.OwnerKey)-1:]
	flipped := s.OwnerKey[:len(s.OwnerKey)-1] + map[bool]string{true: "a", false: "b"}[last != "a"]
	want := ""
	for name, header := range map[string]string{
		"absent": "", "no scheme": s.OwnerKey, "other scheme": "Digest " + s.OwnerKey, "empty": "Bearer ", "malformed": "Bearer " + canary,
		"wrong checksum": "Bearer " + flipped, "revoked": "Bearer " + revoked.Key, "two spaces": "Bearer  " + s.OwnerKey,
		"5 KiB": "Bearer " + strings.Repeat("a", 5<<10), "not ASCII": "Bearer é\xff", "inside": "Bearer " + s.OwnerKey + " " + s.OwnerKey,
	} {
		for _, path := range []string{"/whoami", "/projects/" + absentID} {
			r := s.MustCall(t, "", "GET", path, "", "Authorization", header, "X-Request-Id", "fixed")
			r.Header.Del("Date")
			got := fmt.Sprint(r.Status, r.Header, r.Body)
			if want == "" {
				want = got
			}
			if got != want || r.Status != 401 || r.Header.Get("Www-Authenticate") != "Bearer" {
				t.Errorf("%s %s: got %s, want %s", name, path, got, want)
			}
		}
	}
	if r := s.MustCall(t, "", "GET", "/whoami", "", "Authorization", "bearer "+s.OwnerKey); r.Status != 200 {
		t.Errorf("the scheme in lower case: got %d", r.Status)
	}
}

func TestKeysInURLs(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for _, query := range []string{
		"api_key=" + canary, "access_token=x", "key=x", "Token=x", "q=" + s.OwnerKey, "q=%66c_live_x", s.OwnerKey, "a=1&b=%;" + s.OwnerKey,
	} {
		wantProblem(t, s.MustCall(t, s.OwnerKey, "GET", "/projects?"+query, ""), 400, "key_in_url")
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	wantProblem(t, s.MustCall(t, "", "GET", "/projects", "", "Authorization", basic(s.OwnerKey, "")), 400, "key_in_url") // what curl makes of http://KEY@host/
	wantProblem(t, s.MustCall(t, "", "GET", "/projects", "", "Authorization", basic("somebody", "else")), 401, "unauthenticated")
	if log := s.Log.String(); strings.Contains(log, s.OwnerKey) || strings.Contains(log, canary) || strings.Contains(log, "fc_live_") {
		t.Errorf("the log holds a key:\n%s", log)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for _, method := range []string{"HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "get", "PROPFIND"} {
		r := s.MustCall(t, s.OwnerKey, method, "/projects", "", "X-HTTP-Method-Override", "GET", "X-Method-Override", "GET")
		if r.Status != 405 || r.Header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: got %d, Allow %q", method, r.Status, r.Header.Get("Allow"))
		}
	}
	if r := s.MustCall(t, s.OwnerKey, "GET", "/projects", "", "X-HTTP-Method-Override", "POST"); r.Status != 200 {
		t.Errorf("an override header changed the method: got %d", r.Status)
	}
}

func TestBrowsersOfOtherSites(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		wantProblem(t, s.MustCall(t, s.OwnerKey, "POST", "/projects", `{"name":"a"}`, header[0], header[1]), 403, "cross_origin")
	}
	r := s.MustCall(t, s.OwnerKey, "POST", "/projects", `{"name":"a"}`, "Sec-Fetch-Site", "same-origin")
	if r.Status != 201 || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the same origin: got %d, %v", r.Status, r.Header)
	}
}

func TestBodyHeaders(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	const body = `{"name":"a"}`
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		"form":              {"POST", "/projects", "name=a", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "content_type"},
		"problem+json":      {"POST", "/projects", body, []string{"Content-Type", "application/problem+json"}, 415, "content_type"},
		"no type":           {"POST", "/projects", body, []string{"Content-Type", ""}, 415, "content_type"},
		"UTF-16":            {"POST", "/projects", body, []string{"Content-Type", "application/json; charset=utf-16"}, 415, "content_type"},
		"gzip":              {"POST", "/projects", body, []string{"Content-Encoding", "gzip"}, 415, "content_encoding"},
		"identity":          {"POST", "/projects", body, []string{"Content-Encoding", "identity"}, 415, "content_encoding"},
		"missing":           {"POST", "/projects", "", nil, 400, "malformed_json"},
		"body on GET":       {"GET", "/projects", body, nil, 400, "unexpected_body"},
		"body on verify":    {"POST", "/credential-configs/" + absentID + "/verify", body, nil, 400, "unexpected_body"},
		"one byte too many": {"POST", "/projects", strings.Repeat(" ", httpapi.MaxBody+1), nil, 413, "body_too_large"},
	} {
		r := s.MustCall(t, s.OwnerKey, c.method, c.path, c.body, c.headers...)
		if p := problem(t, r); r.Status != c.status || p.Code != c.code {
			t.Errorf("%s: got %d %s, want %d %s", name, r.Status, p.Code, c.status, c.code)
		}
	}
	if r := s.MustCall(t, s.OwnerKey, "POST", "/projects", body, "Content-Type", "application/json; charset=UTF-8"); r.Status != 201 {
		t.Errorf("JSON in UTF-8: got %d %s", r.Status, r.Body)
	}
	full := `{"name":"full"}`
	if r := s.MustCall(t, s.OwnerKey, "POST", "/projects", full+strings.Repeat(" ", httpapi.MaxBody-len(full))); r.Status != 201 {
		t.Errorf("a body at the limit: got %d %s", r.Status, r.Body)
	}
}

// raw sends bytes as they are and returns the status line and the rest.
func raw(t *testing.T, s *servertest.Server, text string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = conn.Write([]byte(text)) }() // The server may answer and close before it has read all.
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", text, err)
	}
	defer reply.Body.Close()
	var b strings.Builder
	_, _ = bufio.NewReader(reply.Body).WriteTo(&b)
	return reply.StatusCode, b.String()
}

func TestRawRequests(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	key := "Authorization: Bearer " + s.OwnerKey + "\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"two Authorization headers": {"GET /whoami HTTP/1.1\r\nHost: x\r\n" + key + key + "\r\n", 401, "unauthenticated"},
		"key as user of the URL":    {"GET http://" + canary + "@x/whoami HTTP/1.1\r\nHost: x\r\n\r\n", 400, "key_in_url"},
		"OPTIONS *":                 {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, ""},
		"chunked without a key":     {"POST /projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", 401, "unauthenticated"},
		"chunked over the limit": {
			"POST /projects HTTP/1.1\r\nHost: x\r\n" + key + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
				strings.Repeat("8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n", 9), 413, "body_too_large",
		},
		"announced 5 MiB, no key": {"POST /projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5242880\r\n\r\n", 413, "body_too_large"},
		"NUL in the id":           {"GET /projects/a%00b HTTP/1.1\r\nHost: x\r\n" + key + "\r\n", 404, "not_found"},
		"dots in the id":          {"GET /projects/%2e%2e HTTP/1.1\r\nHost: x\r\n" + key + "\r\n", 404, ""},
		"slashes in the id":       {"GET /projects/a%2F..%2Fb HTTP/1.1\r\nHost: x\r\n" + key + "\r\n", 404, ""},
		"broken query":            {"GET /projects?name=%zz HTTP/1.1\r\nHost: x\r\n" + key + "\r\n", 400, "malformed_query"},
		"40 KiB of headers":       {"GET /whoami HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", 431, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := raw(t, s, c.request)
			if status != c.status || !strings.Contains(body, c.code) || strings.Contains(body, canary) {
				t.Errorf("got %d %s, want %d %s", status, body, c.status, c.code)
			}
		})
	}
}

// TestAbsentIsAbsent compares the answers for ids that are absent, malformed or hostile (TEN-3).
func TestAbsentIsAbsent(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for _, route := range httpapi.Routes() {
		if !strings.Contains(route.Path, "{id}") || strings.HasPrefix(route.Path, "/vault") {
			continue
		}
		want := ""
		for _, id := range []string{absentID, strings.ToUpper(absentID), "x", "x;id=y", "%252e%252e", absentID + "%3Fx", strings.Repeat("a", 10<<10), "a%00b", "%20", canary} {
			r := s.MustCall(t, s.OwnerKey, route.Method, at(route.Path, id), route.Example, "X-Request-Id", "fixed")
			r.Header.Del("Date")
			got := fmt.Sprint(r.Status, r.Header, r.Body)
			if want == "" {
				want = got
			}
			if got != want || r.Status != 404 {
				t.Errorf("%s with id %.40q: got %s, want %s", route.ID, id, got, want)
			}
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	for sent, kept := range map[string]bool{"abc-1.2_3": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a b": false, "<x>": false, "": false} {
		got := s.MustCall(t, "", "GET", "/healthz", "", "X-Request-Id", sent).Header.Get("X-Request-Id")
		if (got == sent) != kept || got == "" {
			t.Errorf("sent %q: got %q", sent, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	project, err := s.Owner.CreateProject(t.Context(), sdk.CreateProject{Name: canary})
	if err != nil {
		t.Fatal(err)
	}
	mint := func(r sdk.CreateAPIKey) string {
		k, err := s.Owner.CreateAPIKey(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return k.Key
	}
	wantProblem(t, s.MustCall(t, mint(sdk.CreateAPIKey{Name: "runner", Role: "runner"}), "GET", "/metrics", ""), 403, "forbidden")
	wantProblem(t, s.MustCall(t, mint(sdk.CreateAPIKey{Name: "narrow", Role: "reader", ProjectID: project.ID}), "GET", "/metrics", ""), 403, "forbidden")
	wantProblem(t, s.MustCall(t, "", "GET", "/whoami", ""), 401, "unauthenticated")
	r := s.MustCall(t, mint(sdk.CreateAPIKey{Name: "prometheus", Role: "reader"}), "GET", "/metrics", "")
	for _, want := range []string{
		`forgecroft_http_requests_total{operation="create-project",status="201"} 1`, "forgecroft_authentication_failures_total 1",
		`forgecroft_http_request_duration_seconds_count{operation="create-api-key"} 3`, "forgecroft_http_requests_in_flight 1", "go_goroutines",
	} {
		if !strings.Contains(r.Body, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	again := s.MustCall(t, s.OwnerKey, "GET", "/metrics", "")
	if want := `forgecroft_http_requests_total{operation="metrics",status="200"} 1`; !strings.Contains(again.Body, want) {
		t.Errorf("the metrics lack %q", want)
	}
	if strings.Contains(r.Body, canary) || strings.Contains(r.Body, project.ID) {
		t.Error("the metrics hold what a client wrote")
	}
}

// TestLogIsOneHarmlessLineEach checks that every request leaves one JSON line without anything that the client wrote.
func TestLogIsOneHarmlessLineEach(t *testing.T) {
	t.Parallel()
	s := servertest.MustStart(t, nil)
	before := strings.Count(s.Log.String(), `"msg":"request"`)
	s.MustCall(t, s.OwnerKey, "GET", "/projects/"+canary+"?q="+canary, "", "User-Agent", canary, "X-Request-Id", canary+"\u2028")
	s.MustCall(t, s.OwnerKey, "POST", "/projects", `{"name":"`+canary+`"}`)
	s.MustCall(t, s.OwnerKey, "GET", "/"+canary, "")
	s.MustStop(t)
	lines := 0
	for line := range strings.Lines(s.Log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("a line of the log is no JSON: %q", line)
		}
		if record["msg"] == "request" {
			lines++
		}
	}
	if lines-before != 3 {
		t.Errorf("got %d lines for 3 requests", lines-before)
	}
	if strings.Contains(s.Log.String(), canary) || strings.Contains(s.Log.String(), s.OwnerKey) {
		t.Errorf("the log repeats the client:\n%s", s.Log)
	}
}

func TestServerTimeouts(t *testing.T) {
	s := httpapi.Server(http.NotFoundHandler())
	got := []time.Duration{s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout}
	want := []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second, 60 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" || s.MaxHeaderBytes != 32<<10 {
		t.Errorf("timeouts (-want +got):\n%s, headers %d", diff, s.MaxHeaderBytes)
	}
}
