package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// serveEmpty answers everything with nothing, for scale: what net/http itself costs on this machine.
func serveEmpty() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") }))
}

// measureScale measures what the machine gives, to read the other rows by: an empty handler and a durable write.
func measureScale(ctx context.Context, o options, t *table) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-serve-empty")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	address := make([]byte, 64)
	n, err := out.Read(address)
	if err != nil {
		return err
	}
	s := &server{address: strings.TrimSpace(string(address[:n]))}
	empty := newRequest(s, "GET", "/", "")
	var rates []string
	for _, connections := range []int{1, 8, 64} {
		r, err := load(ctx, s, connections, o.length/2, func(int) request { return empty })
		if err != nil {
			return err
		}
		rates = append(rates, fmt.Sprintf("%.0f/s", r.rate()))
	}
	t.add("for scale: an empty net/http handler, 1, 8, 64 connections", "23k, 39k, 39k where the goals come from", "%s", strings.Join(rates, ", "))
	sync, err := syncTime()
	t.add("for scale: 4 KiB written and synced", "0.18 ms where the goals come from", "%s", ms(sync))
	return err
}

// syncTime is the median time of a durable write of one page.
func syncTime() (time.Duration, error) {
	file, err := os.CreateTemp("", "forgecroft-bench-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	page := make([]byte, 4096)
	times := make([]time.Duration, 301)
	for i := range times {
		began := time.Now()
		if _, err := file.Write(page); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(began)
	}
	return middle(times), nil
}
