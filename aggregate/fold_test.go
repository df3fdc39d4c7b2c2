package aggregate

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An entry is one value with its place, for the tests that deal the same
// entries to shards in many ways.
type entry struct {
	position Position
	number   Number
}

func randomEntries(rnd *rand.Rand, n int) []entry {
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = entry{
			position: Position{
				Start:  1.7e15 + rnd.Int64N(5)*3600e6,
				Source: string(rune('a' + rnd.IntN(3))),
				ID:     fmt.Sprint(rnd.IntN(20)),
				Tenant: string(rune('x' + rnd.IntN(2))),
			},
			number: randomNumber(rnd),
		}
		if rnd.IntN(3) == 0 {
			entries[i].number = Int(rnd.Int64N(5))
		}
	}
	return entries
}

// A part is everything that a shard could keep.
type part struct {
	summary  Summary
	first    First
	last     Last
	distinct Distinct
}

func (p *part) add(e entry) {
	if coef, scale, ok := e.number.Small(); ok && len(e.position.ID) == 1 {
		p.summary.AddFixed(coef, scale)
	} else {
		p.summary.Add(e.number)
	}
	p.first.Add(e.position, e.number)
	p.last.Add(e.position, e.number)
	p.distinct.AddBytes(e.number.AppendText(nil))
}

func (p *part) merge(o *part) {
	p.summary.Merge(&o.summary)
	p.first.Merge(&o.first)
	p.last.Merge(&o.last)
	p.distinct.Merge(&o.distinct)
}

// partText is what can be seen of a part.
func partText(p *part) string {
	fp, fn, fok := p.first.Get()
	lp, ln, lok := p.last.Get()
	keys := slices.Sorted(p.distinct.All())
	return fmt.Sprint(p.summary.Count, p.summary.Sum.String(), p.summary.Min, p.summary.Max, fp, fn, fok, lp, ln, lok, p.distinct.Count(), keys)
}

// oraclePart finds the same by sorting and big.Rat.
func oraclePart(t *testing.T, entries []entry, got *part) {
	t.Helper()
	require.Equal(t, int64(len(entries)), got.summary.Count)
	if len(entries) == 0 {
		_, _, ok := got.first.Get()
		require.False(t, ok)
		return
	}
	sum := new(big.Rat)
	keys := map[string]bool{}
	for _, e := range entries {
		sum.Add(sum, ratOf(e.number))
		keys[e.number.String()] = true
	}
	checkSum(t, sum, &got.summary.Sum)
	byNumber := slices.Clone(entries)
	slices.SortFunc(byNumber, func(a, b entry) int { return ratOf(a.number).Cmp(ratOf(b.number)) })
	require.Equal(t, byNumber[0].number, got.summary.Min)
	require.Equal(t, byNumber[len(byNumber)-1].number, got.summary.Max)
	byPosition := byNumber
	slices.SortStableFunc(byPosition, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.position.Start, b.position.Start), cmp.Compare(a.position.Source, b.position.Source),
			cmp.Compare(a.position.ID, b.position.ID), cmp.Compare(a.position.Tenant, b.position.Tenant))
	})
	_, n, ok := got.first.Get()
	require.True(t, ok)
	require.Equal(t, byPosition[0].number, n)
	p, n, ok := got.last.Get()
	require.True(t, ok)
	require.Equal(t, byPosition[len(byPosition)-1], entry{p, n})
	require.Equal(t, int64(len(keys)), got.distinct.Count())
	for k := range keys {
		require.True(t, got.distinct.Has(k))
	}
}

// TestMergeInAnyOrder deals random values to random shards, merges them in
// random trees and compares with a single pass and with an oracle.
func TestMergeInAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 20))
		entries := randomEntries(rnd, rnd.IntN(60))
		var whole part
		for _, e := range entries {
			whole.add(e)
		}
		oraclePart(t, entries, &whole)
		want := partText(&whole)
		for range 4 {
			shards := make([]part, 1+rnd.IntN(7))
			rnd.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
			for _, e := range entries {
				shards[rnd.IntN(len(shards))].add(e)
			}
			for len(shards) > 1 { // any two, in either direction
				i := rnd.IntN(len(shards) - 1)
				a, b := &shards[i], &shards[i+1]
				if rnd.IntN(2) == 0 {
					a, b = b, a
				}
				unchanged := partText(b)
				a.merge(b)
				require.Equal(t, unchanged, partText(b), "the argument stays as it was")
				kept := *a
				shards = slices.Delete(shards, i, i+1)
				shards[i] = kept
			}
			require.Equal(t, want, partText(&shards[0]))
			require.True(t, whole.summary.Equal(&shards[0].summary))
		}
		merged := whole
		merged.summary.Merge(nil)
		merged.first.Merge(nil)
		merged.last.Merge(nil)
		merged.distinct.Merge(nil)
		merged.first.Merge(&whole.first)
		merged.last.Merge(&whole.last)
		merged.distinct.Merge(&merged.distinct)
		require.Equal(t, want, partText(&merged))
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	var s Summary
	_, ok := s.Avg(18)
	require.False(t, ok)
	require.True(t, s.Equal(&Summary{}))
	s.AddFixed(150, 2)
	s.AddBlock([]int64{-5, 30, 7}, 1)
	s.AddBlock(nil, 9)
	s.Add(mustParse(t, largest))
	s.AddFixed(1, 0) // beside a greatest that fits no int64
	require.Equal(t, int64(6), s.Count)
	require.Equal(t, "-0.5", s.Min.String())
	require.Equal(t, largest, s.Max.String())
	require.Equal(t, "100000000000000000000000000000000000005.699999999999999999999999999999", s.Sum.String())
	c := s.Clone()
	c.Add(mustParse(t, largest).Neg())
	c.AddFixed(-9, 0)
	c.AddFixed(9, 0)
	require.False(t, c.Equal(&s))
	require.Equal(t, int64(6), s.Count)
	require.Equal(t, "5.7", c.Sum.String())
	require.Equal(t, "-"+largest, c.Min.String())
	avg, ok := c.Avg(3)
	require.True(t, ok)
	require.Equal(t, "0.633", avg.String())
	var d Summary
	d.AddBlock([]int64{10, 20}, 1)
	require.Equal(t, "1", d.Min.String())
	require.Equal(t, "2", d.Max.String())
}

// TestSummaryAddBlock compares with adding one by one.
func TestSummaryAddBlock(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(21, 22))
	for range 300 {
		var one, blocks Summary
		for range rnd.IntN(5) {
			block := make([]int64, rnd.IntN(6))
			scale := uint8(rnd.IntN(31))
			for i := range block {
				block[i] = int64(rnd.Uint64()) >> rnd.IntN(64)
				one.AddFixed(block[i], scale)
			}
			blocks.AddBlock(block, scale)
		}
		require.True(t, one.Equal(&blocks))
		require.Equal(t, one.Sum.String(), blocks.Sum.String())
	}
}

func TestPositionCompare(t *testing.T) {
	t.Parallel()
	ordered := []Position{
		{},
		{Start: 1, ID: "b"},
		{Start: 1, ID: "b", Tenant: "t"},
		{Start: 1, Source: "A", ID: "z"},
		{Start: 1, Source: "a", ID: "10"},
		{Start: 1, Source: "a", ID: "9"},
		{Start: 1, Source: "a", ID: "é"},
		{Start: 2},
	}
	for i, p := range ordered {
		for j, o := range ordered {
			require.Equal(t, cmp.Compare(i, j), p.Compare(o), "%v and %v", p, o)
		}
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	var d Distinct
	require.Zero(t, d.Count())
	require.False(t, d.Has(""))
	want := map[string]bool{}
	for i := range 40 {
		key := fmt.Sprint(i % 20)
		d.Add(key)
		d.AddBytes([]byte(key))
		want[key] = true
		require.Equal(t, int64(len(want)), d.Count())
		require.True(t, d.Has(key))
		c := d.Clone()
		c.Add("other")
		require.False(t, d.Has("other"))
		require.Equal(t, d.Count()+1, c.Count())
		require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(d.All()))
	}
	d.Add("") // an empty key is a key
	require.Equal(t, int64(21), d.Count())
	for range d.All() {
		break
	}
	key := []byte("9")
	d.AddBytes(key)
	require.Equal(t, int64(21), d.Count())
}

func TestLevels(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(23, 24))
	for range 2000 {
		us := minMicros + rnd.Int64N(maxMicros-minMicros)
		at := time.UnixMicro(us).UTC()
		year, month, day := at.Date()
		for unit, want := range map[Unit][2]time.Time{
			Hour:    {at.Truncate(time.Hour), at.Truncate(time.Hour).Add(time.Hour)},
			Day:     {time.Date(year, month, day, 0, 0, 0, 0, time.UTC), time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)},
			Month:   {time.Date(year, month, 1, 0, 0, 0, 0, time.UTC), time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)},
			Quarter: {time.Date(year, (month-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC), time.Date(year, (month-1)/3*3+4, 1, 0, 0, 0, 0, time.UTC)},
			Year:    {time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC)},
		} {
			require.Equal(t, want[0].UnixMicro(), Floor(unit, us), "%s of %s", unit, at)
			require.Equal(t, want[1].UnixMicro(), Next(unit, us), "%s of %s", unit, at)
			require.Equal(t, want[1].UnixMicro(), Next(unit, Floor(unit, us)))
			require.Equal(t, want[0].UnixMicro(), Floor(unit, Floor(unit, us)))
		}
	}
	require.Equal(t, int64(minMicros), Floor(None, 5))
	require.Equal(t, int64(maxMicros), Next(None, 5))
}

func TestTiles(t *testing.T) {
	t.Parallel()
	us := func(text string) int64 { return at(t, text).UnixMicro() }
	for _, c := range []struct {
		name     string
		from, to string
		levels   []Unit
		want     string
	}{
		{"whole months", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", []Unit{Hour, Day, Month}, "month 2160h0m0s"},
		{"a Zurich month", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", []Unit{Hour, Day, Month}, "hour 1h0m0s, day 648h0m0s, hour 23h0m0s"},
		{"every kind", "2026-01-30T22:30:00Z", "2026-03-02T01:15:00Z", []Unit{Hour, Day, Month},
			"none 30m0s, hour 1h0m0s, day 24h0m0s, month 672h0m0s, day 24h0m0s, hour 1h0m0s, none 15m0s"},
		{"within an hour", "2026-01-30T22:10:00Z", "2026-01-30T22:50:00Z", []Unit{Hour, Day, Month}, "none 40m0s"},
		{"over an hour's end", "2026-01-30T22:10:00Z", "2026-01-30T23:50:00Z", []Unit{Hour, Day, Month}, "none 1h40m0s"},
		{"no months", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", []Unit{Day}, "day 2160h0m0s"},
		{"no levels", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", nil, "none 2160h0m0s"},
		{"empty", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", []Unit{Hour}, ""},
		{"backward", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", []Unit{Hour}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			next := us(c.from)
			for _, tile := range Tiles(us(c.from), us(c.to), c.levels...) {
				require.Equal(t, next, tile.From)
				require.Less(t, tile.From, tile.To)
				if tile.Unit != None {
					require.Equal(t, tile.From, Floor(tile.Unit, tile.From))
					require.Equal(t, tile.To, Floor(tile.Unit, tile.To))
				}
				next = tile.To
				got = append(got, fmt.Sprint(tile.Unit, " ", time.Duration(tile.To-tile.From)*time.Microsecond))
			}
			if c.want != "" {
				require.Equal(t, us(c.to), next)
			}
			require.Equal(t, c.want, strings.Join(got, ", "))
		})
	}
}

// TestFolderInAnyOrder adds the same values as raw values, as hourly rollup
// rows and through shards, and holds every mixture to one result.
func TestFolderInAnyOrder(t *testing.T) {
	t.Parallel()
	for i, zone := range []string{"UTC", "Europe/Zurich", "America/New_York"} {
		for _, unit := range []Unit{None, Hour, Day, Week, Month, BillingCycle} {
			t.Run(zone+"/"+unit.String(), func(t *testing.T) {
				t.Parallel()
				w := Window{Unit: unit, Location: loadZone(t, zone)}
				rnd := rand.New(rand.NewPCG(uint64(i), 25))
				start := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC).UnixMicro()
				require.True(t, w.Aligned(Hour, start, start+15*86400e6))
				type value struct {
					group int
					us    int64
					n     Number
				}
				values := make([]value, 500)
				whole := NewFolder[int](w)
				for i := range values {
					v := value{rnd.IntN(3), start + rnd.Int64N(15*86400e6), randomNumber(rnd)}
					values[i] = v
					whole.Add(v.group, v.us, v.n)
				}
				for range 3 {
					rnd.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
					rollup := NewFolder[int](Window{Unit: Hour})
					shards := []*Folder[int]{NewFolder[int](w), NewFolder[int](w), NewFolder[int](w)}
					for i, v := range values {
						switch coef, scale, ok := v.n.Small(); {
						case i%3 == 0:
							rollup.Add(v.group, v.us, v.n)
						case ok:
							shards[i%3].AddFixed(v.group, v.us, coef, scale)
						default:
							shards[i%3].Add(v.group, v.us, v.n)
						}
					}
					for b, s := range rollup.All(cmp.Compare[int]) {
						shards[0].AddSummary(b.Group, b.From, s)
					}
					shards[2].Merge(shards[0])
					shards[2].Merge(shards[1])
					shards[2].Merge(nil)
					require.Equal(t, whole.Len(), shards[2].Len())
					var want, got []string
					for b, s := range whole.All(cmp.Compare[int]) {
						f, u := w.Locate(b.From)
						require.Equal(t, [2]int64{b.From, b.To}, [2]int64{f, u})
						want = append(want, fmt.Sprint(b, s.Count, s.Sum.String(), s.Min, s.Max))
					}
					for b, s := range shards[2].All(cmp.Compare[int]) {
						got = append(got, fmt.Sprint(b, s.Count, s.Sum.String(), s.Min, s.Max))
					}
					require.Equal(t, want, got)
					for range whole.All(cmp.Compare[int]) {
						break
					}
				}
			})
		}
	}
}
