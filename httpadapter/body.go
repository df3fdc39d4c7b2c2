package httpadapter

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// buffers are byte slices that are used again. Large ones are let go, so that
// one large body is not kept for ever.
type buffers struct{ pool sync.Pool }

const largestKept = 1 << 20

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, flushAt+8<<10)
}

func (b *buffers) put(buf []byte) {
	if cap(buf) > 0 && cap(buf) <= largestKept {
		b.pool.Put(&buf)
	}
}

// contentType checks the content type and encoding of the request.
func (c *Call) contentType(rule *BodyRule) *Problem {
	h := c.Request.Header
	if list := h["Content-Encoding"]; len(list) > 0 {
		if e := strings.ToLower(strings.TrimSpace(list[0])); len(list) > 1 || e != "gzip" && e != "identity" && e != "" {
			return &Problem{Kind: Unsupported, Field: "Content-Encoding",
				Message: fmt.Sprintf("The content encoding %q is not supported.", strings.Join(list, ", ")), Allowed: "gzip and identity are supported."}
		}
	}
	if len(rule.Types) == 0 {
		return nil
	}
	bad := func(got string) *Problem {
		return &Problem{Kind: Unsupported, Field: "Content-Type",
			Message: fmt.Sprintf("The content type %q is not supported.", got), Allowed: "Supported: " + strings.Join(rule.Types, ", ") + "."}
	}
	list := h["Content-Type"]
	if len(list) == 0 || len(list) == 1 && list[0] == "" {
		if rule.NoType {
			c.media = rule.Types[0]
			return nil
		}
		return bad("")
	}
	if len(list) > 1 {
		return bad(strings.Join(list, ", "))
	}
	media, params, err := mime.ParseMediaType(list[0])
	if err != nil {
		return bad(list[0])
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") && !strings.EqualFold(charset, "us-ascii") {
		return bad(list[0])
	}
	for _, t := range rule.Types {
		if media == t {
			c.media = media
			return nil
		}
	}
	return bad(list[0])
}

// readBody reads the body into c.body: bounded, inflated, and in time.
func (c *Call) readBody(rule *BodyRule) *Problem {
	most := rule.MaxBytes
	if most == 0 {
		most = c.adapter.opts.MaxBody
	}
	tooLarge := func() *Problem {
		return &Problem{Kind: TooLarge, Message: fmt.Sprintf("The body is larger than %d bytes.", most),
			Allowed: "Send less in one request.", Figures: []Figure{{"max", fmt.Sprint(most)}}}
	}
	r := c.Request
	if r.ContentLength > most {
		return tooLarge()
	}
	_ = c.w.control.SetReadDeadline(time.Now().Add(c.adapter.opts.BodyTimeout)) // not every connection has deadlines
	var src io.Reader = http.MaxBytesReader(c.w, r.Body, most)
	packed := strings.EqualFold(strings.TrimSpace(r.Header.Get("Content-Encoding")), "gzip")
	if packed {
		z, err := gzip.NewReader(src)
		if err != nil {
			return c.bodyProblem(err, tooLarge, packed)
		}
		src = io.LimitReader(z, most+1)
	}
	buf := bytes.NewBuffer(c.adapter.buffers.get())
	if r.ContentLength > 0 && !packed {
		buf.Grow(int(min(r.ContentLength, 1<<20)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(src)
	c.body = buf.Bytes()
	if err != nil {
		return c.bodyProblem(err, tooLarge, packed)
	}
	if int64(len(c.body)) > most {
		c.w.Header().Set("Connection", "close")
		return tooLarge()
	}
	// All of it is here. The next request on the connection has its own time.
	_ = c.w.control.SetReadDeadline(time.Time{})
	c.w.unread = time.Time{}
	return nil
}

// bodyProblem returns the problem of a body that is not read to its end. The
// deadline stays, because the server reads on before it takes its leave.
func (c *Call) bodyProblem(err error, tooLarge func() *Problem, packed bool) *Problem {
	c.w.Header().Set("Connection", "close")
	var most *http.MaxBytesError
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &most):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Problem{Kind: SlowBody, Message: fmt.Sprintf("The body did not arrive within %s.", c.adapter.opts.BodyTimeout), Err: err}
	case packed && (errors.As(err, &corrupt) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return &Problem{Kind: Invalid, Field: "Content-Encoding", Message: "The body is not what gzip writes, or is cut off.", Err: err}
	}
	return &Problem{Kind: Invalid, Message: "The body could not be read to its end.", Err: err}
}
