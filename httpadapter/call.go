package httpadapter

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// Call is one request being answered. It belongs to the goroutine that serves
// the request and is not to be kept.
type Call struct {
	// Request is the request as it came; its URL has the prefix still on.
	Request *http.Request
	// Book is where answers come from.
	Book *usage.Book
	// Catalogue is never nil.
	Catalogue *Catalogue
	// Principal is the caller; the zero Principal before it is known and on
	// public routes.
	Principal Principal
	// Operation is the id of this operation, in logs and error bodies: a random
	// UUID unless the host makes its own.
	Operation string
	// Log has the operation id, API and route in its attributes.
	Log *slog.Logger

	asked   *http.Request // as the server gave it
	adapter *Adapter
	api     *api
	route   *route
	w       *response
	names   []string // path parameters: the route's segments have the names
	query   []parameter
	body    []byte
	media   string
	problem *Problem
}

// Context returns the request's context.
func (c *Call) Context() context.Context { return c.Request.Context() }

// Now returns the book's time, UTC.
func (c *Call) Now() time.Time { return c.Book.Now() }

// Path returns the value of a path parameter of the route.
func (c *Call) Path(name string) string {
	if c.route == nil {
		return ""
	}
	i := 0
	for _, s := range c.route.segments {
		if !s.param {
			continue
		}
		if s.text == name && i < len(c.names) {
			return c.names[i]
		}
		i++
	}
	return ""
}

// Segment returns the i-th segment of the request's path below the adapter's
// prefix, as the client spelled it; empty where there is none.
func (c *Call) Segment(i int) string {
	list, _ := c.adapter.segments(c.Request)
	if i < 0 || i >= len(list) {
		return ""
	}
	return list[i]
}

// Route returns the method and pattern of the route, empty before it is known.
func (c *Call) Route() (method, pattern string) {
	if c.route == nil {
		return "", ""
	}
	return c.route.Method, c.route.Path
}

// Body returns the body, inflated; it is empty on routes without one. It is
// only good until the handler returns and must not be changed.
func (c *Call) Body() []byte { return c.body }

// MediaType returns the body's content type without parameters, in lower case.
func (c *Call) MediaType() string { return c.media }

// Header returns the headers of the answer.
func (c *Call) Header() http.Header { return c.w.Header() }

// BaseURL returns the scheme and host of links: Options.BaseURL, or those of
// the request. It ends in no slash.
func (c *Call) BaseURL() string {
	if c.adapter.opts.BaseURL != "" {
		return c.adapter.opts.BaseURL
	}
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}

// JSON answers with a body that is JSON already.
func (c *Call) JSON(status int, body []byte) error {
	return c.Answer(status, JSONType, body)
}

// JSONType is the content type of JSON answers.
const JSONType = "application/json; charset=utf-8"

// Answer answers with a whole body.
func (c *Call) Answer(status int, contentType string, body []byte) error {
	h := c.w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.w.WriteHeader(status)
	for len(body) > 0 {
		n, err := c.w.Write(body[:min(len(body), flushAt)])
		if err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// Stream answers with a body that is written piece by piece: the pieces are
// collected into writes of 32 KiB, and no more of the body than that and the piece
// behind it is ever in memory. An error of write before the first of them is
// answered as any other. Once it is out, an error cuts the connection, so that a
// half answer is never taken for a whole one. A body that fits the first write has
// a Content-Length; a longer one is sent in chunks.
func (c *Call) Stream(status int, contentType string, write func(*Stream) error) error {
	c.w.Header().Set("Content-Type", contentType)
	s := &Stream{c: c, status: status, buf: c.adapter.buffers.get()}
	defer func() { c.adapter.buffers.put(s.buf) }()
	if err := write(s); err != nil {
		return err
	}
	if !c.w.wrote {
		// All of it fits one write: say how long it is.
		c.w.Header().Set("Content-Length", strconv.Itoa(len(s.buf)))
	}
	return s.flush()
}

// Stream collects an answer.
type Stream struct {
	c      *Call
	status int
	buf    []byte
}

// Append gives the buffer to append to and takes it back; full buffers are
// written out. It returns the error of the connection.
func (s *Stream) Append(f func(dst []byte) []byte) error {
	if s.buf = f(s.buf); len(s.buf) < flushAt {
		return nil
	}
	return s.drain()
}

// List appends n items of an array with commas between them: item is called for
// each in turn.
func (s *Stream) List(n int, item func(dst []byte, i int) []byte) error {
	for i := range n {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		if s.buf = item(s.buf, i); len(s.buf) < flushAt {
			continue
		}
		if err := s.drain(); err != nil {
			return err
		}
	}
	return nil
}

// Write appends bytes, for encoders that want an io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p...)
	if len(s.buf) < flushAt {
		return len(p), nil
	}
	return len(p), s.drain()
}

// drain writes out the full pieces of the buffer, and keeps the rest of it.
func (s *Stream) drain() error {
	rest, err := s.pieces(flushAt)
	s.buf = s.buf[:copy(s.buf, rest)]
	return err
}

// flush writes out all of the buffer.
func (s *Stream) flush() error {
	_, err := s.pieces(1)
	s.buf = s.buf[:0]
	return err
}

// pieces writes pieces of the buffer out as long as it has so many bytes, and
// returns the rest.
func (s *Stream) pieces(least int) (rest []byte, err error) {
	if !s.c.w.wrote {
		s.c.w.WriteHeader(s.status)
	}
	rest = s.buf
	for len(rest) >= least {
		n, err := s.c.w.Write(rest[:min(len(rest), flushAt)])
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return rest, nil
}

// flushAt is the size of the writes of a stream.
const flushAt = 32 << 10

// response counts what is written and remembers whether anything was.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	unread  time.Time // until when the server may wait for what is left of the body; zero: nothing is
	wrote   bool
	status  int
	bytes   int64
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// extend gives the client time for the next piece: one that stops reading is
// cut off, one that reads slowly is not. The time before the first piece is not
// the client's, nor is that in which the server reads what is left of the body,
// as it does before it sends the first.
func (w *response) extend() {
	from := time.Now()
	if from.Before(w.unread) {
		from = w.unread
	}
	_ = w.control.SetWriteDeadline(from.Add(w.timeout)) // not every writer has deadlines
}

func (w *response) WriteHeader(status int) {
	w.extend()
	if !w.wrote && status >= 200 {
		w.wrote, w.status = true, status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if !w.wrote {
		w.wrote, w.status = true, http.StatusOK
	}
	w.extend()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// OpenAPI returns the document of every mounted route; see [Adapter.OpenAPI].
func (c *Call) OpenAPI() []byte { return c.adapter.document }
