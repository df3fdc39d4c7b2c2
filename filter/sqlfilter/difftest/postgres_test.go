package difftest

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// errNoPostgres is the one reason for which a test may be skipped, outside CI.
var errNoPostgres = errors.New("there is no PostgreSQL here; filter/sqlfilter/difftest/install-postgres installs it")

// postgres is the server of this process. It is started by the first test that
// needs it, so that a run of the others needs none.
var postgres struct {
	once sync.Once
	dsn  string
	err  error
	stop func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if postgres.stop != nil {
		postgres.stop()
	}
	os.Exit(code)
}

// postgresDSN returns how to reach the server.
func postgresDSN(t testing.TB) string {
	t.Helper()
	postgres.once.Do(func() {
		postgres.dsn, postgres.stop, postgres.err = startPostgres()
	})
	switch {
	case errors.Is(postgres.err, errNoPostgres) && os.Getenv("CI") == "":
		t.Skip(postgres.err)
	case postgres.err != nil:
		t.Fatal(postgres.err)
	}
	return postgres.dsn
}

func startPostgres() (dsn string, stop func(), err error) {
	bin, err := postgresBin()
	if err != nil {
		return "", nil, err
	}
	// Another process may take the port between the search and the start.
	for range 3 {
		if dsn, stop, err = serve(bin); err == nil {
			return dsn, stop, nil
		}
	}
	return "", nil, fmt.Errorf("starting PostgreSQL of %s: %w", bin, err)
}

// postgresBin returns the folder of the newest PostgreSQL, after installing one
// where that is wanted.
func postgresBin() (string, error) {
	if bin := findPostgres(); bin != "" {
		return bin, nil
	}
	if os.Getenv("CI") == "" && os.Getenv("USAGEBOOK_INSTALL") == "" && os.Getuid() != 0 {
		return "", errNoPostgres
	}
	out, err := exec.Command("./install-postgres").CombinedOutput()
	if bin := findPostgres(); bin != "" {
		return bin, nil
	}
	return "", fmt.Errorf("%w: %w: %s", errNoPostgres, err, out)
}

func findPostgres() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if initdb, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(initdb))
	}
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "pg_ctl")) {
			return dir
		}
	}
	return ""
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// serve runs serve-postgres, which stops with this process.
func serve(bin string) (dsn string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "usagebook-postgres-")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	password := rand.Text()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600); err != nil {
		return "", nil, err
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	// The script is read here and not there: the server's user may not be able to
	// read this folder.
	script, err := os.ReadFile("serve-postgres")
	if err != nil {
		return "", nil, err
	}
	args := []string{"sh", "-c", string(script), "serve-postgres", bin, dir, strconv.Itoa(port)}
	if os.Getuid() == 0 {
		if args, err = asServerUser(dir, args); err != nil {
			return "", nil, err
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		stop()
		return "", nil, fmt.Errorf("the server did not start: %s", stderr.String())
	}
	return fmt.Sprintf("postgres://test:%s@127.0.0.1:%d/postgres?sslmode=disable", password, port), stop, nil
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
	uid, _ := strconv.Atoi(found.Uid)
	gid, _ := strconv.Atoi(found.Gid)
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

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
