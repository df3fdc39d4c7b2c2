package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// compareQueries compares answers: cold, which is the first time after loading, warm,
// and while batches keep arriving.
func compareQueries(ctx context.Context, s sizes, r *report) error {
	m, err := askAll(ctx, s, r)
	if err != nil {
		return err
	}
	return m.report(r)
}

// askAll has the field take all its turns.
func askAll(ctx context.Context, s sizes, r *report) (m *questioning, err error) {
	f, err := newField(s.contenders)
	if err != nil {
		return nil, err
	}
	m = &questioning{sizes: s, field: f, times: map[timeKey]turns{}, durable: map[string]contender{}}
	m.rows = make([]int, len(m.questions(0)))
	defer func() {
		for _, c := range m.durable {
			err = errors.Join(err, c.close())
		}
		err = errors.Join(err, f.close())
	}()
	for i := range s.turns {
		m.turn, m.answers = i, map[answerKey]known{}
		for _, e := range f.turn(i) {
			if err := m.entrant(ctx, e); err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
			r.progress("turn %d: %s", i+1, e.name)
		}
	}
	for which, rows := range m.rows {
		if rows == 0 {
			return nil, fmt.Errorf("%s: all answers are empty, which compares nothing; more records are needed", m.questions(0)[which].name)
		}
	}
	m.notes, err = f.notes(ctx)
	return m, err
}

// questioning is a run of askAll.
type questioning struct {
	sizes
	field *field
	notes []string // about the field
	turn  int
	// durable are the contenders that keep their records from turn to turn: they are
	// opened anew in each, and book what has arrived for the others.
	durable map[string]contender
	times   map[timeKey]turns
	// answers are those of this turn, by who gave them first.
	answers map[answerKey]known
	// rows is how many an answer to each question has at most.
	rows []int
}

// temper is in what state a contender is asked.
type temper string

const (
	cold   temper = "cold"
	warm   temper = "warm"
	beside temper = "while batches arrive"
	later  temper = "after they have"
)

type timeKey struct {
	entrant string
	which   int
	temper  temper
}

type answerKey struct {
	which, variant int
	later          bool
}

type known struct {
	by   string
	list []figure
}

// arrivals is how many batches of batchSize arrive while a question is asked. Small
// books are not to be made of them.
func (m *questioning) arrivals() int { return max(2, min(25, m.records/20_000)) }

// arriving is how many records arrive in a turn.
func (m *questioning) arriving() int { return len(m.questions(0)) * m.arrivals() * batchSize }

func (m *questioning) questions(variant int) []question {
	return m.workload.questions(m.records, variant)
}

// entrant has one of the field take its part in a turn.
func (m *questioning) entrant(ctx context.Context, e entrant) (err error) {
	stream := newTraffic(1, m.records, m.workload)
	before := m.records + m.turn*m.arriving()
	c := m.durable[e.name]
	if c != nil {
		stream.skip(before)
	} else {
		if c, err = e.open(ctx, m.field, purpose{workload: m.workload}); err != nil {
			return err
		}
		if e.memory {
			defer func() { err = errors.Join(err, c.close()) }()
		} else {
			m.durable[e.name] = c
		}
		if err := load(ctx, c, e, stream, before); err != nil {
			return err
		}
	}
	if err := c.roll(ctx); err != nil {
		return err
	}
	if r, ok := c.(reopener); ok {
		if err := r.reopen(ctx); err != nil {
			return err
		}
	}
	if err := c.analyze(ctx); err != nil {
		return err
	}
	return m.asked(ctx, e.name, c, stream)
}

// load books so many records of a stream.
func load(ctx context.Context, c contender, e entrant, stream *traffic, records int) error {
	size := max(10_000, e.batch)
	for left := records; left > 0; left -= size {
		b := stream.batch(min(size, left))
		inserted, err := add(ctx, c, b)
		if err != nil {
			return err
		}
		if inserted != b.fresh {
			return fmt.Errorf("it has booked %d of a batch with %d new records", inserted, b.fresh)
		}
	}
	return nil
}

// asked asks a loaded contender everything.
func (m *questioning) asked(ctx context.Context, name string, c contender, stream *traffic) error {
	count := len(m.questions(0))
	order := make([]int, count)
	for i := range order {
		order[i] = (i + m.turn) % count // another one is the very first in each turn
	}
	once := map[int]time.Duration{}
	for _, which := range order {
		d, err := m.once(ctx, name, c, which, 0, false)
		if err != nil {
			return err
		}
		once[which] = d
		m.note(name, which, cold, d)
	}
	for _, which := range order {
		runtime.GC()
		var times turns
		for i := range max(3, min(100, int(m.warm/max(once[which], 1)))) {
			d, err := m.once(ctx, name, c, which, 1+i, false)
			if err != nil {
				return err
			}
			times = append(times, d)
		}
		m.note(name, which, warm, times.median())
	}
	for _, which := range order {
		times, err := m.amid(ctx, c, which, stream)
		if err != nil {
			return fmt.Errorf("%s: while batches arrive: %w", m.questions(0)[which].name, err)
		}
		m.note(name, which, beside, times.median())
	}
	for which := range count {
		if _, err := m.once(ctx, name, c, which, 0, true); err != nil {
			return err
		}
	}
	return nil
}

func (m *questioning) note(name string, which int, t temper, d time.Duration) {
	key := timeKey{name, which, t}
	m.times[key] = append(m.times[key], d)
}

// once asks a question, compares the answer with those of others, and returns the time
// it took.
func (m *questioning) once(ctx context.Context, name string, c contender, which, variant int, later bool) (time.Duration, error) {
	q := m.questions(variant)[which]
	d, list, err := timedAnswer(ctx, c, q)
	if err == nil {
		m.rows[which] = max(m.rows[which], len(list))
		key := answerKey{which, variant, later}
		if first, ok := m.answers[key]; !ok {
			m.answers[key] = known{name, list}
		} else {
			err = sameAnswer(first.by, name, first.list, list)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s (variant %d): %w", q.name, variant, err)
	}
	return d, nil
}

func timedAnswer(ctx context.Context, c contender, q question) (time.Duration, []figure, error) {
	ask, err := c.ask(ctx, q)
	if err != nil {
		return 0, nil, err
	}
	begun := time.Now()
	list, err := ask(ctx)
	return time.Since(begun), list, err
}

// amid asks one question over and over while batches arrive at a steady pace, and
// where a contender rolls up, while it does so.
func (m *questioning) amid(ctx context.Context, c contender, which int, stream *traffic) (times turns, err error) {
	bookings := make([]booking, m.arrivals())
	for i := range bookings {
		if bookings[i], err = c.prepare(stream.batch(batchSize)); err != nil {
			return nil, err
		}
	}
	runtime.GC()
	var fault error
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		defer close(done)
		fault = arrive(ctx, bookings, m.pace)
		fault = errors.Join(fault, c.roll(ctx))
	})
	for variant := 0; ; variant++ {
		d, _, askFault := timedAnswer(ctx, c, m.questions(variant)[which])
		if askFault != nil {
			err = askFault
			break
		}
		times = append(times, d)
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	group.Wait()
	return times, errors.Join(err, fault)
}

// arrive books the batches one after the other at a pace, or as fast as they are taken
// where that is slower.
func arrive(ctx context.Context, bookings []booking, pace time.Duration) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for _, book := range bookings {
		if _, err := book(ctx); err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}

// report prints what was measured.
func (m *questioning) report(r *report) error {
	title := fmt.Sprintf("over %s records, %s", count(m.records), m.workload)
	times := &table{title: "Answers " + title, notes: m.notes, columns: []string{"question", "contender"}}
	for _, t := range []temper{cold, warm, beside} {
		times.columns = append(times.columns, string(t), "spread")
		if t == warm {
			times.columns = append(times.columns, "cold to warm")
		}
	}
	for which, q := range m.questions(0) {
		times.notes = append(times.notes, q.name+": "+q.about)
		for _, e := range m.field.entrants {
			row := []string{q.name, e.name}
			for _, t := range []temper{cold, warm, beside} {
				d := m.times[timeKey{e.name, which, t}]
				row = append(row, short(d.median()), d.spread())
				if t == warm {
					row = append(row, over(m.times[timeKey{e.name, which, cold}], d).String())
				}
			}
			times.rows = append(times.rows, row)
		}
	}
	if err := r.add(times); err != nil {
		return err
	}
	for _, t := range []temper{cold, warm, beside} {
		r.draw(fmt.Sprintf("%s-%s", m.shape, strings.Fields(string(t))[0]), m.drawing(t, title))
	}
	return m.reportRatios(title, r)
}

// reportRatios says how much faster ours are.
func (m *questioning) reportRatios(title string, r *report) error {
	t := &table{title: "How many times faster ours answer, " + title, columns: []string{"question", "ours", "theirs", "cold", "spread", "warm", "spread", "asked for", "while batches arrive", "spread"}}
	for which, q := range m.questions(0) {
		for _, pair := range m.field.rivals() {
			row := []string{q.name, pair.ours, pair.theirs}
			for _, temper := range []temper{cold, warm, beside} {
				faster := over(m.times[timeKey{pair.theirs, which, temper}], m.times[timeKey{pair.ours, which, temper}])
				row = append(row, faster.String(), faster.spread())
				if temper != warm {
					continue
				}
				asked := m.aim(pair, q.name)
				if asked == 0 {
					row = append(row, "")
					continue
				}
				row = append(row, fmt.Sprint(asked))
				r.aimed(fmt.Sprintf("%s, warm: %s against %s, times faster", q.name, pair.ours, pair.theirs), title, asked, median(faster), false)
			}
			t.rows = append(t.rows, row)
		}
		if colder := over(m.times[timeKey{"memstore", which, cold}], m.times[timeKey{"memstore", which, warm}]); len(colder) > 0 {
			r.aimed(fmt.Sprintf("%s, cold: memstore, times as long as warm", q.name), title, 5, median(colder), true)
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return r.add(t)
}

// aim is how many times faster ours are to be; 0 where nothing was asked for.
func (m *questioning) aim(pair rival, question string) float64 {
	switch {
	case pair == (rival{"memstore", "duckdb"}) && m.shape == adversarial:
		return 0.5
	case pair == (rival{"memstore", "duckdb"}) && m.shape != wide:
		return map[string]float64{"Q1": 50, "Q2": 20, "Q3": 3, "Q4": 100, "Q5": 1, "Q6": 1, "Q7": 1, "Q7d": 1}[question]
	case pair.ours == "sqlitestore" || pair.ours == "postgresstore":
		return map[string]float64{"Q1": 10, "Q2": 10, "Q3": 0.83, "Q4": 0.83}[question]
	}
	return 0
}

// drawing shows the times of all.
func (m *questioning) drawing(t temper, title string) *plot {
	p := &plot{title: "Answers, " + string(t) + ", " + title, x: "question", y: "milliseconds", logY: true}
	for _, q := range m.questions(0) {
		p.groups = append(p.groups, q.name)
	}
	for _, e := range m.field.entrants {
		b := bars{name: e.name}
		for which := range p.groups {
			b.values = append(b.values, m.times[timeKey{e.name, which, t}].median().Seconds()*1e3)
		}
		p.bars = append(p.bars, b)
	}
	return p
}
