package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// request is one request of a load, written out beforehand so that the client costs as little as possible.
type request []byte

// newRequest writes a request out.
func newRequest(s *server, method, path, body string) request {
	return request(fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, s.address, s.key, len(body), body))
}

// result is what a load measured.
type result struct {
	requests  int
	elapsed   time.Duration
	latencies []time.Duration // sorted
}

// rate is requests per second.
func (r result) rate() float64 { return float64(r.requests) / r.elapsed.Seconds() }

// percentile is a latency below which p of all requests were.
func (r result) percentile(p float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[min(len(r.latencies)-1, int(p*float64(len(r.latencies))))]
}

// load sends requests over some connections until the time is over. next yields the n-th request.
func load(ctx context.Context, s *server, connections int, length time.Duration, next func(n int) request) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var count atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var failures []error
	var group sync.WaitGroup
	addresses := s.addresses()
	began := time.Now()
	for i := range connections {
		group.Go(func() {
			latencies, err := drive(ctx, addresses[i%len(addresses)], func() request { return next(int(count.Add(1))) })
			mu.Lock()
			defer mu.Unlock()
			all = append(all, latencies...)
			failures = append(failures, err)
		})
	}
	group.Wait()
	slices.Sort(all)
	return result{len(all), time.Since(began), all}, errors.Join(failures...)
}

// drive sends one request after the other over one connection.
func drive(ctx context.Context, address string, next func() request) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16<<10)
	var latencies []time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := conn.Write(next()); err != nil {
			return latencies, err
		}
		status, err := discard(reader)
		if err != nil {
			return latencies, fmt.Errorf("reading a response: %w", err)
		}
		if status >= 300 {
			return latencies, fmt.Errorf("the server answered %d", status)
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies, nil
}

// discard reads one response and returns its status.
func discard(r *bufio.Reader) (status int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("status line %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return status, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return status, err
			}
		}
	}
	if length < 0 && status != 204 {
		return status, errors.New("a response without a length")
	}
	_, err = io.CopyN(io.Discard, r, int64(max(length, 0)))
	return status, err
}
