//go:build unix

package runner

import (
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that the child gets when we get them.
func forwarded() []os.Signal {
	return []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT,
	}
}

// signals are caught from before there are key files until they are gone, so that none ends the
// wrapper in between.
type signals struct {
	caught chan os.Signal
	done   chan struct{}
}

// catch begins to catch signals. Those that we were started to ignore (nohup) stay ignored, and so
// they do in the child.
func catch() *signals {
	s := &signals{caught: make(chan os.Signal, 16), done: make(chan struct{})}
	list := append(forwarded(), syscall.SIGPIPE) // SIGPIPE must not end us either, when nobody reads the output.
	if foreground() {
		// The terminal stops and continues both; a stopped wrapper gives the shell its job control.
		list = slices.DeleteFunc(list, func(sig os.Signal) bool { return sig == syscall.SIGTSTP || sig == syscall.SIGCONT })
	}
	list = slices.DeleteFunc(list, signal.Ignored)
	if len(list) > 0 { // An empty list would mean all.
		signal.Notify(s.caught, list...)
	}
	return s
}

// stop gives signals their old meaning.
func (s *signals) stop() {
	signal.Stop(s.caught)
	close(s.done)
}

// forward passes signals on to the child, also those that came before it was there.
func (s *signals) forward(child *os.Process) {
	for {
		select {
		case <-s.done:
			return
		case sig := <-s.caught:
			if sig == syscall.SIGPIPE || fromTerminal(sig) {
				continue
			}
			_ = child.Signal(sig) // It may have ended.
			if sig == syscall.SIGTSTP {
				_ = unix.Kill(os.Getpid(), unix.SIGSTOP) // Stop as well, until SIGCONT, which is passed on.
			}
		}
	}
}

// fromTerminal reports whether the child has got a signal from the terminal already. Who sent a
// signal cannot be told in Go; so while both are in the terminal's foreground group, those that it
// sends to the whole group are taken to come from it. Use SIGTERM to end the wrapper with kill(1)
// there.
func fromTerminal(sig os.Signal) bool {
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH:
		return foreground()
	default:
		return false
	}
}

// foreground reports whether we are in the foreground group of our terminal, which gets the
// terminal's signals as a whole. It asks the controlling terminal, not stdin: that one sends the
// signals, wherever stdin comes from.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
