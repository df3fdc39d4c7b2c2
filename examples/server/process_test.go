//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binaryDir holds the binary, empty until there is one.
var binaryDir string

// binary is the server, built by the first test that needs it.
var binary = sync.OnceValues(func() (name string, err error) {
	if binaryDir, err = os.MkdirTemp("", "server"); err != nil {
		return "", err
	}
	name = filepath.Join(binaryDir, "server")
	if out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

// process is a server in a process of its own.
type process struct {
	cmd    *exec.Cmd
	addr   string
	stderr *strings.Builder
	exit   chan error
}

func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	return spawnIn(t, ".", args...)
}

// spawnIn is spawn in a working directory.
func spawnIn(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	name, err := binary()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(name, append([]string{"-addr", "127.0.0.1:0"}, args...)...), stderr: &strings.Builder{}, exit: make(chan error, 1)}
	p.cmd.Dir = dir
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	p.addr = strings.TrimSpace(strings.TrimPrefix(line, "listening on http://"))
	go func() { p.exit <- p.cmd.Wait() }()
	return p
}

// signal sends a signal and waits until nobody listens any more: the server closes
// connections that are idle after it has closed its listener.
func (p *process) signal(t *testing.T) {
	t.Helper()
	idle, err := net.Dial("tcp", p.addr)
	require.NoError(t, err)
	defer idle.Close()
	_, err = io.WriteString(idle, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(idle)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	_, err = in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	_, err = net.Dial("tcp", p.addr)
	require.Error(t, err, "nobody listens")
}

// half sends a request whose body comes later, and returns once a handler waits for it.
func (p *process) half(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /v1/records HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer demo-acme\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(record))
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	return conn, in
}

// TestSignal: after SIGTERM the real process finishes its requests and ends with 0.
func TestSignal(t *testing.T) {
	t.Parallel()
	p := spawn(t, "-store", "mem", "-config", "config.json", "-meter")
	conn, in := p.half(t)
	p.signal(t)
	_, err := io.WriteString(conn, record)
	require.NoError(t, err)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, string(body), `"inserted":1`)
	require.NoError(t, <-p.exit, p.stderr)
	require.Empty(t, p.stderr.String(), "there was nothing to complain of")
}

// TestSecondSignal: whoever sends two does not want to wait.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	p := spawn(t, "-store", "mem", "-config", "config.json")
	p.half(t)
	p.signal(t)
	for {
		// The first is dealt with by two goroutines: that nobody listens any more does
		// not say that the second has come so far.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-p.exit:
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			status, ok := exit.Sys().(syscall.WaitStatus)
			require.True(t, ok)
			require.True(t, status.Signaled() && status.Signal() == syscall.SIGTERM, "%s\n%s", exit, p.stderr)
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestExitCodes: 0 for help, 2 for flags, 1 for all else, each with its reason.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	name, err := binary()
	require.NoError(t, err)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-help"}, 0, "-config file"},
		{[]string{"-port", "1"}, 2, "flag provided but not defined: -port"},
		{[]string{"-store", "disk"}, 1, "server: -store disk: there is no such store; mem, sqlite:FILE and postgres:DSN are there\n"},
	} {
		cmd := exec.CommandContext(t.Context(), name, test.args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if test.code != 0 {
			require.True(t, errors.As(err, &exit), err)
			require.Equal(t, test.code, exit.ExitCode())
		} else {
			require.NoError(t, err)
		}
		require.Contains(t, stderr.String(), test.want)
		require.Equal(t, 1, strings.Count(stderr.String(), test.want), "it is said once")
	}
}
