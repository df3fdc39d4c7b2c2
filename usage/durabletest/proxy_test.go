package durabletest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// moment is when a proxy cuts a connection.
type moment int

const (
	// beforeSending cuts when the client has sent something that the server is
	// to act upon, and the server gets none of its last message.
	beforeSending moment = iota
	// afterSending cuts as soon as the server was given all of it.
	afterSending
	// beforeAnswer cuts when the server has acted upon it and answered, and the
	// client gets none of the answer.
	beforeAnswer
)

func (m moment) String() string {
	return [...]string{"before it is sent", "after it was sent", "before its answer"}[m]
}

// proxy stands between a client and a PostgreSQL server and cuts connections. It
// reads the client's messages: those that the server acts upon are Query and Sync,
// and one of them commits.
type proxy struct {
	listener net.Listener
	target   string
	all      sync.WaitGroup

	mu    sync.Mutex
	armed bool
	at    int // how many such messages to let through before
	when  moment
	fired bool
	conns map[net.Conn]bool
}

// newProxy starts a proxy and returns it with the URL by which clients reach the
// database through it.
func newProxy(t testing.TB, database string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, target: u.Host, conns: map[net.Conn]bool{}}
	u.Host = l.Addr().String()
	p.all.Go(p.serve)
	t.Cleanup(p.close)
	return p, u.String()
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// arm makes the proxy cut one connection: at the message that comes after at of
// those that the server acts upon.
func (p *proxy) arm(at int, when moment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.at, p.when, p.fired = true, at, when, false
}

// disarm reports whether a connection was cut since arm.
func (p *proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	return p.fired
}

// acts is called for each message that the server acts upon, and reports whether
// it is the one to cut at.
func (p *proxy) acts() (moment, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed {
		return 0, false
	}
	if p.at > 0 {
		p.at--
		return 0, false
	}
	p.armed, p.fired = false, true
	return p.when, true
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	c.Close()
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.keep(client)
		p.all.Go(func() {
			defer p.drop(client)
			server, err := net.Dial("tcp", p.target)
			if err != nil {
				return
			}
			p.keep(server)
			defer p.drop(server)
			p.connection(client, server)
		})
	}
}

// connection carries one connection to its end.
func (p *proxy) connection(client, server net.Conn) {
	m, err := startup(client)
	if err != nil {
		return
	}
	if _, err := server.Write(m); err != nil {
		return
	}
	a := &answers{from: server, to: client, done: make(chan struct{})}
	go a.carry()
	for {
		if m, err = message(client); err != nil {
			break
		}
		if m[0] == 'Q' || m[0] == 'S' {
			a.expect(1)
			if when, now := p.acts(); now {
				a.withhold()
				switch when {
				case beforeSending:
					client.Close()
					return
				case afterSending:
					server.Write(m)
					client.Close()
				case beforeAnswer:
					server.Write(m)
					<-a.done
					client.Close()
				}
				break
			}
		}
		if _, err := server.Write(m); err != nil {
			break
		}
	}
	if a.withheld() {
		<-a.done // a server whose client is gone in this way does not know it
	}
	server.Close()
	<-a.done
}

// answers carries what a server says.
type answers struct {
	from, to net.Conn
	done     chan struct{} // closed when no more is carried

	mu       sync.Mutex
	open     int  // messages that the server acts upon and has not done with
	silenced bool // the client gets nothing any more
}

func (a *answers) expect(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += n
	return a.open
}

func (a *answers) withhold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.silenced = true
}

func (a *answers) withheld() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.silenced
}

// carry passes on message by message, until the connection ends, or the server is
// done with the last that a client sent who gets nothing any more.
func (a *answers) carry() {
	defer close(a.done)
	for {
		m, err := message(a.from)
		if err != nil {
			a.to.Close()
			return
		}
		open := 1
		if m[0] == 'Z' { // ready for the next
			open = a.expect(-1)
		}
		if !a.withheld() {
			a.to.Write(m) // of a client that is gone the other direction hears
		} else if open <= 0 {
			return
		}
	}
}

// message reads a message: a letter, a length that counts itself, and a body.
func message(r io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	return rest(r, head, binary.BigEndian.Uint32(head[1:]))
}

func startup(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	return rest(r, head, binary.BigEndian.Uint32(head))
}

func rest(r io.Reader, head []byte, n uint32) ([]byte, error) {
	if n < 4 || n > 1<<26 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	body := make([]byte, n-4)
	_, err := io.ReadFull(r, body)
	return append(head, body...), err
}

// TestProxy holds the proxy itself to its word, with a statement that commits by
// itself and with a transaction.
func TestProxy(t *testing.T) {
	t.Parallel()
	database := pgtest.Shared(t, 0).Database(t)
	direct, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer direct.Close(t.Context())
	_, err = direct.Exec(t.Context(), "CREATE TABLE kept (x int)")
	require.NoError(t, err)
	p, through := newProxy(t, database)
	for _, c := range []struct {
		when moment
		at   int // COMMIT is the last of three
		want int
	}{
		{beforeSending, 0, 0}, {beforeSending, 2, 0},
		{beforeAnswer, 0, 0}, {beforeAnswer, 1, 0}, {beforeAnswer, 2, 1},
		{afterSending, 2, 1},
		{afterSending, 3, 1},
	} {
		name := fmt.Sprintf("%v, message %d", c.when, c.at)
		_, err := direct.Exec(t.Context(), "TRUNCATE kept")
		require.NoError(t, err)
		conn, err := pgx.Connect(t.Context(), through)
		require.NoError(t, err)
		p.arm(c.at, c.when)
		err = func() error {
			for _, q := range []string{"BEGIN", "INSERT INTO kept VALUES (1)", "COMMIT"} {
				if _, err := conn.Exec(t.Context(), q, pgx.QueryExecModeSimpleProtocol); err != nil {
					return err
				}
			}
			return nil
		}()
		require.Equal(t, c.at < 3, p.disarm(), name)
		require.Equal(t, c.at < 3, err != nil, name)
		conn.Close(t.Context())
		// The server may be at it still, where nobody waited for its answer.
		var rows int
		for deadline := time.Now().Add(time.Minute); ; {
			require.NoError(t, direct.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&rows))
			if c.when != afterSending || rows == c.want || time.Now().After(deadline) {
				break
			}
		}
		require.Equal(t, c.want, rows, name)
	}
}
