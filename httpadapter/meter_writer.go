package httpadapter

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// meterExchange stands between a handler and the ResponseWriter that it would
// write to, and counts.
type meterExchange struct {
	http.ResponseWriter
	out    int64
	status int // the final one; 0 until it is known
	body   meterBody
}

// meterBody counts what is read of a request's body. Atomically, because a
// proxy's transport may still read when the handler has returned.
type meterBody struct {
	io.ReadCloser
	n atomic.Int64
}

func (b *meterBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

func (x *meterExchange) WriteHeader(status int) {
	x.ResponseWriter.WriteHeader(status) // first: it panics where the status is none
	// The first one that is not merely informational is final. Another one goes
	// on to the server, which logs it as superfluous.
	if x.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		x.status = status
	}
}

// begin is the status 200 of a handler that writes without having given one.
func (x *meterExchange) begin() {
	if x.status == 0 {
		x.status = http.StatusOK
	}
}

func (x *meterExchange) Write(p []byte) (int, error) {
	x.begin()
	n, err := x.ResponseWriter.Write(p)
	x.out += int64(n)
	return n, err
}

func (x *meterExchange) WriteString(s string) (int, error) {
	x.begin()
	n, err := io.WriteString(x.ResponseWriter, s)
	x.out += int64(n)
	return n, err
}

// ReadFrom lets the server send a file without copying it.
func (x *meterExchange) ReadFrom(r io.Reader) (int64, error) {
	from, ok := x.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{x}, r) // hiding ReadFrom, which would be called for ever
	}
	x.begin()
	n, err := from.ReadFrom(r)
	x.out += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *meterExchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// The powers that a ResponseWriter has or has not. Handlers ask with a type
// assertion, so a writer must not claim one that the writer below lacks: an
// event stream that "flushes" into the void never arrives. Each type is one
// pointer wide, so that putting it into an interface costs nothing.
type (
	meterFlusher           struct{ *meterExchange }
	meterHijacker          struct{ *meterExchange }
	meterPusher            struct{ *meterExchange }
	meterFlushHijacker     struct{ meterFlusher }
	meterFlushPusher       struct{ meterFlusher }
	meterHijackPusher      struct{ meterHijacker }
	meterFlushHijackPusher struct{ meterFlushHijacker }
)

func (f meterFlusher) Flush()            { _ = f.flush() }
func (f meterFlusher) FlushError() error { return f.flush() }

func (h meterHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error)      { return h.hijack() }
func (h meterFlushHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.hijack() }

func (p meterPusher) Push(target string, o *http.PushOptions) error { return p.push(target, o) }
func (p meterFlushPusher) Push(target string, o *http.PushOptions) error {
	return p.push(target, o)
}
func (p meterHijackPusher) Push(target string, o *http.PushOptions) error {
	return p.push(target, o)
}
func (p meterFlushHijackPusher) Push(target string, o *http.PushOptions) error {
	return p.push(target, o)
}

// writer returns the exchange with the powers of the writer below.
func (x *meterExchange) writer() http.ResponseWriter {
	const flush, hijack, push = 1, 2, 4
	powers := 0
	// As http.ResponseController does, through writers that show only what they
	// stand before: what is reached around this one would not be counted.
	for w := x.ResponseWriter; w != nil; {
		switch w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			powers |= flush
		}
		if _, ok := w.(http.Hijacker); ok {
			powers |= hijack
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	if _, ok := x.ResponseWriter.(http.Pusher); ok {
		powers |= push
	}
	switch f, h := (meterFlusher{x}), (meterHijacker{x}); powers {
	case flush:
		return f
	case hijack:
		return h
	case push:
		return meterPusher{x}
	case flush | hijack:
		return meterFlushHijacker{f}
	case flush | push:
		return meterFlushPusher{f}
	case hijack | push:
		return meterHijackPusher{h}
	case flush | hijack | push:
		return meterFlushHijackPusher{meterFlushHijacker{f}}
	}
	return x
}

func (x *meterExchange) flush() error {
	x.begin()
	return http.NewResponseController(x.ResponseWriter).Flush()
}

func (x *meterExchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err == nil && x.status == 0 {
		x.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

func (x *meterExchange) push(target string, o *http.PushOptions) error {
	return x.ResponseWriter.(http.Pusher).Push(target, o)
}
