package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// contender is one of two that keep the same records in the same engine.
type contender interface {
	// add books a batch for good and tells how many of it were new. It may be called
	// by several writers at once.
	add(ctx context.Context, b delivery) (inserted int, err error)
	// roll keeps sums ready, where a contender does.
	roll(ctx context.Context) error
	// analyze has the engine look at what is there, as one in service does from time to
	// time.
	analyze(ctx context.Context) error
	// answer is asked after both.
	answer(ctx context.Context, q question) ([]figure, error)
	// bytes is what it takes on disk, with all indexes.
	bytes(ctx context.Context) (int64, error)
	close() error
}

// engine is a database that both contenders keep their records in.
type engine interface {
	name() string
	// settings say how it is set, for the reader of a report.
	settings(ctx context.Context) (string, error)
	// open returns both contenders, with nothing in them.
	open(ctx context.Context) (ours, hand contender, err error)
	close() error
}

// openEngine starts an engine.
func openEngine(ctx context.Context, name string) (engine, error) {
	switch name {
	case "sqlite":
		return openSQLite()
	case "postgres":
		return openPostgres(ctx)
	}
	return nil, fmt.Errorf("there is no engine %q: sqlite and postgres are allowed", name)
}

// bookContender is ours: a book on a store. What differs between engines embeds it.
type bookContender struct {
	book *usage.Book
}

func newBookContender(store usage.Store) (bookContender, error) {
	book, err := usage.New(store, nil)
	return bookContender{book}, err
}

func (c *bookContender) add(ctx context.Context, b delivery) (int, error) {
	records := make([]usage.Record, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		records[i] = usage.Record{Tenant: e.tenant, Source: e.source, ID: e.id, Meter: e.meter, Start: e.at, Values: usage.Quantity(e.quantity),
			Dimensions: usage.NewDimensions(usage.Dimension{Name: "namespace", Value: e.namespace}, usage.Dimension{Name: "resource", Value: e.resource})}
	}
	receipt, err := c.book.Append(ctx, records...)
	if err != nil {
		return 0, err
	}
	return receipt.Inserted, nil
}

func (c *bookContender) roll(ctx context.Context) error {
	for {
		if did, err := c.book.Roll(ctx); err != nil || !did {
			return err
		}
	}
}

func (c *bookContender) answer(ctx context.Context, q question) ([]figure, error) {
	scope := usage.AllTenants()
	if q.tenant != "" {
		scope = usage.ForTenant(q.tenant)
	}
	query := usage.Query{From: q.from, To: q.to, Window: aggregate.Window{Unit: q.window}, Limit: q.limit, Measures: []usage.Measure{{Of: usage.QuantityName}}}
	if q.group != "" {
		query.GroupBy = []string{q.group}
	}
	var conditions []string
	if q.meters != nil {
		conditions = append(conditions, "meter in ('"+strings.Join(q.meters, "','")+"')")
	}
	if q.prefix != "" {
		conditions = append(conditions, "startswith(resource,'"+q.prefix+"')")
	}
	query.Filter = strings.Join(conditions, " and ")
	if q.limit > 0 {
		query.OrderBy = usage.QuantityName + " desc"
	}
	var list []figure
	for row, err := range c.book.Rows(ctx, scope, query) {
		if err != nil {
			return nil, err
		}
		f := figure{window: row.Start.UnixMicro(), sum: row.Cells[len(row.Cells)-1].Decimal()}
		if q.group != "" {
			f.group = row.Cells[0].Str()
		}
		list = append(list, f)
	}
	return list, nil
}
