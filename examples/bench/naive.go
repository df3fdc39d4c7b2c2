package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
)

// naive is what is written first: a slice of structs with decimals, a map of what was
// seen, and a loop for each question that adds up in a map.
type naive struct {
	mu   sync.RWMutex
	list []event
	seen map[identity]struct{}
}

type identity struct{ tenant, source, id string }

func openNaive() *naive { return &naive{seen: map[identity]struct{}{}} }

func (c *naive) prepare(b delivery) (booking, error) {
	return func(context.Context) (inserted int, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range b.events {
			e := &b.events[i]
			if err := e.check(); err != nil {
				return inserted, err
			}
			id := identity{e.tenant, e.source, e.id}
			if _, ok := c.seen[id]; ok {
				continue
			}
			c.seen[id] = struct{}{}
			c.list = append(c.list, *e)
			inserted++
		}
		return inserted, nil
	}, nil
}

func (c *naive) roll(context.Context) error    { return nil }
func (c *naive) analyze(context.Context) error { return nil }

// bytes are not known to it.
func (c *naive) bytes(context.Context) (int64, error) { return 0, nil }

func (c *naive) close() error {
	c.list, c.seen = nil, nil
	return nil
}

// groupKey is what rows are added up by.
type groupKey struct {
	window int64
	group  string
}

func (c *naive) ask(_ context.Context, q question) (asking, error) {
	wanted, of := q.predicate(), groupOf(q.group)
	return func(context.Context) ([]figure, error) {
		sums := map[groupKey]decimal.Decimal{}
		var different map[groupKey]map[string]struct{}
		if q.distinct {
			different = map[groupKey]map[string]struct{}{}
		}
		c.mu.RLock()
		for i := range c.list {
			e := &c.list[i]
			if !wanted(e) {
				continue
			}
			key := groupKey{windowOf(q.window, e.at), of(e)}
			if !q.distinct {
				sums[key] = sums[key].Add(e.quantity)
				continue
			}
			if different[key] == nil {
				different[key] = map[string]struct{}{}
			}
			different[key][e.resource] = struct{}{}
		}
		c.mu.RUnlock()
		for key, set := range different {
			sums[key] = decimal.NewFromInt(int64(len(set)))
		}
		list := make([]figure, 0, len(sums))
		for key, sum := range sums {
			list = append(list, figure{key.window, key.group, sum})
		}
		return q.cut(list)
	}, nil
}

// predicate tells which events a question is about.
func (q *question) predicate() func(*event) bool {
	if t := q.terms; t != nil {
		return func(e *event) bool {
			return (slices.Contains(q.meters, e.meter) || strings.HasPrefix(e.resource, q.prefix)) &&
				e.tenant != t.notTenant && e.namespace != t.notInside && e.quantity.GreaterThan(t.above)
		}
	}
	return func(e *event) bool {
		return (q.tenant == "" || e.tenant == q.tenant) &&
			(q.from.IsZero() || !e.at.Before(q.from)) && (q.to.IsZero() || e.at.Before(q.to)) &&
			(q.meters == nil || slices.Contains(q.meters, e.meter)) &&
			strings.HasPrefix(e.resource, q.prefix)
	}
}

// groupOf returns what an event is grouped by.
func groupOf(name string) func(*event) string {
	switch name {
	case "tenant":
		return func(e *event) string { return e.tenant }
	case "meter":
		return func(e *event) string { return e.meter }
	case "namespace":
		return func(e *event) string { return e.namespace }
	case "resource":
		return func(e *event) string { return e.resource }
	}
	return func(*event) string { return "" }
}

// windowOf is the start of the window that an instant is in.
func windowOf(unit aggregate.Unit, at time.Time) int64 {
	switch unit {
	case aggregate.Hour:
		return at.Truncate(time.Hour).UnixMicro()
	case aggregate.Day:
		return at.Truncate(24 * time.Hour).UnixMicro()
	case aggregate.Month:
		return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	}
	return 0
}

// cut puts all figures in the order of the question and returns those it asks for.
func (q *question) cut(list []figure) ([]figure, error) {
	slices.SortFunc(list, func(a, b figure) int {
		var c int
		if q.largestFirst() {
			c = b.sum.Cmp(a.sum)
		}
		return cmp.Or(c, cmp.Compare(a.window, b.window), cmp.Compare(a.group, b.group))
	})
	offset, count := q.rows()
	if offset >= len(list) && offset > 0 {
		return nil, errors.New("the answer has fewer pages")
	}
	list = list[offset:]
	if count > 0 {
		list = list[:min(count, len(list))]
	}
	return list, nil
}
