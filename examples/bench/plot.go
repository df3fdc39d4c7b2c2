package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// plot is a drawing for a report: lines over numbers, or groups of bars.
type plot struct {
	title, x, y string
	logX, logY  bool
	lines       []curve
	// groups and bars: of each bar one value for each group; NaN for none.
	groups []string
	bars   []bars
}

// curve is a named line through points.
type curve struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// bars are those of one colour.
type bars struct {
	name   string
	values []float64
}

// The drawing, in pixels: the frame lies within margins, with the legend on the right.
const (
	plotWidth, plotHeight                        = 1000, 420
	frameLeft, frameTop, frameRight, frameBottom = 80, 40, 690, 360
	colours                                      = "#4e79a7 #f28e2b #e15759 #76b7b2 #59a14f #b07aa1 #9c755f #7f7f7f #edc948 #ff9da7"
	plotFont                                     = `font-family="sans-serif" font-size="12"`
)

// axis maps values to pixels.
type axis struct {
	log        bool
	low, high  float64
	from, upTo float64
}

func newAxis(log bool, values []float64, from, upTo float64) axis {
	values = slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || log && v <= 0 })
	a := axis{log: log, low: 1, high: 10, from: from, upTo: upTo}
	if len(values) == 0 {
		return a
	}
	a.low, a.high = slices.Min(values), slices.Max(values)
	if log {
		// Whole powers of ten, at least one apart.
		a.low, a.high = math.Pow(10, math.Floor(math.Log10(a.low))), math.Pow(10, math.Ceil(math.Log10(a.high)))
		if a.low == a.high {
			a.high *= 10
		}
		return a
	}
	a.low = math.Min(a.low, 0)
	step := a.step()
	a.high = math.Ceil(a.high/step) * step
	if a.high == a.low {
		a.high++
	}
	return a
}

// step is the distance of ticks where they are even: 1, 2 or 5 of some power of ten.
func (a axis) step() float64 {
	span := a.high - a.low
	if span <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(span/4)))
	for _, times := range []float64{1, 2, 5} {
		if span/(unit*times) <= 6 {
			return unit * times
		}
	}
	return unit * 10
}

func (a axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	return a.from + (v-low)/(high-low)*(a.upTo-a.from)
}

func (a axis) ticks() (list []float64) {
	if a.log {
		for v := a.low; v <= a.high*1.001; v *= 10 {
			list = append(list, v)
		}
		return list
	}
	step := a.step()
	for i := 0; a.low+float64(i)*step <= a.high*1.001; i++ {
		list = append(list, a.low+float64(i)*step)
	}
	return list
}

// tick is a number for reading: 20M, 100k, 0.01.
func tick(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%.6g", v)
}

// svg draws the plot.
func (p *plot) svg() string {
	var b strings.Builder
	text := func(x, y float64, attributes, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" %s %s>%s</text>`+"\n", x, y, plotFont, attributes, html.EscapeString(s))
	}
	line := func(x1, y1, x2, y2 float64, colour string) {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	text(frameLeft, 22, `font-weight="bold"`, p.title)
	y := newAxis(p.logY, p.values(func(q point) float64 { return q.y }), frameBottom, frameTop)
	for _, v := range y.ticks() {
		line(frameLeft, y.at(v), frameRight, y.at(v), "#dddddd")
		text(frameLeft-6, y.at(v)+4, `text-anchor="end"`, tick(v))
	}
	if p.groups != nil {
		p.drawBars(&b, y, text)
	} else {
		p.drawLines(&b, y, line, text)
	}
	line(frameLeft, frameBottom, frameRight, frameBottom, "black")
	line(frameLeft, frameTop, frameLeft, frameBottom, "black")
	text((frameLeft+frameRight)/2, frameBottom+42, `text-anchor="middle"`, p.x)
	text(0, 0, fmt.Sprintf(`text-anchor="middle" transform="translate(18 %d) rotate(-90)"`, (frameTop+frameBottom)/2), p.y)
	for i, name := range p.names() {
		at := float64(frameTop + 10 + 20*i)
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="12" height="12" fill="%s"/>`+"\n", frameRight+16, at-10, colour(i))
		text(frameRight+34, at, "", name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *plot) drawLines(b *strings.Builder, y axis, line func(x1, y1, x2, y2 float64, colour string), text func(x, y float64, attributes, s string)) {
	x := newAxis(p.logX, p.values(func(q point) float64 { return q.x }), frameLeft, frameRight)
	for _, v := range x.ticks() {
		line(x.at(v), frameTop, x.at(v), frameBottom, "#dddddd")
		text(x.at(v), frameBottom+18, `text-anchor="middle"`, tick(v))
	}
	for i, l := range p.lines {
		var path []string
		for _, q := range l.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(q.x), y.at(q.y)))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`+"\n", x.at(q.x), y.at(q.y), colour(i))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(path, " "), colour(i))
	}
}

func (p *plot) drawBars(b *strings.Builder, y axis, text func(x, y float64, attributes, s string)) {
	group := float64(frameRight-frameLeft) / float64(len(p.groups))
	wide := group * 0.85 / float64(len(p.bars))
	for g, name := range p.groups {
		left := frameLeft + float64(g)*group
		text(left+group/2, frameBottom+18, `text-anchor="middle"`, name)
		for i, bar := range p.bars {
			v := bar.values[g]
			if math.IsNaN(v) || p.logY && v <= 0 {
				continue
			}
			top := y.at(v)
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", left+group*0.075+float64(i)*wide, top, wide*0.92, frameBottom-top, colour(i))
		}
	}
}

func colour(i int) string {
	list := strings.Fields(colours)
	return list[i%len(list)]
}

func (p *plot) names() (names []string) {
	for _, l := range p.lines {
		names = append(names, l.name)
	}
	for _, l := range p.bars {
		names = append(names, l.name)
	}
	return names
}

func (p *plot) values(of func(point) float64) (list []float64) {
	for _, l := range p.lines {
		for _, q := range l.points {
			list = append(list, of(q))
		}
	}
	for _, l := range p.bars {
		list = append(list, l.values...)
	}
	return list
}
