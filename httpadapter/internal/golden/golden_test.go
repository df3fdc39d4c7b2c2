package golden

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// jar is a small service with everything that makes recording hard: a clock, random
// ids, background work and bodies of every kind.
type jar struct {
	now   time.Time
	lines []string
	job   string
	did   string
}

func newJar(greeting string) (*jar, Fixture) {
	j := &jar{did: greeting}
	return j, Fixture{
		Handler: j,
		Clock:   func(at time.Time) { j.now = at },
		Book: func(t testing.TB, ndjson []byte) {
			for _, line := range strings.Split(strings.TrimSpace(string(ndjson)), "\n") {
				require.True(t, json.Valid([]byte(line)), line)
				j.lines = append(j.lines, line)
			}
		},
		Steps: map[string]func(testing.TB, string){"work": func(_ testing.TB, arg string) { j.did += " " + arg }},
	}
}

func (j *jar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Date", "today")
	switch {
	case r.URL.Path == "/jar":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"at":%q,"from":%q,"rows":[%s]}`, j.now.Format(time.RFC3339), r.URL.Query().Get("from"), strings.Join(j.lines, ","))
	case r.URL.Path == "/jobs":
		b := make([]byte, 16)
		_, _ = rand.Read(b)
		h := hex.EncodeToString(b)
		j.job = strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "/jobs/"+j.job)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"%s-7","len":%d,"template":"{{x}}"}`, j.job, len(text))
	case r.URL.Path == "/jobs/"+j.job:
		fmt.Fprintf(w, "%s %s\n", j.job, j.did)
	case r.URL.Path == "/echo":
		w.Header().Set("Content-Encoding", r.Header.Get("Content-Encoding"))
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength < 0))
		_, _ = io.Copy(w, r.Body)
	default:
		http.NotFound(w, r)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	Run(t, "testdata/exchanges", func(_ *testing.T, s *Scenario) Fixture {
		_, f := newJar(s.Option("greeting"))
		return f
	})
}

// report is a TB whose failures are looked at.
type report struct {
	testing.TB
	said []string
}

func (r *report) Helper() {}

func (r *report) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *report) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// play runs a text and returns what it becomes, and what is said about it.
func play(t *testing.T, text string, f Fixture, update bool) (written, said string) {
	t.Helper()
	s, err := Parse("x.http", []byte(text))
	require.NoError(t, err)
	r := &report{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := player{t: r, s: s, fixture: f, update: update, values: map[string]string{}}
		written = p.play()
	}()
	<-done
	return written, strings.Join(r.said, "\n")
}

// TestRecordThenReplay holds that what -update writes from requests alone is what a
// run accepts, against a jar whose ids are others once they are captured.
func TestRecordThenReplay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/exchanges/tour.http")
	require.NoError(t, err)
	text = bytes.Replace(text, []byte("= book more.ndjson\n"), nil, 1)
	text = bytes.Replace(text, []byte("= option greeting hello\n"), nil, 1)
	_, f := newJar("")
	same, said := play(t, string(text), f, false)
	require.Contains(t, said, "body differs", "a record less")
	require.Equal(t, string(text), same, "without -update nothing changes")
	_, f = newJar("")
	once, said := play(t, string(text), f, true)
	require.Empty(t, said)
	require.NotEqual(t, string(text), once)
	_, f = newJar("")
	twice, said := play(t, once, f, false)
	require.Empty(t, said, once)
	require.Equal(t, once, twice)
	_, f = newJar("")
	again, said := play(t, once, f, true)
	require.Empty(t, said)
	require.Equal(t, once, again, "an update that finds nothing new changes nothing, random ids or not")
}

// TestUpdateKeepsCaptures holds that a body that has changed around its captures keeps
// them, with the examples that they had.
func TestUpdateKeepsCaptures(t *testing.T) {
	t.Parallel()
	const id = "9f0c2b1e-5d7a-4c57-9a44-0d8d0f5b7a10"
	serve := Fixture{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1" {
			w.Header().Set("X-Trace", "t-77777777")
			fmt.Fprintf(w, `{"new":true,"id":"%s","self":"/jobs/%s","n":17,"trace":"t-77777777"}`, id, id)
			return
		}
		fmt.Fprint(w, r.URL.Path)
	})}
	written, said := play(t, `--- one
GET /1 HTTP/1.1

--> 500
x-trace: t-{{trace=1}}

{"id":"{{id=00000000-0000-0000-0000-000000000001}}","n":{{n2x=3}}}

--- two
GET /{{id}} HTTP/1.1

--> 200

no
`, serve, true)
	require.Empty(t, said)
	require.Equal(t, `--- one
GET /1 HTTP/1.1

--> 200
x-trace: t-{{trace=1}}

{"new":true,"id":"{{id=00000000-0000-0000-0000-000000000001}}","self":"/jobs/{{id}}","n":{{n2x=3}},"trace":"t-{{trace}}"}

--- two
GET /{{id}} HTTP/1.1

--> 200
Content-Type: text/plain; charset=utf-8

/{{id}}
`, written)
	_, said = play(t, written, serve, false)
	require.Empty(t, said)
	_, said = play(t, strings.Replace(written, `"n":{{n2x=3}}`, `"m":{{n2x=3}}`, 1), serve, true)
	require.Contains(t, said, `the captures ["n2x"] have no place`)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", "3")
			fmt.Fprint(w, "four")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			_, _ = w.Write([]byte("x"))
		default:
			w.Header()["MS-RequestId"] = []string{"1"}
			w.Header()["Two"] = []string{"1", "2"}
			fmt.Fprint(w, `{"id":"abc","n":1}`)
		}
	})
	for _, tc := range []struct {
		name, text string
		want       string // "" for none
	}{
		{"right", "--- a\nGET /x HTTP/1.1\n\n--> 200\nMs-Requestid: 1\nTwo: 1\nTwo: 2\nRetry-After:\n\n{\"id\":\"{{id=q}}\",\"n\":{{_=7}}}\n", ""},
		{"status", "--- a\nGET /x HTTP/1.1\n\n--> 404\n\n{\"id\":\"abc\",\"n\":1}\n", "x.http:1: a:\nstatus 200, want 404"},
		{"body", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n{\"id\":\"{{id=q}}\",\"n\":2}\n", "body differs at byte 16 of 18 (want has 18)\n" +
			"  want {\"id\":\"abc\",\"n\":2}\n  got  {\"id\":\"abc\",\"n\":1}\n                       ^\n"},
		{"shorter", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n{\"id\"\n", "differs at byte 5 of 18 (want has 5)"},
		{"longer", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n{\"id\":\"abc\",\"n\":1}\n\\\n", "differs at byte 18 of 18 (want has 19)"},
		{"no body", "--- a\nGET /x HTTP/1.1\n\n--> 200\n", "differs at byte 0 of 18 (want has 0)"},
		{"digits", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n{\"id\":\"{{_=12}}\",\"n\":1}\n", "differs at byte 7"},
		{"uuid", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n{\"id\":\"{{_=9f0c2b1e-5d7a-4c57-9a44-0d8d0f5b7a10}}\",\"n\":1}\n", "differs at byte 7"},
		{"header", "--- a\nGET /x HTTP/1.1\n\n--> 200\nMS-RequestId: 2\n\n{\"id\":\"abc\",\"n\":1}\n", "header MS-RequestId: differs at byte 0"},
		{"missing header", "--- a\nGET /x HTTP/1.1\n\n--> 200\nAllow: GET\n\n{\"id\":\"abc\",\"n\":1}\n", "header Allow: missing, want GET"},
		{"unwanted header", "--- a\nGET /x HTTP/1.1\n\n--> 200\nMS-RequestId:\n\n{\"id\":\"abc\",\"n\":1}\n", `header MS-RequestId: ["1"], want none`},
		{"more values", "--- a\nGET /x HTTP/1.1\n\n--> 200\nTwo: 1\n\n{\"id\":\"abc\",\"n\":1}\n", "header Two: 2 values, want 1"},
		{"not gzip", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n!gzip\nx\n", "this is not"},
		{"content length", "--- a\nGET /length HTTP/1.1\n\n--> 200\n\nfour\n", "Content-Length is 3, the body has 4 bytes"},
		{"body of 204", "--- a\nGET /none HTTP/1.1\n\n--> 204\n\nx\n", "status 204 has no body"},
		{"unrecorded", "--- a\nGET /x HTTP/1.1\n", "no response is recorded; -update writes it"},
		{"lost capture", "--- a\nGET /x HTTP/1.1\n\n--> 200\n\n[\"{{id=q}}\"]\n", "{{id}} was not captured"},
		{"option", "= option a b\n--- a\nGET /x HTTP/1.1\n\n--> 200\n\n{\"id\":\"abc\",\"n\":1}\n", "x.http:1: the fixture does not ask for the option a"},
		{"clock", "= clock +1h\n--- a\nGET /x HTTP/1.1\n", "x.http:1: the fixture has no clock"},
		{"book", "= book\n{}\n--- a\nGET /x HTTP/1.1\n", "x.http:1: the fixture has no book"},
		{"step", "= roll\n--- a\nGET /x HTTP/1.1\n", `x.http:1: the fixture has no step "roll"; it has []`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, said := play(t, tc.text, Fixture{Handler: serve}, false)
			if tc.want == "" {
				require.Empty(t, said)
				return
			}
			require.Contains(t, said, tc.want)
		})
	}
}

func TestClockMovesOnFromWhereItStands(t *testing.T) {
	t.Parallel()
	var at []time.Time
	f := Fixture{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		Clock:   func(to time.Time) { at = append(at, to) },
	}
	_, said := play(t, "= clock 2026-03-20T13:00:00+01:00\n= clock +90m\n--- a\nGET / HTTP/1.1\n\n--> 200\n", f, false)
	require.Empty(t, said)
	start := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	require.Equal(t, []time.Time{start, start.Add(90 * time.Minute)}, at)
	_, said = play(t, "= clock +1s\n--- a\nGET / HTTP/1.1\n\n--> 200\n", f, false)
	require.Contains(t, said, "the clock has not been set yet")
}

func TestLoad(t *testing.T) {
	t.Parallel()
	scenarios, err := Load("testdata/exchanges")
	require.NoError(t, err)
	require.Len(t, scenarios, 1)
	s := scenarios[0]
	require.Equal(t, "tour", s.Name)
	require.Equal(t, filepath.Join("testdata", "exchanges", "tour.http"), s.File)
	byTitle := map[string]*Exchange{}
	for _, e := range s.Exchanges {
		require.NotZero(t, e.Status, e.Title)
		byTitle[e.Title] = e
	}
	job := byTitle["and asked for, with what the first answer said"]
	require.Regexp(t, `^/jobs/[-0-9a-f]{36}$`, job.Target, "captures have their recorded value")
	r := job.Request()
	require.Equal(t, job.Target, r.URL.Path)
	require.Equal(t, "Bearer demo-admin", r.Header.Get("Authorization"))
	require.Equal(t, "example.com", r.Host)
	response, err := io.ReadAll(job.Response(r).Body)
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(job.Target, "/jobs/")+" hello once\n", string(response))

	start := byTitle["a job is started"]
	require.Equal(t, "{\"n\":1}\n# a body may have this\n", string(start.Body))
	require.EqualValues(t, len(start.Body), start.Request().ContentLength)
	require.EqualValues(t, -1, byTitle["bytes that are no text"].Request().ContentLength)
	require.Equal(t, []byte{0, 1, 2, 255}, byTitle["bytes that are no text"].ResponseBody)
	text, err := inflate(byTitle["a compressed body"].Body)
	require.NoError(t, err)
	require.Equal(t, "id,quantity\n000,1\n001,1\n002,1", text)

	_, err = Load(t.TempDir())
	require.ErrorContains(t, err, "has no *.http files")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.http"), []byte("x\n"), 0o644))
	_, err = Load(dir)
	require.ErrorContains(t, err, filepath.Join(dir, "a.http")+":1: ")
}
