package runner

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that the child gets when we get them.
func forwarded() []os.Signal {
	return []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT,
	}
}

// signals are caught from before the child starts until it has ended, so that none ends the wrapper before the key files are gone.
type signals struct {
	caught chan os.Signal
	done   chan struct{}
}

// catch begins to catch signals.
func catch() *signals {
	s := &signals{caught: make(chan os.Signal, 16), done: make(chan struct{})}
	list := forwarded()
	if foreground() {
		list = list[:len(list)-2] // The terminal stops and continues both; a stopped wrapper gives the shell its job control.
	}
	signal.Notify(s.caught, list...)
	return s
}

// stop gives signals their old meaning.
func (s *signals) stop() {
	signal.Stop(s.caught)
	close(s.done)
}

// forward passes signals on to the child. Those that the terminal sends to the whole foreground group the child has got already.
func (s *signals) forward(child *os.Process) {
	go func() {
		for {
			select {
			case <-s.done:
				return
			case sig := <-s.caught:
				if !fromTerminal(sig) {
					_ = child.Signal(sig)
				}
				if sig == syscall.SIGTSTP {
					_ = unix.Kill(os.Getpid(), unix.SIGSTOP) // Stop as well, until SIGCONT, which is passed on.
				}
			}
		}
	}()
}

// fromTerminal reports whether a signal has come from the terminal, as far as one can tell: one that terminals send, while we are in the foreground.
func fromTerminal(sig os.Signal) bool {
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH:
		return foreground()
	default:
		return false
	}
}

// foreground reports whether we are in the foreground group of a terminal, which gets the terminal's signals as a whole.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
