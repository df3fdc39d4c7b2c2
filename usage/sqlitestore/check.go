package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/usagebook/usagebook/usage/internal/chunk"
)

// mostFindings is how many faults Check names before it gives up.
const mostFindings = 20

// Check reads the whole book and returns nil when everything in it is what was
// written: the structure of the file (SQLite's own integrity_check), the
// checksum of every row, and that tables, indexes and dictionary agree with each
// other. Otherwise the error is ErrDamaged and names the first faults.
//
// Reading checks what it reads, so a changed byte does not become a wrong figure.
// Check also sees what no reader comes across: a row that is missing. It takes
// about as long as SQLite needs to read the file twice, sees the book as of one
// moment and holds up nobody; but the log beside the file cannot shrink while it
// runs.
func (s *Store) Check(ctx context.Context) error {
	k := checker{s: s, ctx: ctx}
	err := s.pool.read(ctx, func(c *conn) error {
		return snapshot(ctx, c, func() error { return k.run(c) })
	})
	if err == nil && len(k.found) > 0 {
		err = damaged("%s", strings.Join(k.found, "; "))
	}
	return fault("check", err)
}

// checker is a Check under way.
type checker struct {
	s     *Store
	ctx   context.Context
	found []string

	names  map[int64]int64 // how many there are of each kind
	pairs  map[int64]int64 // of each series
	shapes map[int64][]string
	seed   maphash.Seed
}

// errEnough ends a check that has found enough.
var errEnough = errors.New("enough")

func (k *checker) fault(format string, args ...any) error {
	k.found = append(k.found, fmt.Sprintf(format, args...))
	if len(k.found) >= mostFindings {
		return errEnough
	}
	return nil
}

// note takes damage down and returns every other error.
func (k *checker) note(err error) error {
	if err == nil || !isDamage(err) {
		return err
	}
	return k.fault("%s", strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": "))
}

func isDamage(err error) bool {
	code, _ := codeOf(err)
	return errors.Is(err, ErrDamaged) || errors.Is(err, chunk.ErrDamaged) || code == codeCorrupt || code == codeNotADB
}

func (k *checker) run(c *conn) error {
	k.seed = maphash.MakeSeed()
	for _, step := range []func(*conn) error{
		k.integrity, func(c *conn) error { return compareSchema(k.ctx, c) }, k.dictionary, k.series, k.log, k.records, k.chained, k.rollups, k.tasks, k.floor,
	} {
		err := k.note(step(c))
		if err == errEnough {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls f for every row of a query.
func (k *checker) each(c *conn, query string, f func(r *rows) error) error {
	r, err := c.query(k.ctx, query)
	if err != nil {
		return err
	}
	defer r.close()
	for n := 0; r.next(); n++ {
		if n%checkEvery == 0 {
			if err := k.ctx.Err(); err != nil {
				return err
			}
		}
		if err := k.note(f(r)); err != nil {
			return err
		}
	}
	return r.close()
}

func (k *checker) integrity(c *conn) error {
	// The one step that is a single statement: its context is watched.
	s, err := c.raw.Prepare(fmt.Sprintf("PRAGMA integrity_check(%d)", mostFindings))
	if err != nil {
		return err
	}
	defer s.Close()
	dr, err := s.(driver.StmtQueryContext).QueryContext(k.ctx, nil)
	if err != nil {
		if k.ctx.Err() != nil {
			return k.ctx.Err()
		}
		return err
	}
	r := &rows{rows: dr, row: make([]driver.Value, 1)}
	defer r.close()
	for r.next() {
		if text := r.text(0); text != "ok" {
			if err := k.fault("%s", text); err != nil {
				return err
			}
		}
	}
	return r.close()
}

// dictionary checks the names by themselves.
func (k *checker) dictionary(c *conn) error {
	k.names = make(map[int64]int64)
	return k.each(c, "SELECT kind, code, content, crc FROM usagebook_names ORDER BY kind, code", func(r *rows) error {
		kind, code, content := r.int(0), r.int(1), r.blob(2)
		if r.err != nil {
			return nil
		}
		expected := k.names[kind] + 1
		if k.names[kind] = code; code != expected {
			return damaged("name %d of kind %d is missing", expected, kind)
		}
		if r.int(3) != int64(sumOf(content, kind, code)) {
			return damaged("the checksum of name %d of kind %d is wrong", code, kind)
		}
		return nil
	})
}

// series reads the shapes, and checks that series are of pairs and sets that are
// there.
func (k *checker) series(c *conn) error {
	k.shapes = make(map[int64][]string)
	err := k.each(c, fmt.Sprintf("SELECT code, content FROM usagebook_names WHERE kind = %d", shapeName), func(r *rows) error {
		list, ok := parseShape(r.blob(1))
		if !ok {
			return unknownForm(shapeName, r.int(0))
		}
		k.shapes[r.int(0)] = list
		return nil
	})
	if err != nil {
		return err
	}
	k.pairs = make(map[int64]int64, k.names[seriesName])
	return k.each(c, fmt.Sprintf("SELECT code, content FROM usagebook_names WHERE kind = %d", seriesName), func(r *rows) error {
		d := cutter{data: r.blob(1)}
		pair, set := d.code(), d.code()
		if d.bad || len(d.data) > 0 || !k.known(pairName, pair) || !k.known(setName, set) {
			return unknownForm(seriesName, r.int(0))
		}
		k.pairs[r.int(0)] = pair
		return nil
	})
}

func (k *checker) known(kind, code int64) bool { return code >= 1 && code <= k.names[kind] }

// mark is a number for a place, of which the sum over all places is compared.
func (k *checker) mark(at place) uint64 { return maphash.Comparable(k.seed, at) }

// log checks that the order of commit has no gap, and that its places are those
// of the records.
func (k *checker) log(c *conn) error {
	next, recorded, sum := int64(1), int64(0), uint64(0)
	err := k.each(c, "SELECT first, records, recorded, crc, places FROM usagebook_log ORDER BY first", func(r *rows) error {
		l := readLog(r, 0)
		if r.err != nil {
			return nil
		}
		last, before := next-1, recorded
		next, recorded = l.last()+1, l.recorded
		if l.first != last+1 || last > 0 && l.recorded < before {
			return damaged("the log has %d after %d", l.first, last)
		}
		return readPlaces(&l, r.blob(4), func(at place) { sum += k.mark(at) })
	})
	if err != nil {
		return err
	}
	n, have := int64(0), uint64(0)
	err = k.each(c, "SELECT pair, start, seq FROM usagebook_records", func(r *rows) error {
		n++
		have += k.mark(place{r.int(0), r.int(1), r.int(2)})
		return nil
	})
	if err != nil {
		return err
	}
	if n != next-1 || have != sum {
		return damaged("the log tells of %d records, of which not all of the %d that are there are", next-1, n)
	}
	return nil
}

// records checks every record.
func (k *checker) records(c *conn) error {
	return k.each(c, "SELECT pair, start, seq, id, data FROM usagebook_records", func(r *rows) error {
		at, key := place{r.int(0), r.int(1), r.int(2)}, r.blob(3)
		w, err := parseContent(r.blob(4), at)
		if err != nil {
			return err
		}
		owner, _, ok := parseIdentity(key)
		if !ok || w.idSum != sumOf(key) || !k.known(ownerName, owner) {
			return damaged("the identity of record %d is not its own", at.seq)
		}
		if k.pairs[w.series] != at.pair || !k.known(verdictName, w.verdict) || !k.known(shapeName, w.shape) {
			return damaged("record %d has names that are not there", at.seq)
		}
		_, err = w.read(k.shapes[w.shape], at.seq)
		return err
	})
}

// chained checks the corrections: that the records are there, and that each
// correction and its target tell of each other.
func (k *checker) chained(c *conn) error {
	const without = `SELECT count(*) FROM usagebook_chained h
		LEFT JOIN usagebook_records r ON r.pair = h.pair AND r.start = h.start AND r.seq = h.seq
		LEFT JOIN usagebook_records t ON t.id = h.target
		LEFT JOIN usagebook_chained th ON th.pair = t.pair AND th.start = t.start AND th.seq = t.seq
		WHERE r.id IS NULL OR h.kind IS NOT NULL AND (th.by IS NOT h.seq OR th.by_id IS NOT r.id OR th.by_kind IS NOT h.kind)
			OR h.kind IS NULL AND h.by IS NULL`
	n := int64(0)
	if _, err := c.one(k.ctx, without, nil, func(r *rows) { n = r.int(0) }); err != nil {
		return err
	}
	if n > 0 {
		if err := k.fault("%d corrections don't agree with their targets", n); err != nil {
			return err
		}
	}
	corrections, corrected := 0, 0
	err := k.each(c, "SELECT "+chainColumns+" FROM usagebook_chained", func(r *rows) error {
		if h := readChain(r, 0); r.err == nil {
			if h.kind != 0 {
				corrections++
			}
			if h.by != 0 {
				corrected++
			}
		}
		return nil
	})
	if err == nil && corrections != corrected {
		err = damaged("there are %d corrections and %d corrected records", corrections, corrected)
	}
	return err
}

// rollups checks the checkpoints and every chunk of rows.
func (k *checker) rollups(c *conn) error {
	latest := int64(0)
	err := k.each(c, "SELECT at, replaced_at, coverage, crc FROM usagebook_checkpoints ORDER BY at", func(r *rows) error {
		if latest = readCheckpoint(r, 0).at; r.err == nil && latest < 1 {
			return damaged("there is a checkpoint %d", latest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var decoded chunk.Chunk
	for _, table := range []string{"0 FROM usagebook_rollups", "until FROM usagebook_replaced"} {
		err := k.each(c, "SELECT kind, pair, span, series, data, crc, "+table, func(r *rows) error {
			at, until := chunkPlace{r.int(0), r.int(1), r.int(2), r.int(3)}, r.int(6)
			if err := decodeChunk(&decoded, r.blob(4), r.int(5), at, until); err != nil {
				return err
			}
			if !k.known(rollupName, at.kind) || k.pairs[at.series] != at.pair || until > latest {
				return damaged("rollups %v have names that are not there", at)
			}
			for i := range decoded.Rows {
				if decoded.Rows[i].From > uint64(latest) {
					return damaged("rollups %v are of checkpoint %d, which is none", at, decoded.Rows[i].From)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) tasks(c *conn) error {
	if err := k.each(c, "SELECT "+taskColumns+" FROM usagebook_tasks", func(r *rows) error { readTask(r); return nil }); err != nil {
		return err
	}
	return k.each(c, "SELECT number, body, crc, number IN (SELECT number FROM usagebook_tasks) FROM usagebook_bodies", func(r *rows) error {
		if n := r.int(0); r.int(2) != int64(sumOf(r.blob(1), n)) || r.int(3) == 0 {
			return damaged("the body %d is damaged, or nobody's", n)
		}
		return nil
	})
}

func (k *checker) floor(c *conn) error {
	_, err := floor(k.ctx, c, &logEntry{})
	return err
}
