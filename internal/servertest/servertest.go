// Package servertest starts a whole server on loopback for tests: the real configuration, stores, vault and HTTP, with behaving fakes of AWS, Google and
// Cloudflare behind it. Only tests import it.
package servertest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	fakegcp "github.com/forgecroft/forgecroft/internal/fake/gcp"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/sdk"
)

// Server is a running server with the providers it asks.
type Server struct {
	URL      string
	OwnerKey string
	DataDir  string
	Owner    *sdk.Client // calls with the owner key
	Log      *Buffer     // the server's log

	AWS        *fakeaws.Server
	GCP        *fakegcp.Server
	Cloudflare *fakecloudflare.Server

	flags   map[string]string
	environ map[string]string
	stop    func() error
	fresh   *atomic.Bool
}

// Buffer is a [bytes.Buffer] for concurrent use.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// MustStart starts a server on a fresh data directory and stops it when the test ends. flags override what it sets itself. With
// FORGECROFT_TEST_DATABASE=postgres in the environment it keeps its metadata in a fresh PostgreSQL database.
func MustStart(t testing.TB, flags map[string]string) *Server {
	t.Helper()
	database := ""
	if os.Getenv("FORGECROFT_TEST_DATABASE") == "postgres" {
		database = pgtest.New(t)
	}
	return MustStartOn(t, database, flags)
}

// MustStartOn is [MustStart] with the URL of a database; empty: the data directory.
func MustStartOn(t testing.TB, database string, flags map[string]string) *Server {
	t.Helper()
	s := &Server{AWS: fakeaws.New(nil), GCP: fakegcp.New(nil), Cloudflare: fakecloudflare.New(nil), DataDir: filepath.Join(t.TempDir(), "data"), Log: &Buffer{}, fresh: &atomic.Bool{}}
	s.environ = map[string]string{"FORGECROFT_DATABASE_URL": database}
	ownerFile := filepath.Join(t.TempDir(), "owner.key")
	s.flags = map[string]string{
		"data-dir": s.DataDir, "listen": "127.0.0.1:0", "owner-key-file": ownerFile,
		"aws-sts-endpoint": serve(t, s.AWS), "gcp-token-url": serve(t, s.GCP) + "/token", "cloudflare-api-url": serve(t, s.Cloudflare) + "/client/v4",
	}
	for name, value := range flags {
		s.flags[name] = value
	}
	s.MustRun(t)
	key, err := os.ReadFile(ownerFile)
	if err != nil {
		t.Fatalf("reading the owner key: %v", err)
	}
	s.OwnerKey = strings.TrimSpace(string(key))
	s.Owner = s.MustClient(t, s.OwnerKey)
	t.Cleanup(func() { s.MustStop(t) })
	return s
}

// serve puts a fake on loopback.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// DatabaseURL is where it keeps its metadata, if that is not the data directory.
func (s *Server) DatabaseURL() string { return s.environ["FORGECROFT_DATABASE_URL"] }

// MustRun starts the server on its data directory, after [Server.MustStop] or for the first time.
func (s *Server) MustRun(t testing.TB) {
	t.Helper()
	config, err := server.LoadConfig(s.flags, func(name string) string { return s.environ[name] })
	if err != nil {
		t.Fatalf("configuring the server: %v", err)
	}
	config.FreshnessClock = func() time.Time {
		if s.fresh.Load() {
			return time.Now()
		}
		return time.Now().Add(time.Hour)
	}
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := server.Run(ctx, config, writer, s.Log)
		_ = writer.CloseWithError(io.EOF)
		done <- err
	}()
	s.stop = sync.OnceValue(func() error { cancel(); return <-done })
	if s.URL = address(reader); s.URL == "" {
		t.Fatalf("the server did not start: %v\n%s", s.stop(), s.Log)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
}

// address reads what the server says until it names its URL.
func address(r io.Reader) string {
	var said strings.Builder
	chunk := make([]byte, 4096)
	for {
		n, err := r.Read(chunk)
		said.Write(chunk[:n])
		if _, after, found := strings.Cut(said.String(), "listens on "); found && strings.Contains(after, " ") {
			url, _, _ := strings.Cut(after, " ")
			return url
		}
		if err != nil {
			return ""
		}
	}
}

// SetFresh makes credentials as new to their providers as they are: what is refused within the first minutes is asked again and
// proves nothing. Without it they count as an hour older, so that tests need not wait.
func (s *Server) SetFresh(fresh bool) { s.fresh.Store(fresh) }

// MustStop stops the server and waits until it is down.
func (s *Server) MustStop(t testing.TB) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Errorf("stopping the server: %v", err)
	}
}

// MustClient returns a client that calls with a key.
func (s *Server) MustClient(t testing.TB, key string) *sdk.Client {
	t.Helper()
	client, err := sdk.New(s.URL, key)
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return client
}

// Reply is an answer as it came.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// MustCall sends a request as it is: what curl would. headers may override the content type and the authorization.
func (s *Server) MustCall(t testing.TB, key, method, path, body string, headers ...string) Reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	reply, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return Reply{reply.StatusCode, reply.Header, string(text)}
}
