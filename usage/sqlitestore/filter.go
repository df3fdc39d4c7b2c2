package sqlitestore

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
	"github.com/usagebook/usagebook/usage"
)

// What of Selection.Filter the file can decide: sequence and start are columns, so
// conditions on them become SQL; recorded rises with the sequence, so a bound of it
// is one of the sequence; an id is looked up. Values and ends are packed, and
// what concerns the series is asked of Selection.Series once for each: the rest
// is left to the Book.

var pushWriter = func() *sqlfilter.Writer {
	d := sqlfilter.SQLite()
	d.MaxArgs = 200 // the driver's work grows with their square
	w, err := sqlfilter.New(d, sqlfilter.Columns{
		"sequence": {SQL: "r.seq", Kind: sqlfilter.KindInteger, NotNull: true},
		"start":    {SQL: "r.start", Kind: sqlfilter.KindMicros, NotNull: true},
	})
	if err != nil {
		panic(err) // the columns are constants
	}
	return w
}()

// push turns the filter into SQL, bounds and identities.
func (q *query) push(ctx context.Context, c *conn) error {
	f := q.sel.Filter
	if f == nil {
		return nil
	}
	if w := pushWriter.Where(f, 8); w.SQL != "TRUE" {
		q.where = " AND (" + w.SQL + ")"
		for _, a := range w.Args {
			q.args = append(q.args, a)
		}
	}
	from, to, _, _ := f.Range("sequence")
	if n, scale, ok := from.Small(); ok && scale == 0 && n > 0 && from.Type() == filter.TypeDecimal {
		q.lo = max(q.lo, n-1)
	}
	if n, scale, ok := to.Small(); ok && scale == 0 && to.Type() == filter.TypeDecimal {
		q.hi = min(q.hi, n)
	}
	from, to, _, _ = f.Range("recorded")
	if from.Type() == filter.TypeTime && q.lo < q.hi {
		l, err := bookedBefore(ctx, c, from.Micros())
		if err != nil {
			return err
		}
		q.lo = max(q.lo, l.last())
	}
	if to.Type() == filter.TypeTime && q.lo < q.hi {
		l, err := bookedBefore(ctx, c, to.Micros()+1) // what is equal too, if it is wanted
		if err != nil {
			return err
		}
		q.hi = min(q.hi, l.last())
	}
	return q.pushIDs(ctx, c)
}

// mostLooked is the most identities that are looked up for a condition on ids;
// for more of them the records are read.
const mostLooked = 1024

// pushIDs makes identities of a condition on ids, with every source of the
// tenants.
func (q *query) pushIDs(ctx context.Context, c *conn) error {
	ids, ok := q.sel.Filter.Constraint("id")
	tenants, every := q.sel.Scope.Tenants()
	if !ok || every || q.sel.Identities != nil || len(ids)*len(tenants) > mostLooked {
		return nil
	}
	sources, known := q.sel.Filter.Constraint("source")
	list := []usage.Identity{}
	for _, tenant := range tenants {
		of := sources
		if !known {
			var err error
			if of, err = sourcesOf(ctx, c, tenant, mostLooked); err != nil {
				return err
			}
		}
		if len(list)+len(ids)*len(of) > mostLooked {
			return nil
		}
		for _, id := range ids {
			for _, source := range of {
				if id.Type() == filter.TypeString && source.Type() == filter.TypeString {
					list = append(list, usage.Identity{Tenant: tenant, Source: source.Str(), ID: id.Str()})
				}
			}
		}
	}
	q.identities = list
	return nil
}

// sourcesOf lists the sources of a tenant, one more than most when there are more.
func sourcesOf(ctx context.Context, c *conn, tenant string, most int) ([]filter.Value, error) {
	prefix := appendOwner(nil, tenant, "")[1:]
	end := slices.Clone(prefix)
	end[len(end)-1]++ // the last byte of a name in UTF-8 is never 0xff
	r, err := c.query(ctx, "SELECT code, content, crc FROM usagebook_names WHERE kind = ? AND content >= ? AND content < ? LIMIT ?", int64(ownerName), prefix, end, int64(most+1))
	if err != nil {
		return nil, err
	}
	defer r.close()
	var out []filter.Value
	for r.next() {
		code, content := r.int(0), r.blob(1)
		if r.int(2) != int64(sumOf(content, ownerName, code)) {
			return nil, damaged("the checksum of name %d of kind %d is wrong", code, ownerName)
		}
		out = append(out, filter.String(string(content[len(prefix):])))
	}
	return out, r.close()
}

// filtered adds the pushed condition to a statement about records of a pair.
func (q *query) filtered(p *pair, args []driver.Value) (where string, all []driver.Value) {
	if q.where == "" || p.void() { // a void has no start, and is kept with one
		return "", args
	}
	return q.where, append(args, q.args...)
}
