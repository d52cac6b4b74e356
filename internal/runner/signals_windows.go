package runner

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are caught from before there are key files until they are gone, so that none ends the
// wrapper in between.
type signals struct {
	caught chan os.Signal
	done   chan struct{}
}

// catch begins to catch Ctrl-C and Ctrl-Break (SIGINT), and the closing of the console or the end
// of the session (SIGTERM). The console sends them to every process in it, so the child gets them,
// too.
func catch() *signals {
	s := &signals{caught: make(chan os.Signal, 16), done: make(chan struct{})}
	signal.Notify(s.caught, os.Interrupt, syscall.SIGTERM)
	return s
}

// stop gives signals their old meaning.
func (s *signals) stop() {
	signal.Stop(s.caught)
	close(s.done)
}

// forward waits: the child has got the signals, and its end is this process's.
func (s *signals) forward(*os.Process) {
	for {
		select {
		case <-s.done:
			return
		case <-s.caught:
		}
	}
}
