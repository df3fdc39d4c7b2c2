package sqlitestore

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"math"
)

// logEntry is a row of usagebook_log without its places: some records that were
// booked at one moment.
type logEntry struct{ first, records, recorded int64 }

// logRecords is the most records of a row of the log: who reads a part of it
// reads the whole row.
const logRecords = 4096

func (l *logEntry) last() int64 { return l.first + l.records - 1 }

// readLog reads first, records, recorded and crc, from a column on.
func readLog(r *rows, i int) logEntry {
	l := logEntry{r.int(i), r.int(i + 1), r.int(i + 2)}
	if r.err == nil && (r.int(i+3) != int64(sumOf(nil, l.first, l.records, l.recorded)) || l.records < 1) {
		r.err = damaged("the checksum of the log at %d is wrong", l.first)
	}
	return l
}

// logWriter gathers the places of records of one batch.
type logWriter struct {
	entry  logEntry
	places []byte
	last   int64 // start
}

func (w *logWriter) add(ctx context.Context, c *conn, at place) error {
	if w.entry.records == logRecords {
		if err := w.flush(ctx, c); err != nil {
			return err
		}
	}
	if w.entry.records == 0 {
		w.entry.first, w.places, w.last = at.seq, w.places[:0], 0
	}
	w.entry.records++
	w.places = binary.AppendUvarint(w.places, uint64(at.pair))
	w.places = binary.AppendVarint(w.places, at.start-w.last)
	w.last = at.start
	return nil
}

func (w *logWriter) flush(ctx context.Context, c *conn) error {
	l := &w.entry
	if l.records == 0 {
		return nil
	}
	w.places = appendSum(w.places, 0, l.first, l.records)
	_, err := c.exec(ctx, "INSERT INTO usagebook_log (first, records, recorded, crc, places) VALUES (?, ?, ?, ?, ?)",
		l.first, l.records, l.recorded, int64(sumOf(nil, l.first, l.records, l.recorded)), w.places)
	l.records = 0
	return err
}

// readPlaces calls f for every place of an entry.
func readPlaces(l *logEntry, data []byte, f func(at place)) error {
	data, ok := cutSum(data, l.first, l.records)
	if !ok {
		return damaged("the checksum of the log at %d is wrong", l.first)
	}
	d := cutter{data: data}
	start := int64(0)
	for i := range l.records {
		pair := d.code()
		start += d.varint()
		if d.bad {
			break
		}
		f(place{pair, start, l.first + i})
	}
	if d.bad || len(d.data) > 0 {
		return damaged("the log at %d is of an unknown form", l.first)
	}
	return nil
}

// bookedBefore returns the newest sequence that was booked before an instant.
func bookedBefore(ctx context.Context, c *conn, us int64) (l logEntry, err error) {
	_, err = c.one(ctx, "SELECT first, records, recorded, crc FROM usagebook_log WHERE recorded < ? ORDER BY recorded DESC, first DESC LIMIT 1", []driver.Value{us}, func(r *rows) { l = readLog(r, 0) })
	return l, err
}

// entryOf returns the entry of the log that holds a sequence, or the newest one
// below it.
func entryOf(ctx context.Context, c *conn, seq int64) (l logEntry, found bool, err error) {
	found, err = c.one(ctx, "SELECT first, records, recorded, crc FROM usagebook_log WHERE first <= ? ORDER BY first DESC LIMIT 1", []driver.Value{seq}, func(r *rows) { l = readLog(r, 0) })
	return l, found, err
}

// floorName is the row of usagebook_meta with the instant before which nothing
// is booked any more.
const floorName = "floor"

// floor returns that instant, given the newest entry of the log.
func floor(ctx context.Context, c *conn, newest *logEntry) (us int64, err error) {
	us = math.MinInt64
	if newest.records > 0 {
		us = newest.recorded
	}
	_, err = c.one(ctx, "SELECT value, crc FROM usagebook_meta WHERE name = ?", []driver.Value{floorName}, func(r *rows) {
		v := r.int(0)
		if r.err == nil && r.int(1) != int64(sumOf([]byte(floorName), v)) {
			r.err = damaged("the checksum of the floor is wrong")
		}
		us = max(us, v)
	})
	return us, err
}

func setFloor(ctx context.Context, c *conn, us int64) error {
	_, err := c.exec(ctx, "INSERT INTO usagebook_meta (name, value, crc) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value, crc = excluded.crc",
		floorName, us, int64(sumOf([]byte(floorName), us)))
	return err
}
