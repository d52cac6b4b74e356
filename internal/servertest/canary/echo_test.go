package canary_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
)

// echo is a provider that repeats what it was sent, the credential included, wherever an answer has text. Providers have done so, and proxies do.
type echo struct {
	mu     sync.Mutex
	seen   []string // credentials that came in clear
	status int
}

// ServeHTTP implements [http.Handler] for all providers at once.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // What is missing is not repeated.
	sent := r.Header.Get("Authorization") + " " + r.URL.RawQuery + " " + string(body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, sent)
	quoted := jsonText(sent)
	w.Header().Set("X-Echo", strings.ReplaceAll(sent, "\n", " "))
	switch {
	case strings.HasPrefix(r.URL.Path, "/client/"):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.status)
		fmt.Fprintf(w, `{"success":false,"errors":[{"code":1000,"message":%s}],"messages":[{"code":1,"message":%s}],"result":{"id":%s,"status":%s}}`, quoted, quoted, quoted, quoted)
	case r.URL.Path == "/token" || r.URL.Path == "/tokeninfo":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.status)
		fmt.Fprintf(w, `{"error":%s,"error_description":%s,"access_token":%s,"token_type":%s,"expires_in":3600,"email":%s}`, quoted, quoted, quoted, quoted, quoted)
	default:
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(e.status)
		text := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(sent)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`, text, text, text)
	}
}

// TestProvidersThatEcho verifies and delivers with such providers. Nothing that they repeat goes further.
func TestProvidersThatEcho(t *testing.T) {
	for _, status := range []int{200, 400, 401, 403, 404} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			e := &echo{status: status}
			provider := httptest.NewServer(e)
			t.Cleanup(provider.Close)
			h := &house{configs: map[string]string{}, secrets: map[string]string{}}
			h.Server = servertest.MustStart(t, map[string]string{
				"log-level": "debug", "aws-sts-endpoint": provider.URL, "gcp-token-url": provider.URL + "/token", "cloudflare-api-url": provider.URL + "/client/v4",
			})
			h.mustStore(t)
			for name, id := range h.configs {
				if reply := h.call(t, "POST", "/credential-configs/"+id+"/verify", ""); reply.Status != http.StatusOK || strings.Contains(reply.Body, `"valid":true`) {
					t.Errorf("verifying %s: %d %s", name, reply.Status, reply.Body)
				}
			}
			for _, id := range h.workspaces(t) {
				if reply := h.MustCall(t, h.OwnerKey, "POST", "/workspaces/"+id+"/environment", ""); reply.Status != http.StatusOK {
					h.said = append(h.said, said{"a delivery that failed", reply.Body})
				}
			}
			h.mustReadEverything(t)
			h.MustStop(t)
			h.mustHaveSeen(t, e)
			for _, s := range append(h.said, said{"the log", h.Log.String()}) {
				h.scanner.Check(t, s.what, []byte(s.text))
			}
			h.scanner.CheckTree(t, h.DataDir)
		})
	}
}

// mustHaveSeen adds what the echo saw to what is looked for: signatures and assertions are credentials, too.
func (h *house) mustHaveSeen(t *testing.T, e *echo) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	all := strings.Join(e.seen, "\n")
	if !strings.Contains(all, h.token) || !strings.Contains(all, "Signature=") || !strings.Contains(all, "assertion=") {
		t.Errorf("not all providers were asked: %.500s", all)
	}
	for _, sent := range e.seen {
		if _, signature, found := strings.Cut(sent, "Signature="); found {
			h.scanner.Add("a signature", strings.Fields(signature)[0])
		}
		if _, assertion, found := strings.Cut(sent, "assertion="); found {
			assertion, _, _ = strings.Cut(assertion, "&")
			if i := strings.LastIndex(assertion, "."); i > 0 {
				h.scanner.Add("an assertion's signature", assertion[i+1:])
				if raw, err := base64.RawURLEncoding.DecodeString(assertion[i+1:]); err == nil {
					h.scanner.Add("an assertion's signature in bytes", string(raw))
				}
			}
		}
	}
}
