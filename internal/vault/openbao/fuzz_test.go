package openbao_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// forged is an answer that somebody between us and the server makes up.
type forged struct {
	status      int
	contentType string
	body        string
}

// FuzzAnswers lets somebody who has no key answer in the server's place: no answer may yield a secret, pass for a stored one, or bring the server down.
// Destruction is believed only if it is told as the API tells it.
func FuzzAnswers(f *testing.F) {
	var lie atomic.Pointer[forged]
	w := newWorld(f)
	front := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		l := lie.Load()
		if l == nil {
			w.fake.ServeHTTP(out, in)
			return
		}
		out.Header().Set("Content-Type", l.contentType)
		out.WriteHeader(l.status)
		_, _ = out.Write([]byte(l.body))
	}))
	f.Cleanup(front.Close)
	w.options.Address, w.options.CacheBytes, w.options.Timeout = front.URL, 1, time.Second
	v := mustOpen(f, w.options)
	for _, seed := range []forged{
		{200, "application/json", `{"data":{"data":{"sealed":"AQE="},"metadata":{"version":1}}}`},
		{200, "application/json", `{"data":{"data":{"value":"RVhBTVBMRQ=="},"metadata":{"version":1}}}`},
		{200, "application/json", `{"data":{"keys":["../x","0"]}}`},
		{404, "application/json", `{"errors":[]}`},
		{404, "application/json", `{"errors":["no handler"]}`},
		{404, "text/html", `{"errors":[]}`},
		{404, "application/json", `{"data":{"data":null,"metadata":{"version":1,"destroyed":true}}}`},
		{204, "", ""},
		{400, "application/json", `{"errors":["x"]}`},
		{472, "", ""},
	} {
		f.Add(seed.status, seed.contentType, seed.body)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 499 || status == 307 || status == 403 || strings.ContainsAny(contentType, "\r\n\x00") {
			return // Those are repeated, or no HTTP: it would only be slow.
		}
		ref := vaulttest.NewReference()
		lie.Store(&forged{status, contentType, body})
		defer lie.Store(nil)
		// What cannot be read is asked for again, until the context ends: the first answer is what counts here.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if got, err := v.Get(ctx, ref, vaulttest.Binding()); err == nil || !got.IsZero() {
			t.Errorf("Get returns a secret that nobody stored: %v", err)
		}
		if err := v.Destroy(ctx, ref); err == nil {
			t.Error("Destroy believes an answer that is the same for a deletion and for what is read back")
		}
		if refs, err := v.References(ctx, "", 10); err == nil {
			for _, ref := range refs {
				if !ref.Valid() {
					t.Errorf("References returns %q", ref)
				}
			}
		}
	})
}
