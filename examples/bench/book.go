package main

import (
	"context"
	"errors"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// bookContender is ours: a book on a store. What differs between stores embeds it.
type bookContender struct {
	book *usage.Book
	in   usage.Store
}

// benchRules are what the book checks of each record beside its shape; event.check
// is the same for those without a book.
func benchRules() (*rules.Set, error) {
	return rules.New("bench", []rules.Rule{{Name: "measured", Required: []string{"namespace", "resource"},
		Min: rules.Some(aggregate.Int(0)), Scale: rules.Some(6), Billable: rules.Some(true)}}, nil)
}

func newBookContender(store usage.Store) (bookContender, error) {
	set, err := benchRules()
	if err != nil {
		return bookContender{}, err
	}
	book, err := usage.New(store, &usage.Options{Rules: set, RollInterval: time.Second})
	return bookContender{book, store}, err
}

func (c *bookContender) prepare(b delivery) (booking, error) {
	records := c.records(b)
	return func(ctx context.Context) (int, error) { return c.append(ctx, records) }, nil
}

// records are the events in the book's own form.
func (c *bookContender) records(b delivery) []usage.Record {
	records := make([]usage.Record, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		dims := make([]usage.Dimension, 0, 2+len(e.labels))
		dims = append(dims, usage.Dimension{Name: "namespace", Value: e.namespace}, usage.Dimension{Name: "resource", Value: e.resource})
		for k, v := range e.labels {
			dims = append(dims, usage.Dimension{Name: labelName(k), Value: v})
		}
		records[i] = usage.Record{Tenant: e.tenant, Source: e.source, ID: e.id, Meter: e.meter, Start: e.at, Values: usage.Quantity(e.quantity),
			Dimensions: usage.NewDimensions(dims...)}
	}
	return records
}

func (c *bookContender) append(ctx context.Context, records []usage.Record) (int, error) {
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

func (c *bookContender) run(ctx context.Context) error { return c.book.Run(ctx) }

func (c *bookContender) rolledUp(ctx context.Context) (int, error) {
	state, err := c.in.Checkpoint(ctx, usage.AsOf{})
	return int(state.Checkpoint), err
}

func (c *bookContender) ask(ctx context.Context, q question) (asking, error) {
	scope := usage.AllTenants()
	if q.tenant != "" {
		scope = usage.ForTenant(q.tenant)
	}
	measure := usage.Measure{Name: "figure", Of: usage.QuantityName}
	if q.distinct {
		measure.Aggregation, measure.Of = usage.CountDistinct, "resource"
	}
	query := usage.Query{From: q.from, To: q.to, Window: aggregate.Window{Unit: q.window}, Limit: q.limit, Measures: []usage.Measure{measure}, Filter: q.filter()}
	if q.group != "" {
		query.GroupBy = []string{q.group}
	}
	if q.largestFirst() {
		query.OrderBy = "figure desc"
	}
	if q.page > 0 {
		return c.askPage(ctx, scope, query, q)
	}
	return func(ctx context.Context) (list []figure, err error) {
		for row, err := range c.book.Rows(ctx, scope, query) {
			if err != nil {
				return nil, err
			}
			list = append(list, figureOf(&row, q))
		}
		return list, nil
	}, nil
}

// askPage asks for a deep page by the token that the client has got with the page
// before.
func (c *bookContender) askPage(ctx context.Context, scope usage.Scope, query usage.Query, q question) (asking, error) {
	// The pages before may be of any size; the token is the same.
	offset, size := q.rows()
	for left := offset; left > 0; {
		query.PageSize = min(left, 10_000)
		page, err := c.book.Query(ctx, scope, query)
		if err != nil {
			return nil, err
		}
		if page.Next == "" {
			return nil, errors.New("the answer has fewer pages")
		}
		left, query.Token = left-query.PageSize, page.Next
	}
	query.PageSize = size
	return func(ctx context.Context) ([]figure, error) {
		page, err := c.book.Query(ctx, scope, query)
		if err != nil {
			return nil, err
		}
		list := make([]figure, len(page.Rows))
		for i := range page.Rows {
			list[i] = figureOf(&page.Rows[i], q)
		}
		return list, nil
	}, nil
}

func figureOf(row *usage.Row, q question) figure {
	f := figure{sum: row.Cells[len(row.Cells)-1].Decimal()}
	if q.window != aggregate.None {
		f.window = row.Start.UnixMicro()
	}
	if q.group != "" {
		f.group = row.Cells[0].Str()
	}
	return f
}
