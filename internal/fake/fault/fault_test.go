package fault_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/forgecroft/forgecroft/internal/fake/fault"
)

func TestFaults(t *testing.T) {
	var queue fault.Queue
	throttled := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	healthy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, "healthy")
	})
	server := httptest.NewServer(fault.Wrap(&queue, "text/xml", throttled, healthy))
	defer server.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	tests := []struct {
		kind       fault.Kind
		wantStatus int // 0: no answer
		wantType   string
		wantBroken bool // the body cannot be read to its end
	}{
		{"", 200, "text/xml", false},
		{fault.Throttled, 418, "", false},
		{fault.ServerError, 503, "text/plain", false},
		{fault.Malformed, 200, "text/xml", false},
		{fault.HTML, 200, "text/html; charset=utf-8", false},
		{fault.Truncated, 200, "text/xml", true},
		{fault.Oversize, 200, "text/xml", false},
		{fault.Redirect, 307, "text/xml", false},
		{fault.WrongContentType, 200, "text/plain", false},
		{fault.Reset, 0, "", false},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			if tt.kind != "" {
				queue.Next(tt.kind, 1)
			}
			client.CloseIdleConnections()
			resp, err := client.Get(server.URL)
			if tt.wantStatus == 0 {
				if err == nil {
					t.Error("an answer came")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			if resp.StatusCode != tt.wantStatus || resp.Header.Get("Content-Type") != tt.wantType || (err != nil) != tt.wantBroken {
				t.Errorf("answer = %d %q, read error %v", resp.StatusCode, resp.Header.Get("Content-Type"), err)
			}
		})
	}
}

func TestReleaseEndsSlowCalls(t *testing.T) {
	var queue fault.Queue
	entered := make(chan struct{})
	wrapped := fault.Wrap(&queue, "text/xml", http.NotFoundHandler(), http.NotFoundHandler())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		wrapped.ServeHTTP(w, r)
	}))
	defer server.Close()
	queue.Next(fault.Slow, 1)
	ended := make(chan error)
	go func() {
		_, err := http.Post(server.URL, "text/plain", nil)
		ended <- err
	}()
	<-entered
	for {
		queue.Release() // the call may not have taken its turn yet
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a slow call was answered")
			}
			return
		default:
		}
	}
}
