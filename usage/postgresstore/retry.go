package postgresstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// mostTries bounds how often a transaction is tried that others get in the way
// of.
const mostTries = 100

// retry tries a transaction until the server does not give it up for another
// one's sake: for a deadlock, or because both cannot be put in one order.
func retry(ctx context.Context, try func() error) error {
	for tries := 1; ; tries++ {
		err := try()
		if err == nil || !again(err) || tries == mostTries {
			return err
		}
		// A little longer with every try, and not as long as others.
		timer := time.NewTimer(rand.N(min(time.Millisecond<<min(tries, 8), 100*time.Millisecond)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// again reports whether the whole transaction may be tried once more.
func again(err error) bool {
	pg := (*pgconn.PgError)(nil)
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}
