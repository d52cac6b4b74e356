package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a running binary with its data directory.
type server struct {
	binary   string
	dir      string
	address  string
	key      string
	settings []string  // further arguments
	environ  []string  // further variables
	peers    []*server // replicas that share its database and vault
	cmd      *exec.Cmd
	log      *bytes.Buffer
}

// startServer starts the binary on a fresh data directory.
func startServer(ctx context.Context, binary string) (*server, error) {
	return startWith(ctx, binary, nil, nil)
}

// startWith starts the binary on a fresh data directory with further arguments and variables.
func startWith(ctx context.Context, binary string, settings, environ []string) (*server, error) {
	dir, err := os.MkdirTemp("", "forgecroft-bench-*")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{binary: binary, dir: dir, address: listener.Addr().String(), settings: settings, environ: environ}
	_ = listener.Close()
	if _, err := s.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	key, err := os.ReadFile(filepath.Join(dir, "owner.key"))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // Only the first of several replicas writes one.
		return nil, err
	}
	s.key = strings.TrimSpace(string(key))
	return s, nil
}

// start starts the binary and returns how long it took until it was ready.
func (s *server) start(ctx context.Context) (time.Duration, error) {
	s.log = &bytes.Buffer{}
	s.cmd = exec.CommandContext(ctx, s.binary, append([]string{
		"server", "--data-dir", filepath.Join(s.dir, "data"), "--listen", s.address, "--owner-key-file", filepath.Join(s.dir, "owner.key"), "--log-level", "warn",
	}, s.settings...)...)
	s.cmd.Env = append(os.Environ(), s.environ...)
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, s.log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	for time.Since(began) < 30*time.Second {
		if reply, err := http.Get("http://" + s.address + "/readyz"); err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				return time.Since(began), nil
			}
		}
		time.Sleep(500 * time.Microsecond)
	}
	return 0, fmt.Errorf("the server did not get ready: %s", s.log)
}

// kill ends the server as a crash would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// close ends the server and removes its data.
func (s *server) close() {
	for _, peer := range s.peers {
		peer.close()
	}
	s.kill()
	_ = os.RemoveAll(s.dir)
}

// addresses are those of the server and of its peers.
func (s *server) addresses() []string {
	all := []string{s.address}
	for _, peer := range s.peers {
		all = append(all, peer.address)
	}
	return all
}

// memory is the resident memory in MB, and the peak.
func (s *server) memory() (now, peak float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			now = kb * 1024 / 1e6
		case "VmHWM":
			peak = kb * 1024 / 1e6
		}
	}
	return now, peak
}

// cpuTime is the processor time that the server has used.
func (s *server) cpuTime() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux.
}

// cpuSince is what a request of r has cost the server, of a load that began when its CPU time was before.
func (s *server) cpuSince(before time.Duration, r result) string {
	return fmt.Sprintf("%.0f µs", float64((s.cpuTime()-before).Microseconds())/float64(r.requests))
}

// call makes one API call and decodes the answer into to.
func (s *server) call(method, path string, body, to any) error {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	req, err := http.NewRequest(method, "http://"+s.address+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	if reply.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, reply.StatusCode, answer)
	}
	if to == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, to)
}
