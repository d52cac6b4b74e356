package sdk_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// answer serves one answer to every request, and keeps the requests.
func answer(t *testing.T, status int, headers map[string]string, body string) (*sdk.Client, *[]*http.Request) {
	t.Helper()
	var requests []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(text)))
		requests = append(requests, r)
		w.Header().Set("Content-Type", "application/json")
		if status >= 300 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client, err := sdk.New(server.URL, "fc_live_EXAMPLE")
	if err != nil {
		t.Fatal(err)
	}
	return client, &requests
}

// hash is the content hash of a body.
func hash(body string) map[string]string {
	sum := sha256.Sum256([]byte(body))
	return map[string]string{sdk.ContentHashHeader: hex.EncodeToString(sum[:])}
}

func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"https://forgecroft.example.com": true, "https://forgecroft.example.com/prefix": true, "http://127.0.0.1:8300": true, "http://localhost:8300": true, "http://[::1]:8300": true,
		"http://forgecroft.example.com": false, "http://10.0.0.1": false, "http://127.0.0.1.evil.example": false, "": false, "forgecroft.example.com": false, "ftp://127.0.0.1": false,
		"https://user:password@forgecroft.example.com": false, "https://forgecroft.example.com?key=x": false, "https://": false,
	} {
		if _, err := sdk.New(address, "key"); (err == nil) != good {
			t.Errorf("%q: got %v, want accepted %v", address, err, good)
		}
	}
}

func TestErrorsSurviveTheWire(t *testing.T) {
	tests := []struct {
		status int
		want   error
	}{
		{400, sdk.ErrInvalid},
		{413, sdk.ErrInvalid},
		{415, sdk.ErrInvalid},
		{422, sdk.ErrInvalid},
		{401, sdk.ErrUnauthenticated},
		{403, sdk.ErrForbidden},
		{404, sdk.ErrNotFound},
		{409, sdk.ErrConflict},
		{412, sdk.ErrStale},
		{500, sdk.ErrServer},
		{507, sdk.ErrStorageFull},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			body := fmt.Sprintf(`{"type":"/docs#x","title":"T","status":%d,"detail":"What happened.","code":"some_code","request_id":"r1","errors":[{"field":"name","code":"c","message":"Too long."}]}`, test.status)
			client, _ := answer(t, test.status, map[string]string{"Content-Type": "application/problem+json"}, body)
			_, err := client.Project(t.Context(), "id")
			var problem *sdk.Error
			if !errors.Is(err, test.want) || !errors.As(err, &problem) || problem.Code != "some_code" || problem.RequestID != "r1" {
				t.Errorf("got %+v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), "What happened.") || !strings.Contains(err.Error(), "name: Too long.") {
				t.Errorf("the message is %q", err)
			}
		})
	}
	page, text := map[string]string{"Content-Type": "text/html"}, map[string]string{"Content-Type": "text/plain; charset=utf-8"}
	for name, foreign := range map[string]struct {
		status  int
		headers map[string]string
		body    string
		says    string
	}{
		"a proxy's page":             {502, page, "<html>bad gateway</html>", "may be a proxy"},
		"a proxy's sign-in":          {200, page, "<html>sign in</html>", "may be a proxy"},
		"another server's 404":       {404, map[string]string{"Content-Type": "application/json"}, `{"code":"not_found","title":"x"}`, "may be a proxy"},
		"another server's problem":   {404, map[string]string{"Content-Type": "application/problem+json"}, `{"code":"not_found","type":"https://example.com/x"}`, "may be a proxy"},
		"another server's list":      {200, map[string]string{"Content-Type": "application/json"}, `["whoami"]`, "may be a proxy"},
		"a port that expects TLS":    {400, text, "Client sent an HTTP request to an HTTPS server.\n", "use https://127.0.0.1:"},
		"a refusal of a gateway":     {403, page, "<html>blocked</html>", "may be a proxy"},
		"a gateway's authentication": {401, page, "<html>who?</html>", "may be a proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := answer(t, foreign.status, foreign.headers, foreign.body)
			_, err := client.Whoami(t.Context())
			var known *sdk.Error
			if !errors.Is(err, sdk.ErrNotForgecroft) || !errors.As(err, &known) || known.Status != foreign.status || !strings.Contains(err.Error(), foreign.says) {
				t.Fatalf("got %v, want what says %q", err, foreign.says)
			}
			for _, sentinel := range []error{sdk.ErrNotFound, sdk.ErrForbidden, sdk.ErrUnauthenticated, sdk.ErrInvalid, sdk.ErrServer} {
				if errors.Is(err, sentinel) {
					t.Errorf("it is %v as well", sentinel)
				}
			}
			if strings.Contains(err.Error(), "html") {
				t.Errorf("the page is repeated: %v", err)
			}
		})
	}
	t.Run("a redirect is not followed", func(t *testing.T) {
		client, requests := answer(t, 302, map[string]string{"Location": "https://evil.example/"}, "")
		if _, err := client.Whoami(t.Context()); err == nil || len(*requests) != 1 {
			t.Errorf("got %v after %d requests", err, len(*requests))
		}
	})
}

func TestRepetition(t *testing.T) {
	unavailable := `{"type":"/docs#problem-unavailable","title":"T","status":503,"code":"unavailable"}`
	t.Run("reads and creations are repeated", func(t *testing.T) {
		client, requests := answer(t, 503, map[string]string{"Retry-After": "0"}, unavailable)
		_, err := client.CreateProject(t.Context(), sdk.CreateProject{Name: "p"})
		if !errors.Is(err, sdk.ErrUnavailable) || len(*requests) != 3 {
			t.Fatalf("got %v after %d requests", err, len(*requests))
		}
		first := (*requests)[0].Header.Get("Idempotency-Key")
		for _, r := range *requests {
			if key := r.Header.Get("Idempotency-Key"); key == "" || key != first {
				t.Errorf("Idempotency-Key %q, first %q", key, first)
			}
		}
	})
	t.Run("deliveries are not", func(t *testing.T) {
		client, requests := answer(t, 503, nil, unavailable)
		if _, err := client.Deliver(t.Context(), "id", sdk.DeliverRequest{}); !errors.Is(err, sdk.ErrUnavailable) || len(*requests) != 1 {
			t.Errorf("got %v after %d requests", err, len(*requests))
		}
	})
	t.Run("not for long", func(t *testing.T) {
		client, requests := answer(t, 503, map[string]string{"Retry-After": "3600"}, unavailable)
		if _, err := client.Whoami(t.Context()); err == nil || len(*requests) != 1 {
			t.Errorf("got %v after %d requests", err, len(*requests))
		}
	})
}

func TestRequestsAreRight(t *testing.T) {
	client, requests := answer(t, 200, nil, `{"items":[],"next_cursor":null}`)
	name := "new"
	_, _ = client.UpdateProject(t.Context(), "id/../x", 7, sdk.UpdateProject{Name: &name})
	r := (*requests)[0]
	if r.Method != "PATCH" || r.URL.EscapedPath() != "/projects/id%2F..%2Fx" || r.Header.Get("If-Match") != `"7"` || r.Header.Get("Authorization") != "Bearer fc_live_EXAMPLE" {
		t.Errorf("the request is %s %s %v", r.Method, r.URL.EscapedPath(), r.Header)
	}
	body, _ := io.ReadAll(r.Body)
	if string(body) != `{"name":"new"}` {
		t.Errorf("the body is %s", body)
	}
}

func TestOptional(t *testing.T) {
	for want, update := range map[string]sdk.UpdateCredentialConfig{
		`{}`:                  {},
		`{"project_id":null}`: {ProjectID: sdk.Null[string]()},
		`{"project_id":"x"}`:  {ProjectID: sdk.Some("x")},
	} {
		got, err := json.Marshal(update)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		var back sdk.UpdateCredentialConfig
		if err := json.Unmarshal(got, &back); err != nil || back != update {
			t.Errorf("%s came back as %+v, %v", got, back, err)
		}
	}
}

func TestPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("cursor") {
		case "":
			_, _ = io.WriteString(w, `{"items":[{"name":"a"},{"name":"b"}],"next_cursor":"two"}`)
		case "two":
			_, _ = io.WriteString(w, `{"items":[{"name":"c"}],"next_cursor":null}`)
		}
	}))
	defer server.Close()
	client, err := sdk.New(server.URL, "k")
	if err != nil {
		t.Fatal(err)
	}
	var names string
	for p, err := range sdk.All(t.Context(), sdk.ListOptions{}, client.Projects) {
		if err != nil {
			t.Fatal(err)
		}
		names += p.Name
	}
	if names != "abc" {
		t.Errorf("got %s", names)
	}
}

// TestCutOffDeliveries cuts an answer at every byte, headers included: never does an environment come of it (EXE-13, EXE-14).
func TestCutOffDeliveries(t *testing.T) {
	body := `{"env":{"A":"1","B":"2"},"files":[],"unset":["C"],"expires_at":null,"sources":{},"delivery_id":"d"}`
	whole := "HTTP/1.1 200 OK\r\n" + sdk.ContentHashHeader + ": " + hash(body)[sdk.ContentHashHeader] + fmt.Sprintf("\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n", len(body)) + body
	serve := func(text string) error {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, text)
			}
		}()
		client, err := sdk.New("http://"+listener.Addr().String(), "k")
		if err != nil {
			t.Fatal(err)
		}
		env, err := client.Deliver(t.Context(), "w", sdk.DeliverRequest{})
		if err != nil && len(env.Env) > 0 {
			t.Errorf("a failure with a part of the environment")
		}
		return err
	}
	if err := serve(whole); err != nil {
		t.Fatalf("the whole answer: %v", err)
	}
	for n := range len(whole) {
		if err := serve(whole[:n]); err == nil {
			t.Fatalf("an answer cut at byte %d of %d was taken", n, len(whole))
		}
	}
	if err := serve(strings.Replace(whole, `"2"`, `"3"`, 1)); err == nil {
		t.Error("a changed answer was taken")
	}
	if err := serve(strings.Replace(whole, sdk.ContentHashHeader, "X-Other", 1)); err == nil {
		t.Error("an answer without its hash was taken")
	}
}
