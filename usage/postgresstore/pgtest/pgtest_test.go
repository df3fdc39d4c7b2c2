package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// asked makes a process of the test binary one that starts a server, says where
// and waits to be killed.
const asked = "PGTEST_START_AND_WAIT"

func TestMain(m *testing.M) {
	if os.Getenv(asked) == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.dir)
	fmt.Println(s.Addr())
	select {}
}

// versions are those that are promised to the tests of this repository.
var versions = []int{0, 18}

func TestDatabase(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			s := Shared(t, version)
			if s != Shared(t, version) {
				t.Error("Shared started a second server")
			}
			if version != 0 {
				check(t, s, "postgres", fmt.Sprintf("DO $$ BEGIN ASSERT current_setting('server_version_num')::int / 10000 = %d; END $$", version))
			}
			one, err := s.CreateDatabase(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			two, err := s.CreateDatabase(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			check(t, s, one, "CREATE TABLE only_here (x int)")
			if err := s.exec(t.Context(), two, "SELECT FROM only_here"); err == nil || !strings.Contains(err.Error(), "does not exist") {
				t.Errorf("a table of one database in another one: %v", err)
			}
			if err := s.DropDatabase(t.Context(), one); err != nil {
				t.Error(err)
			}
			if err := s.exec(t.Context(), one, "SELECT 1"); err == nil {
				t.Error("the database is there after it was dropped")
			}
			if url := s.Database(t); !strings.Contains(url, s.Addr()+"/test_") {
				t.Errorf("the URL of a database is %q", url)
			}
		})
	}
}

// TestKill holds that what was committed is there after the server was killed,
// and that all of its processes are gone when Kill returns.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			s := Run(t, &Options{Version: version, Fsync: true, Settings: map[string]string{"work_mem": "5MB"}})
			check(t, s, "postgres", "DO $$ BEGIN ASSERT current_setting('fsync') = 'on' AND current_setting('work_mem') = '5MB'; END $$")
			check(t, s, "postgres", "CREATE TABLE kept (x int)")
			for i := range 3 {
				check(t, s, "postgres", fmt.Sprintf("INSERT INTO kept VALUES (%d)", i))
				busy, err := net.Dial("tcp", s.Addr())
				if err != nil {
					t.Fatal(err)
				}
				defer busy.Close()
				if err := s.Kill(t.Context()); err != nil {
					t.Fatal(err)
				}
				if c, err := net.Dial("tcp", s.Addr()); err == nil {
					c.Close()
					t.Fatal("the server takes connections after Kill")
				}
				if err := s.Kill(t.Context()); err != nil {
					t.Fatalf("killing a server that is down: %v", err)
				}
				if err := s.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				check(t, s, "postgres", fmt.Sprintf("DO $$ BEGIN ASSERT (SELECT count(*) FROM kept) = %d; END $$", i+1))
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	Shared(t, 0) // skips where there is none
	s, err := Start(t.Context(), &Options{Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("the error is %v", err)
	}
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("USAGEBOOK_INSTALL", "")
	if os.Getuid() == 0 {
		// Root installs; here that has to fail, with no apt-get on the path.
		t.Setenv("PATH", t.TempDir())
	}
	if _, err := Start(t.Context(), &Options{Version: 9}); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("the error is %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	Shared(t, 0)
	s, err := Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after Close: %v", err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("Start after Close")
	}
}

// TestServerEndsWithProcess kills a process that has started a server.
func TestServerEndsWithProcess(t *testing.T) {
	t.Parallel()
	Shared(t, 0)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asked+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	dir := lines.Text()
	if !lines.Scan() {
		t.Fatal(dir)
	}
	addr := lines.Text()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is still there", dir)
		}
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the server outlived its process")
	}
}

// check runs a statement that has to succeed.
func check(t *testing.T, s *Server, database, statement string) {
	t.Helper()
	if err := s.exec(t.Context(), database, statement); err != nil {
		t.Fatal(err)
	}
}
