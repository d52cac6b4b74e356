package httpapi_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
)

// BenchmarkWhoami measures what the API itself costs: the broker's share is two reads.
func BenchmarkWhoami(b *testing.B) { benchmark(b, "GET", "/whoami") }

func BenchmarkDeliver(b *testing.B) {
	benchmark(b, "POST", "DELIVER")
}

// benchmark sends one request over and over, on as many connections as there are processors.
func benchmark(b *testing.B, method, path string) {
	s := servertest.MustStart(b, map[string]string{"log-level": "info"})
	if path == "DELIVER" {
		w := environment(b, s, map[string]string{"A": "x", "B_EXAMPLE": "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"})
		path = "/workspaces/" + w.ID + "/environment"
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		for pb.Next() {
			req, err := http.NewRequest(method, s.URL+path, nil)
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+s.OwnerKey)
			reply, err := transport.RoundTrip(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, reply.Body)
			_ = reply.Body.Close()
			if reply.StatusCode != http.StatusOK {
				b.Errorf("got status %d", reply.StatusCode)
			}
		}
	})
}
