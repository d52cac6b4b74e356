// Package pgserver starts a PostgreSQL server from the binaries that the operating system's package installs: a new cluster in a temporary
// directory, reached on loopback, gone afterwards. The tests use it by package pgtest, and the load driver as it is; it is no part of the binary.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that PostgreSQL is not on this machine, and how to install it.
var ErrMissing = errors.New("PostgreSQL is not on this machine (Debian: apt-get install postgresql)")

// Superuser and role are the roles of the cluster: one that makes databases, and one as Forgecroft should have it, which row-level security binds.
const (
	Superuser = "postgres"
	role      = "forgecroft"
)

// Server is a running PostgreSQL.
type Server struct {
	dir   string // the cluster's, and the socket's
	port  int
	owner *owner // who runs it; nil: this process's user
	cmd   *exec.Cmd
	done  chan struct{}
	leash io.Closer // lets the watchdog go
	count atomic.Int64
}

// New makes a cluster and starts its server. settings are lines for postgresql.conf. Without the binaries it is [ErrMissing].
func New(settings string) (*Server, error) {
	binaries, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{}
	if err := s.initialise(binaries, settings); err != nil {
		return nil, errors.Join(fmt.Errorf("making a PostgreSQL cluster: %w", err), os.RemoveAll(s.dir))
	}
	if err := s.watch(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the watchdog: %w", err), os.RemoveAll(s.dir))
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), s.leash.Close()) // The watchdog ends what there is, and removes it.
	}
	return s, nil
}

// watch starts a process that ends with ours, however that ends, and then stops the server and removes what it kept.
func (s *Server) watch() error {
	dog := exec.Command("sh", "-c", `trap "" INT TERM; cat; read -r pid <"$0/data/postmaster.pid" && kill -QUIT "$pid"; rm -rf "$0"`, s.dir)
	dog.SysProcAttr = attributes(nil)
	input, err := dog.StdinPipe()
	if err != nil {
		return err
	}
	s.leash = input
	return dog.Start()
}

// find returns the directory of the newest installed version's binaries.
func find() (string, error) {
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/postgres", "/usr/local/pgsql/bin/postgres", "/opt/homebrew/opt/postgresql@*/bin/postgres"} {
		paths, _ := filepath.Glob(pattern) // The patterns are well formed.
		found = append(found, paths...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", ErrMissing
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

// version reads the number from /usr/lib/postgresql/15/bin/postgres.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// initialise makes a cluster. PostgreSQL refuses to run as root: then the postgres user of the package runs it.
func (s *Server) initialise(binaries, settings string) (err error) {
	if s.dir, err = os.MkdirTemp("", "forgecroft-pg-*"); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := s.become(Superuser); err != nil {
			return err
		}
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	if out, err := s.command(filepath.Join(binaries, "initdb"), "-D", data, "-U", Superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	text := fmt.Sprintf("port = %d\nunix_socket_directories = '%s'\nlisten_addresses = '127.0.0.1'\nmax_connections = 200\nshared_buffers = 32MB\n%s\n", s.port, s.dir, settings)
	file, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	s.cmd = s.command(filepath.Join(binaries, "postgres"), "-D", data)
	return errors.Join(err, file.Close())
}

// become lets another user own and run the cluster.
func (s *Server) become(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.owner = &owner{uint32(uid), uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

// command runs a program as the cluster's owner.
func (s *Server) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + s.dir}
	cmd.SysProcAttr = attributes(s.owner)
	return cmd
}

// owner is a user who runs a server.
type owner struct{ uid, gid uint32 }

// freePort finds a port that nobody uses.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// Start starts the server, for the first time or after [Server.Stop] or [Server.Kill], and waits until it answers.
func (s *Server) Start() error {
	cmd := s.command(s.cmd.Path, s.cmd.Args[1:]...)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func() { _ = cmd.Wait(); close(s.done) }()
	deadline := time.Now().Add(30 * time.Second)
	for {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		err := s.Exec(ctx, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '"+role+"') THEN CREATE ROLE "+role+" LOGIN; END IF; END $$")
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("it ended at once:\n%s", &log)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// Exec runs a statement as the superuser.
func (s *Server) Exec(ctx context.Context, text string) error {
	c, err := pgx.Connect(ctx, s.URL(Superuser, Superuser))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, text)
	return errors.Join(err, c.Close(ctx))
}

// URL is the address of a database for a role.
func (s *Server) URL(role, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.User(role), Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
}

// Create makes a new, empty database that belongs to the role of Forgecroft, and returns its URL.
func (s *Server) Create(ctx context.Context) (string, error) {
	name := fmt.Sprintf("forgecroft_%d", s.count.Add(1))
	if err := s.Exec(ctx, "CREATE DATABASE "+name+" OWNER "+role); err != nil {
		return "", fmt.Errorf("making a database: %w", err)
	}
	return s.URL(role, name), nil
}

// Freeze stops every process of the server where it is, until [Server.Thaw].
func (s *Server) Freeze() { s.signalAll(signalStop) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signalAll(signalContinue) }

// signalAll sends a signal to the postmaster, which then starts no more processes, and to those that it has started: each is a session of its own.
func (s *Server) signalAll(signal syscall.Signal) {
	pid := s.cmd.Process.Pid
	_ = kill(pid, signal)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // Without it, only the postmaster is reached.
	for text := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(text); err == nil {
			_ = kill(child, signal)
		}
	}
}

// Kill ends every process of the server at once, as a power cut would.
func (s *Server) Kill() {
	s.signalAll(syscall.SIGKILL)
	<-s.done
	_ = os.Remove(filepath.Join(s.dir, "data", "postmaster.pid"))
}

// Halt ends the server as an administrator does: whoever is connected is cut off, and all that was written is in its files, until [Server.Start].
func (s *Server) Halt() {
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	<-s.done
}

// DataDir is where the server keeps everything, write-ahead logs included.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

// Stop ends the server and removes all that it kept.
func (s *Server) Stop() {
	s.Thaw()
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // at once: nobody needs it any more
	<-s.done
	_ = os.RemoveAll(s.dir)
	_ = s.leash.Close()
}
