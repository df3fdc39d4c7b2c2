package aggregate

// Floor returns the start of the UTC hour, day, month or other unit that
// contains the instant us. Both are Unix microseconds. Rollup levels are
// made of these. For None it is the start of the year 1.
func Floor(unit Unit, us int64) int64 {
	switch unit {
	case Hour:
		return us - floorMod(us, secondsPerHour*microsPerSecond)
	case Day:
		return us - floorMod(us, secondsPerDay*microsPerSecond)
	}
	from, _ := Window{Unit: unit}.Locate(us)
	return from
}

// Next returns the start of the UTC unit after the one that contains the
// instant us: it is always later than us, even where us is a start itself.
func Next(unit Unit, us int64) int64 {
	switch unit {
	case Hour:
		return us - floorMod(us, secondsPerHour*microsPerSecond) + secondsPerHour*microsPerSecond
	case Day:
		return us - floorMod(us, secondsPerDay*microsPerSecond) + secondsPerDay*microsPerSecond
	}
	_, to := Window{Unit: unit}.Locate(us)
	return to
}

// A Tile is a part of a range of time that one rollup level covers exactly.
type Tile struct {
	Unit     Unit  // Hour, Day or Month; None for an edge that only raw records cover
	From, To int64 // half-open, Unix microseconds
}

// Tiles cuts the half-open range [from, to) into contiguous tiles, ascending,
// each as coarse as the levels allow: at most two of every level and two raw
// edges. Both ends are Unix microseconds. The levels are given from fine to
// coarse, each nesting in the next (Hour, Day, Month); without any the range
// is one raw tile. An empty range has no tiles.
func Tiles(from, to int64, levels ...Unit) []Tile {
	if from >= to {
		return nil
	}
	if len(levels) == 0 {
		return []Tile{{Unit: None, From: from, To: to}}
	}
	top := levels[len(levels)-1]
	start, end := from, Floor(top, to)
	if Floor(top, from) != from {
		start = Next(top, from)
	}
	if start >= end {
		return Tiles(from, to, levels[:len(levels)-1]...)
	}
	tiles := Tiles(from, start, levels[:len(levels)-1]...)
	tiles = append(tiles, Tile{Unit: top, From: start, To: end})
	return append(tiles, Tiles(end, to, levels[:len(levels)-1]...)...)
}
