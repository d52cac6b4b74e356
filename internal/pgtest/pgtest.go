// Package pgtest gives tests a PostgreSQL server: [pgserver] with failures that end the test. Only tests import it.
package pgtest

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"github.com/forgecroft/forgecroft/internal/pgserver"
)

// Server is a running PostgreSQL.
type Server struct{ *pgserver.Server }

// Runner is for TestMain: it runs the tests and then stops the server of [New], should one have been started.
type Runner struct{ M *testing.M }

// Run runs the tests and returns the code to exit with.
func (r Runner) Run() int {
	code := r.M.Run()
	if s := started.Load(); s != nil {
		s.Stop()
	}
	return code
}

// started is the server that the tests of one package share.
var started atomic.Pointer[Server]

// New returns the URL of a new, empty database on a server that the tests of a package share. Without PostgreSQL on this machine the test is skipped,
// and fails where FORGECROFT_CI says that nothing may be missing.
func New(t testing.TB) string {
	t.Helper()
	return Shared(t).MustCreate(t)
}

// Shared returns the server that the tests of a package share.
func Shared(t testing.TB) *Server {
	t.Helper()
	if s := started.Load(); s != nil {
		return s
	}
	s := MustStart(t, "")
	if !started.CompareAndSwap(nil, s) {
		s.Stop()
	}
	return started.Load()
}

// MustStart starts a server of its own. settings are lines for postgresql.conf.
func MustStart(t testing.TB, settings string) *Server {
	t.Helper()
	s, err := pgserver.New(settings)
	if errors.Is(err, pgserver.ErrMissing) && os.Getenv("FORGECROFT_CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Server{s}
}

// AdminURL is the address of a database for the superuser, who may do what Forgecroft's role may not.
func (s *Server) AdminURL(database string) string { return s.URL(pgserver.Superuser, database) }

// MustExec runs a statement as the superuser.
func (s *Server) MustExec(t testing.TB, text string) {
	t.Helper()
	if err := s.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// MustCreate makes a new, empty database that belongs to the role of Forgecroft, and returns its URL.
func (s *Server) MustCreate(t testing.TB) string {
	t.Helper()
	url, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}
