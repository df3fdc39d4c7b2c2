package pgtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	_ "embed"
)

// ErrNotInstalled: there is no PostgreSQL of the version that was asked for, and
// it could not be installed or was not to be.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

// Options are the settings of a server. The zero value is a server of any
// version that is made for speed.
type Options struct {
	// Version is the major version, such as 15. Defaults to the newest that the
	// system has.
	Version int

	// Fsync makes the server write to stable storage what it has committed, as
	// servers do that are to keep their data. Defaults to off: what a server
	// has committed outlives its own end but not that of the machine.
	Fsync bool

	// Dir is where the folder of the server is made. Defaults to os.TempDir. In
	// one that lies in memory, writing to stable storage costs next to nothing,
	// and a server that is killed loses no less.
	Dir string

	// Settings are further settings, as in postgresql.conf.
	Settings map[string]string
}

// Server is a server that runs until [Server.Close], or until the process ends.
// It is safe for concurrent use.
type Server struct {
	dir      string
	port     int
	password string

	mu     sync.Mutex // held while the script is asked
	in     io.WriteCloser
	out    *bufio.Reader
	cmd    *exec.Cmd
	stderr *strings.Builder // read after cmd.Wait alone
	closed bool
}

//go:embed serve
var serveScript string

// Start makes a cluster and starts a server of it. nil options are the zero
// options. The context is for the start alone.
func Start(ctx context.Context, opts *Options) (*Server, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	bin, err := programs(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	// Another process may take the port between the search and the start.
	for range 3 {
		var s *Server
		if s, err = start(ctx, bin, &o); err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("pgtest: starting PostgreSQL of %s: %w", bin, err)
}

func start(ctx context.Context, bin string, o *Options) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "usagebook-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, port: port, password: rand.Text(), stderr: new(strings.Builder)}
	if err := s.serve(bin, settings(o, port)); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := s.answer(ctx, "", "made"); err != nil {
		return nil, errors.Join(err, s.Close(), errors.New(s.stderr.String()))
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// settings are the arguments of the program postgres.
func settings(o *Options, port int) []string {
	all := map[string]string{
		"port":                    strconv.Itoa(port),
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"shared_buffers":          "32MB",
		"max_connections":         "200",
	}
	if !o.Fsync {
		all["fsync"] = "off"
		all["synchronous_commit"] = "off"
		all["full_page_writes"] = "off"
	}
	maps.Copy(all, o.Settings)
	var args []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}

// serve runs the script, which ends with this process.
func (s *Server) serve(bin string, settings []string) error {
	if err := os.WriteFile(filepath.Join(s.dir, "password"), []byte(s.password), 0o600); err != nil {
		return err
	}
	// The script is given as text: the server's user may not be able to read
	// where this package lies.
	args := append([]string{"sh", "-c", serveScript, "serve", bin, s.dir}, settings...)
	if os.Getuid() == 0 {
		var err error
		if args, err = asServerUser(s.dir, args); err != nil {
			return err
		}
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Dir = s.dir
	s.cmd.Stderr = s.stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.in, s.out = in, bufio.NewReader(out)
	return s.cmd.Start()
}

// answer gives the script a word, if any, and waits for an answer.
func (s *Server) answer(ctx context.Context, word, want string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("pgtest: the server is closed")
	}
	// Nothing else ends the wait for a script that hangs.
	defer context.AfterFunc(ctx, func() { s.cmd.Process.Kill() })()
	if word != "" {
		if _, err := io.WriteString(s.in, word+"\n"); err != nil {
			return err
		}
	}
	line, err := s.out.ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("pgtest: the script that runs the server has ended: %w", err)
	case line != want:
		return fmt.Errorf("pgtest: the server has %s; its log ends so:\n%s", line, s.Log(4096))
	}
	return nil
}

// Start starts the server again after Kill, on the same port and the same data.
// When it returns without error the server takes connections.
func (s *Server) Start(ctx context.Context) error {
	var err error
	// The processes of a server that was killed may hold its memory for a
	// moment longer, in which another one refuses to start.
	for range 20 {
		if err = s.answer(ctx, "start", "ready"); err == nil || !strings.Contains(s.Log(1024), "shared memory") {
			break
		}
	}
	return err
}

// Kill ends all processes of the server at once with SIGKILL: what it was doing
// is left as it is, and what was not on its way to storage is lost. When it
// returns the server is down.
func (s *Server) Kill(ctx context.Context) error { return s.answer(ctx, "kill", "killed") }

// Close stops the server and removes its data. Closing twice is not an error.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.in.Close()
	io.Copy(io.Discard, s.out)
	return s.cmd.Wait()
}

// URL returns how to reach a database of the server; one that is there always is
// postgres. The user is test, who may do anything.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://test:%s@%s/%s?sslmode=disable", s.password, s.Addr(), database)
}

// Addr returns the address that the server listens at.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Log returns the end of the server's log, of at most so many bytes; empty when
// there is none to be read.
func (s *Server) Log(most int) string {
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return ""
	}
	return string(log[max(0, len(log)-most):])
}

// asServerUser makes a command run as the user of the server, and the folder its
// own. PostgreSQL refuses to run as root.
func asServerUser(dir string, args []string) ([]string, error) {
	var found *user.User
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			found = u
			break
		}
	}
	if found == nil {
		return nil, errors.New("PostgreSQL refuses root, and there is no user postgres")
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{dir, filepath.Join(dir, "password")} {
		if err := os.Chown(name, uid, gid); err != nil {
			return nil, err
		}
	}
	if runuser, err := exec.LookPath("runuser"); err == nil {
		return append([]string{runuser, "-u", found.Username, "--"}, args...), nil
	}
	// su gives its shell what follows the user.
	return append([]string{"su", "-s", "/bin/sh", found.Username}, args[1:]...), nil
}

// freePort finds a port below those that systems give to connections going out:
// while a server is down, one of these may get its port, even the connection
// that somebody tries to make to it.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 16384 + mathrand.IntN(16384)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}
