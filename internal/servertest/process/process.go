// Package process runs the built binary as a server in a process of its own, for tests that stop, freeze and kill it. Only tests import it.
package process

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build builds the program into a directory and returns its path.
func Build(dir string) (string, error) {
	binary := filepath.Join(dir, "forgecroft")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/forgecroft/forgecroft/cmd/forgecroft").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return binary, nil
}

// Server is a server that was started.
type Server struct {
	URL string       // where it listens
	Cmd *exec.Cmd    // its process
	Log bytes.Buffer // what it logged; complete once it has ended

	stdout lines
	ended  chan struct{} // closed when it says no more
	wait   func() error
}

// Start starts a server and returns once it says where it listens. One that ends before is an error with all that it said, and is
// returned as well.
func Start(cmd *exec.Cmd) (*Server, error) {
	s := &Server{Cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &s.Log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	if err := cmd.Start(); err != nil {
		return s, err
	}
	s.wait = sync.OnceValue(func() error { <-s.ended; return cmd.Wait() })
	go s.read(stdout)
	if !s.listens() {
		return s, fmt.Errorf("the server did not start: %w\n%s%s", s.Wait(), &s.stdout, &s.Log)
	}
	return s, nil
}

// read collects what the server says until it ends.
func (s *Server) read(stdout io.Reader) {
	defer close(s.ended)
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		s.stdout.add(scanner.Text())
	}
}

// listens waits for the address; false if the server ended before.
func (s *Server) listens() bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, after, found := strings.Cut(s.stdout.String(), "listens on "); found {
			s.URL, _, _ = strings.Cut(after, " ")
			return true
		}
		select {
		case <-s.ended:
			return false
		case <-tick.C:
		}
	}
}

// Said is what the server wrote to standard output.
func (s *Server) Said() string { return s.stdout.String() }

// Signal sends it a signal.
func (s *Server) Signal(signal syscall.Signal) { _ = s.Cmd.Process.Signal(signal) }

// Wait waits until it has ended; an exit code that is not 0 is an error.
func (s *Server) Wait() error { return s.wait() }

// Stop ends it with a signal and returns the code that it ended with.
func (s *Server) Stop(signal syscall.Signal) int {
	s.Signal(signal)
	_ = s.Wait()
	return s.Cmd.ProcessState.ExitCode()
}

// Kill ends it at once, as the end of a test must.
func (s *Server) Kill() { s.Stop(syscall.SIGKILL) }

// lines collects lines.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}
