package golden

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// A Scenario is one file of exchanges. It is not safe for concurrent use.
type Scenario struct {
	// Name is the name of the file without its suffix, File its path.
	Name, File string
	// Exchanges are in the order of the file.
	Exchanges []*Exchange

	lines   []string
	items   []item
	options map[string]option
	asked   map[string]bool
}

type option struct {
	line  int
	value string
}

// Option returns the text of an option of the file, "" where it has none. Run fails
// where a file has an option that was not asked for.
func (s *Scenario) Option(name string) string {
	s.asked[name] = true
	return s.options[name].value
}

// item is an exchange or a directive.
type item struct {
	line     int
	exchange *Exchange
	word     string   // of a directive
	arg      template // of a directive; the records of a book block
	block    bool     // arg is a block
}

// An Exchange is a request and the response it is to have, as they were recorded:
// captures have their recorded values.
type Exchange struct {
	// Title is the text after "---", Line the number of that line.
	Title string
	Line  int

	Method, Target string
	// Header is of the request, as listed in the file.
	Header http.Header
	// Body is as it is sent: compressed, where the file says so. Nil for none.
	Body []byte

	// Status is 0 where no response is recorded yet.
	Status int
	// ResponseHeader has what is listed in the file; one that must not be in the
	// response is left out.
	ResponseHeader http.Header
	// ResponseBody is as it was received. Nil for none.
	ResponseBody []byte

	target    template
	headers   []header
	body      body
	responses []header
	response  body
	from, to  int // lines of the response, or where it would be inserted
}

type header struct {
	line  int
	name  string
	value template
}

// Request returns the recorded request, made as Run makes it.
func (e *Exchange) Request() *http.Request {
	r, err := newRequest(e.Method, e.Target, e.Header, e.Body)
	if err != nil {
		panic(err) // Parse has made the same request and refused what fails
	}
	return r
}

// Response returns the recorded response to a request. It has a status, 200 or other.
func (e *Exchange) Response(r *http.Request) *http.Response {
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)),
		StatusCode:    e.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        e.ResponseHeader.Clone(),
		Body:          io.NopCloser(bytes.NewReader(e.ResponseBody)),
		ContentLength: int64(len(e.ResponseBody)),
		Request:       r,
	}
}

// newRequest makes a request the way a server reads it.
func newRequest(method, target string, headers http.Header, content []byte) (*http.Request, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	if headers.Get("Host") == "" {
		b.WriteString("Host: example.com\r\n")
	}
	for name, values := range headers {
		for _, value := range values {
			if !strings.EqualFold(name, "Transfer-Encoding") {
				fmt.Fprintf(&b, "%s: %s\r\n", name, value)
			}
		}
	}
	b.WriteString("\r\n")
	r, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "192.0.2.1:1234"
	r.Body = http.NoBody
	if content != nil {
		r.Body = io.NopCloser(bytes.NewReader(content))
		r.ContentLength = int64(len(content))
	}
	if headers.Get("Transfer-Encoding") != "" {
		r.TransferEncoding = []string{"chunked"}
		r.ContentLength = -1
	} else if content != nil {
		r.Header.Set("Content-Length", fmt.Sprint(len(content)))
	}
	return r, nil
}

// Load reads the scenarios of a folder, its files *.http in the order of their names,
// without running them. A folder without any is an error.
func Load(dir string) ([]*Scenario, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.http"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no *.http files", dir)
	}
	scenarios := make([]*Scenario, 0, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(name, text)
		if err != nil {
			return nil, err
		}
		scenarios = append(scenarios, s)
	}
	return scenarios, nil
}
