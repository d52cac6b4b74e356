package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
)

// benchToken is what the fake vault takes.
const benchToken = "s.EXAMPLEbench"

// measureReplicas measures deliveries through PostgreSQL and a vault: OpenBao's own where BAO_ADDR and BAO_TOKEN name one, else the fake, which
// shares the machine too.
func measureReplicas(ctx context.Context, o options, t *table) error {
	if o.database == "" {
		t.add("delivery on PostgreSQL and a vault", "≥ 3,000/s; p99 ≤ 60 ms", "not measured: -database names no empty database")
		return nil
	}
	dir, err := os.MkdirTemp("", "forgecroft-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	address, token, vault := os.Getenv("BAO_ADDR"), os.Getenv("BAO_TOKEN"), "a real vault"
	if address == "" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fake := &http.Server{Handler: bao.New(nil, benchToken)}
		go func() { _ = fake.Serve(listener) }()
		defer fake.Close()
		address, token, vault = "http://"+listener.Addr().String(), benchToken, "the fake vault"
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600); err != nil {
		return err
	}
	settings := []string{"--vault", "openbao", "--vault-addr", address, "--vault-token-file", filepath.Join(dir, "token"), "--key-file", filepath.Join(dir, "vault.key")}
	environ := []string{"FORGECROFT_DATABASE_URL=" + o.database}
	s, err := startWith(ctx, o.binary, settings, environ)
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
			peer, err := startWith(ctx, o.binary, settings, environ)
			if err != nil {
				return err
			}
			s.peers = append(s.peers, peer)
		}
		for _, connections := range []int{1, 64} {
			if _, err := load(ctx, s, connections, o.length/5, func(int) request { return two }); err != nil { // warm-up
				return err
			}
			r, err := load(ctx, s, connections, o.length, func(int) request { return two })
			if err != nil {
				return err
			}
			goal := ""
			if connections == 64 {
				goal = "≥ 3,000/s; p99 ≤ 60 ms"
			}
			t.add(fmt.Sprintf("delivery, %d replicas on PostgreSQL and %s, %d connections", replicas, vault, connections), goal,
				"%.0f/s; p50 %s, p99 %s", r.rate(), ms(r.percentile(0.5)), ms(r.percentile(0.99)))
		}
	}
	return nil
}
