package pgtest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"
)

// patience is how long a start may take, which is not for ever.
const patience = 2 * time.Minute

// shared are the servers of this process by version. Each is started by the
// first test that needs it, so that a run of the others needs none.
var shared struct {
	sync.Mutex
	servers map[int]func() (*Server, error)
}

// Shared returns the server of a major version, or with 0 of any, that all tests
// of this process use. It starts it when none has; it ends with the process.
// Where there is no such PostgreSQL the test is skipped, or fails where the
// environment variable CI is set.
func Shared(t testing.TB, version int) *Server {
	t.Helper()
	shared.Lock()
	if shared.servers == nil {
		shared.servers = map[int]func() (*Server, error){}
	}
	get, ok := shared.servers[version]
	if !ok {
		get = sync.OnceValues(func() (*Server, error) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return Start(ctx, &Options{Version: version})
		})
		shared.servers[version] = get
	}
	shared.Unlock()
	s, err := get()
	need(t, err)
	return s
}

// Run starts a server that is the test's alone and ends with it, and skips or
// fails as Shared does.
func Run(t testing.TB, opts *Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := Start(ctx, opts)
	need(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of the server ends so:\n%s", s.Log(4096))
		}
		if err := s.Close(); err != nil {
			t.Errorf("stopping PostgreSQL: %v", err)
		}
	})
	return s
}

// Database makes a database for a test, which is dropped after it, and returns
// its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name, err := s.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A server that the test has killed, or closed, has nothing to drop.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.DropDatabase(ctx, name)
	})
	return s.URL(name)
}

// need judges whether a test can go on.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}
