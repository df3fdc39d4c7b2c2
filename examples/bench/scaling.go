package main

import (
	"context"
	"fmt"
	"time"
)

// compareScaling asks the questions of books of a fifth, all and four times the
// records, so 1, 5 and 20 million of 5. A window of them holds as many buckets in each
// book, and more records. One turn shows the shape of it. How booking goes on as a book
// grows is drawn by the part ingest.
func compareScaling(ctx context.Context, s sizes, r *report) error {
	records := []int{max(10_000, s.records/5), s.records, 4 * s.records}
	times := map[timeKey][]time.Duration{} // warm ones, by the number of records
	var f *field
	for _, n := range records {
		m, err := askAll(ctx, s.of(n), r)
		if err != nil {
			return fmt.Errorf("%d records: %w", n, err)
		}
		for key, list := range m.times {
			times[key] = append(times[key], list.median())
		}
		f = m.field
	}
	t := &table{title: fmt.Sprintf("Warm answers as the book grows, %s", s.workload), columns: []string{"question", "contender"}}
	for _, n := range records {
		t.columns = append(t.columns, count(n)+" records")
	}
	t.columns = append(t.columns, "the last to the first")
	for which, q := range s.workload.questions(s.records, 0) {
		t.notes = append(t.notes, q.name+": "+q.about)
		p := &plot{title: fmt.Sprintf("%s, warm: %s", q.name, s.workload), x: "records", y: "milliseconds", logX: true, logY: true}
		for _, e := range f.entrants {
			row, c := []string{q.name, e.name}, curve{name: e.name}
			list := times[timeKey{e.name, which, warm}]
			for i, d := range list {
				row = append(row, short(d))
				c.points = append(c.points, point{float64(records[i]), d.Seconds() * 1e3})
			}
			t.rows = append(t.rows, append(row, fmt.Sprintf("%.1f", list[len(list)-1].Seconds()/list[0].Seconds())))
			p.lines = append(p.lines, c)
		}
		if q.name == "Q1" || q.name == "Q4" || q.name == "Q2" {
			r.draw(fmt.Sprintf("%s-scaling-%s", s.shape, q.name), p)
		}
	}
	return r.add(t)
}

// of returns the sizes for one turn of so many records.
func (s sizes) of(records int) sizes {
	s.records, s.turns = records, 1
	return s
}
