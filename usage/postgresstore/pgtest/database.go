package pgtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

var databases atomic.Int64

// CreateDatabase makes a database that is new in this server and returns its
// name.
func (s *Server) CreateDatabase(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test_%d", databases.Add(1))
	return name, s.exec(ctx, "postgres", "CREATE DATABASE "+name)
}

// DropDatabase drops a database, with all connections to it.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	return s.exec(ctx, "postgres", `DROP DATABASE "`+strings.ReplaceAll(name, `"`, `""`)+`" WITH (FORCE)`)
}

// exec runs a statement. It speaks just enough of the protocol for that, so that
// this package needs no driver.
func (s *Server) exec(ctx context.Context, database, statement string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	parameters := []byte{0, 3, 0, 0} // version 3.0 of the protocol
	for _, word := range []string{"user", "test", "database", database, ""} {
		parameters = append(append(parameters, word...), 0)
	}
	if err := send(conn, 0, parameters); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	var refused error
	for asked := false; ; {
		kind, body, err := receive(in)
		if err != nil {
			return errors.Join(refused, err)
		}
		switch kind {
		case 'R':
			// 3 asks for the password as it is, 0 accepts it.
			switch method := binary.BigEndian.Uint32(body); method {
			case 0:
			case 3:
				err = send(conn, 'p', append([]byte(s.password), 0))
			default:
				err = fmt.Errorf("pgtest: the server asks for a password by method %d", method)
			}
			if err != nil {
				return err
			}
		case 'E':
			refused = fmt.Errorf("pgtest: %s: %s", statement, fault(body))
		case 'Z':
			if asked {
				send(conn, 'X', nil)
				return refused
			}
			if asked, err = true, send(conn, 'Q', append([]byte(statement), 0)); err != nil {
				return err
			}
		}
	}
}

func send(w io.Writer, kind byte, body []byte) error {
	var m []byte
	if kind != 0 {
		m = append(m, kind)
	}
	m = binary.BigEndian.AppendUint32(m, uint32(len(body)+4))
	_, err := w.Write(append(m, body...))
	return err
}

func receive(r io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > 1<<20 {
		return 0, nil, fmt.Errorf("pgtest: a message of %d bytes", n)
	}
	body = make([]byte, n-4)
	_, err = io.ReadFull(r, body)
	if err == nil && head[0] == 'R' && len(body) < 4 {
		err = errors.New("pgtest: a request of authentication is cut short")
	}
	return head[0], body, err
}

// fault returns the message of an error: each field is a letter and a text.
func fault(body []byte) string {
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if len(field) > 1 && field[0] == 'M' {
			return string(field[1:])
		}
	}
	return "refused"
}
