package clienttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// examples is the module of the server.
const examples = "../../examples"

// The tokens of the tests. Those of the demonstration configuration are valid as well.
const (
	admin    = "demo-admin"     // all tenants and rights, at home in demo
	acme     = "demo-acme"      // acme's own
	globex   = "test-globex"    // globex's own, with the rights of acme
	both     = "test-both"      // holds acme and globex
	nobody   = "test-nobody"    // acme, without any right
	stranger = "test-no-caller" // in no configuration
)

// deadline is how long the server may take for anything; what takes longer has failed.
const deadline = 60 * time.Second

// binary is the server of this run, built by the first test that needs it.
var binary struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

func build(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "clienttest"); binary.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", binary.dir, "./server")
		cmd.Dir = examples
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("go build ./server in %s: %w\n%s", examples, err, out)
		}
	})
	require.NoError(t, binary.err)
	return filepath.Join(binary.dir, "server")
}

// settings are keys of the server's configuration.
type settings map[string]any

type principal struct {
	Subject     string   `json:"subject"`
	Home        string   `json:"home,omitempty"`
	Tenants     []string `json:"tenants"`
	Roles       []string `json:"roles,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
}

// limits sets the rate of a class of routes to one request in two seconds.
func limits(class string) settings {
	return settings{"limits": settings{"rates": settings{class: settings{"perSecond": 0.5, "burst": 1}}}}
}

// configuration writes the demonstration's, with the tokens of the tests besides its own and
// with other settings in the place of its own.
func configuration(t *testing.T, other settings) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, "server", "config.json"))
	require.NoError(t, err)
	var config map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &config))
	var tokens map[string]any
	require.NoError(t, json.Unmarshal(config["tokens"], &tokens))
	require.Contains(t, tokens, admin)
	require.Contains(t, tokens, acme)

	roles := []string{"Account Member", "Reader"}
	permissions := []string{"usage:organization:view", "usage:client:view", "usage:simpleSearch:view", "uts:usages:read", "uts:usages:write"}
	maps.Copy(tokens, settings{
		globex: principal{Subject: globex, Home: "globex", Tenants: []string{"globex"}, Roles: roles, Permissions: permissions},
		both:   principal{Subject: both, Home: "acme", Tenants: []string{"acme", "globex"}, Roles: roles, Permissions: permissions},
		nobody: principal{Subject: nobody, Home: "acme", Tenants: []string{"acme"}},
	})
	merged := settings{}
	for key, value := range config {
		merged[key] = value
	}
	merged["tokens"] = tokens
	maps.Copy(merged, other)
	text, err = json.MarshalIndent(merged, "", "\t")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// server is a running server with an empty book of its own.
type server struct {
	url    string
	booked int // records, for their ids
}

// start runs the server until the end of the test. It ends by SIGTERM, and has to end well.
func start(t *testing.T, other settings) *server {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(build(t), "-addr", "127.0.0.1:0", "-store", "mem", "-config", configuration(t, other))
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	ready := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				ready <- url
				break
			}
		}
		io.Copy(io.Discard, out)
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		var err error
		select {
		case err = <-ended:
		case <-time.After(deadline):
			cmd.Process.Kill()
			err = errors.Join(errors.New("it does not stop on SIGTERM"), <-ended)
		}
		if err != nil {
			t.Errorf("the server ended badly: %v", err)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", &log)
		}
	})
	select {
	case url := <-ready:
		return &server{url: url}
	case err := <-ended:
		ended <- nil
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(deadline):
		t.Fatal("the server does not become ready")
	}
	return nil
}

// record is a record on the native route.
type record struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Tenant     string            `json:"tenant"`
	Meter      string            `json:"meter"`
	Start      time.Time         `json:"start"`
	Values     map[string]string `json:"values"`
	Dimensions map[string]any    `json:"dimensions,omitempty"`
}

// book writes records through the native route, each under an id of its own; all of them have
// to be new.
func (s *server) book(t *testing.T, records ...record) {
	t.Helper()
	for i := range records {
		s.booked++
		records[i].ID, records[i].Source = fmt.Sprint(s.booked), t.Name()
	}
	for batch := range slices.Chunk(records, 200) {
		body := bytes.NewReader(marshal(t, settings{"records": batch}))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/records", body)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+admin)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
		var receipt struct{ Inserted int }
		require.NoError(t, json.Unmarshal(text, &receipt))
		require.Equal(t, len(batch), receipt.Inserted, "%s", text)
	}
}

// marshal writes compact JSON with sorted keys, in which text is as it is.
func marshal(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(v))
	return bytes.TrimSpace(out.Bytes())
}

// eventually asks until the answer is final.
func eventually(t *testing.T, final func() bool) {
	t.Helper()
	end := time.After(deadline)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !final() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("there is no final answer")
		}
	}
}

// today is the UTC day on which the tests began. What they ask for lies some days back, so that
// a midnight in between changes nothing.
var today = time.Now().UTC().Truncate(24 * time.Hour)

// day is the UTC midnight of today and so many days.
func day(n int) time.Time { return today.AddDate(0, 0, n) }
