package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/pgserver"
)

// benchToken is what the fake vault takes.
const benchToken = "s.EXAMPLEbench"

// replicasGoal is the goal for 64 connections.
const replicasGoal = "≥ 3,000/s; p99 ≤ 60 ms"

// measureReplicas measures deliveries through PostgreSQL and a vault.
func measureReplicas(ctx context.Context, o options, t *table) error {
	dir, err := os.MkdirTemp("", "forgecroft-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	database, stop, err := benchDatabase(ctx, o)
	if errors.Is(err, pgserver.ErrMissing) {
		t.add("delivery on PostgreSQL and a vault", replicasGoal, "not measured: %s; or name an empty database with -database", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer stop()
	vault, stop, err := openVault(dir)
	if err != nil {
		return err
	}
	defer stop()
	settings := slices.Concat(vault.settings, []string{"--key-file", filepath.Join(dir, "vault.key")})
	start := func() (*server, error) {
		return startWith(ctx, o.binary, settings, []string{"FORGECROFT_DATABASE_URL=" + database})
	}
	s, err := start()
	if err != nil {
		return err
	}
	defer s.close()
	id, _, err := workspace(s, "two", 2)
	if err != nil {
		return err
	}
	two := newRequest(s, "POST", "/workspaces/"+id+"/environment", "")
	for _, replicas := range []int{1, 3} {
		for len(s.peers) < replicas-1 {
			peer, err := start()
			if err != nil {
				return err
			}
			s.peers = append(s.peers, peer)
		}
		for _, connections := range []int{1, 64} {
			goal := map[int]string{64: replicasGoal}[connections]
			what := fmt.Sprintf("delivery, %d replicas on PostgreSQL and %s, %d connections", replicas, vault.name, connections)
			if err := measureLoad(ctx, o, t, s, connections, two, what, goal); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureLoad measures one request over some connections, after a warm-up.
func measureLoad(ctx context.Context, o options, t *table, s *server, connections int, one request, what, goal string) error {
	next := func(int) request { return one }
	if _, err := load(ctx, s, connections, o.length/5, next); err != nil {
		return err
	}
	r, err := load(ctx, s, connections, o.length, next)
	if err != nil {
		return err
	}
	t.add(what, goal, "%.0f/s; p50 %s, p99 %s", r.rate(), ms(r.percentile(0.5)), ms(r.percentile(0.99)))
	return nil
}

// benchDatabase is the URL of an empty database: the one that was named, or one on a PostgreSQL that is started for it, which stop ends.
func benchDatabase(ctx context.Context, o options) (url string, stop func(), err error) {
	if o.database != "" {
		return o.database, func() {}, nil
	}
	postgres, err := pgserver.New("")
	if err != nil {
		return "", nil, err
	}
	if url, err = postgres.Create(ctx); err != nil {
		postgres.Stop()
		return "", nil, err
	}
	return url, postgres.Stop, nil
}

// benchVault is a vault to keep secrets in.
type benchVault struct {
	name     string
	settings []string // of a server that uses it
}

// openVault is OpenBao's own vault where BAO_ADDR and BAO_TOKEN name one, else the fake, which shares the machine and which stop ends. The token goes into
// a file of a directory.
func openVault(dir string) (_ benchVault, stop func(), err error) {
	address, token, name := os.Getenv("BAO_ADDR"), os.Getenv("BAO_TOKEN"), "a real vault"
	stop = func() {}
	if address == "" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return benchVault{}, nil, err
		}
		fake := &http.Server{Handler: bao.New(nil, benchToken)}
		go func() { _ = fake.Serve(listener) }()
		stop = func() { _ = fake.Close() }
		address, token, name = "http://"+listener.Addr().String(), benchToken, "the fake vault"
	}
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		stop()
		return benchVault{}, nil, err
	}
	return benchVault{name, []string{"--vault", "openbao", "--vault-addr", address, "--vault-token-file", file}}, stop, nil
}
