package durabletest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// roleVariable makes a process of the test binary a child: it holds a role.
const roleVariable = "USAGEBOOK_DURABLETEST_ROLE"

// role is what a child is to do.
type role struct {
	// Name is "append", "share" or "work".
	Name string
	// Store names the store: see openStore.
	Store string
	Seed  uint64

	// From is the first batch of each writer, of an appender.
	From []int

	// Share is the part of a child that writes beside others.
	Share share
}

func TestMain(m *testing.M) {
	text, child := os.LookupEnv(roleVariable)
	if !child {
		os.Exit(m.Run())
	}
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		say("error", err)
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		// The input ends with the parent, or when it wants no more.
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var err error
	switch r.Name {
	case "append":
		err = appendRole(ctx, &r)
	case "share":
		err = shareRole(ctx, &r)
	case "work":
		err = workRole(ctx, &r)
	default:
		err = fmt.Errorf("there is no role %q", r.Name)
	}
	if err != nil && ctx.Err() == nil {
		say("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

var saying sync.Mutex

// say tells the parent something, in a line of its own that is written at once.
func say(words ...any) {
	line := strings.ReplaceAll(strings.TrimSuffix(fmt.Sprintln(words...), "\n"), "\n", " ") + "\n"
	saying.Lock()
	defer saying.Unlock()
	os.Stdout.WriteString(line)
}

// child is a process of the test binary.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	// heard is closed when all that the child has said was heard.
	heard  chan struct{}
	stderr strings.Builder
}

// start starts a child. hear gets each line that it says, one after the other.
func start(t testing.TB, r *role, hear func(words []string)) *child {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	c := &child{cmd: exec.Command(os.Args[0]), heard: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+string(text))
	c.cmd.Stderr = &c.stderr
	in, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	c.stdin = in
	t.Cleanup(func() { c.kill() })
	go func() {
		defer close(c.heard)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			hear(strings.Fields(lines.Text()))
		}
	}()
	return c
}

// kill sends SIGKILL and returns when the process is gone and all it had said
// was heard.
func (c *child) kill() {
	c.cmd.Process.Kill()
	<-c.heard
	c.cmd.Wait()
}

// end lets the child come to its own end.
func (c *child) end() error {
	c.stdin.Close()
	<-c.heard
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, c.stderr.String())
	}
	return nil
}

// times is how many of something to do: n under no other wish.
func times(n int) int {
	if more, err := strconv.Atoi(os.Getenv("USAGEBOOK_DURABLE")); err == nil && more > 0 {
		return n * more
	}
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}
