package sink

import (
	"net/http"
	"time"
)

// Piece is the size of the writes of a stream.
const Piece = 32 << 10

// Sink is an http.ResponseWriter that counts what it is given, and forgets it.
type Sink struct {
	Status  int
	Bytes   int // of the body
	Writes  int
	Largest int // of the writes

	header http.Header
}

// Header returns the headers of the answer.
func (s *Sink) Header() http.Header {
	if s.header == nil {
		s.header = http.Header{}
	}
	return s.header
}

// WriteHeader notes the first status.
func (s *Sink) WriteHeader(status int) {
	if s.Status == 0 {
		s.Status = status
	}
}

// Write counts a piece of the body.
func (s *Sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	s.Writes++
	s.Bytes += len(p)
	s.Largest = max(s.Largest, len(p))
	return len(p), nil
}

// SetReadDeadline and SetWriteDeadline do nothing, which a connection does without
// an error.
func (s *Sink) SetReadDeadline(time.Time) error  { return nil }
func (s *Sink) SetWriteDeadline(time.Time) error { return nil }

// Streamed reports whether an answer of so many bytes at least came in pieces,
// none of them larger than those of a stream.
func (s *Sink) Streamed(least int) bool {
	return s.Status == http.StatusOK && s.Bytes >= least && s.Largest <= Piece && s.Header().Get("Content-Length") == ""
}
