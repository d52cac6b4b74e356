package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	startTime = 30 * time.Second
	stopTime  = 30 * time.Second
	pollTime  = 10 * time.Millisecond
)

// server is the real binary as a process, with everything it keeps in dir.
type server struct {
	binary   string
	dir      string
	listen   string
	url      string
	environ  []string
	ownerKey string // path of a file
	logFile  string // all starts write to it

	cmd  *exec.Cmd
	done chan error // has the end of cmd
}

// newServer chooses a free port.
func newServer(binary, dir string, environ []string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	listen := listener.Addr().String()
	return &server{
		binary: binary, dir: dir, listen: listen, url: "http://" + listen, environ: environ,
		ownerKey: filepath.Join(dir, "owner.key"), logFile: filepath.Join(dir, "server.log"),
	}, listener.Close()
}

// start starts the process and returns when it is ready. Its process group is its own, so that Ctrl-C leaves its end to [server.stop].
func (s *server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has it
	cmd := exec.Command(s.binary, "server", "--data-dir", filepath.Join(s.dir, "data"), "--listen", s.listen, "--owner-key-file", s.ownerKey)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.environ, s.dir, log, log
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the server (built with: make build): %w", err)
	}
	s.cmd, s.done = cmd, make(chan error, 1)
	go func() { s.done <- cmd.Wait() }()
	return s.awaitReady(ctx)
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	ticker := time.NewTicker(pollTime)
	defer ticker.Stop()
	for !s.ready(ctx) {
		select {
		case err := <-s.done:
			s.cmd = nil
			return fmt.Errorf("the server ended at once: %v\n%s", err, s.log())
		case <-ctx.Done():
			return fmt.Errorf("the server did not get ready: %w", ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

func (s *server) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
	if err != nil {
		return false
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return reply.Body.Close() == nil && reply.StatusCode == http.StatusOK
}

// stop ends the process as an operator would, and complains if it does not end well.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	select {
	case err := <-s.done:
		if err != nil {
			return fmt.Errorf("stopping the server: %w\n%s", err, s.log())
		}
		return nil
	case <-time.After(stopTime):
		err := errors.Join(errors.New("the server did not stop"), cmd.Process.Kill())
		<-s.done
		return err
	}
}

func (s *server) log() []byte {
	text, _ := os.ReadFile(s.logFile) // it explains another failure; without it that failure still stands
	return text
}
