package uts

import (
	"fmt"
	"strconv"

	"github.com/usagebook/usagebook/httpadapter"
)

// maxSize is the largest page.
const maxSize = 1000

// page is a page of a list: its number, from base on, and its size.
type page struct {
	base, number, size int64
	total              int64
}

// readPage reads the parameters page and size.
func readPage(c *httpadapter.Call, base, size int64) (page, error) {
	p := page{base: base, number: base, size: size}
	if text := c.Param("page"); text != "" {
		n, ok := whole(text)
		if !ok || n < base {
			return page{}, invalid("page", text, fmt.Sprintf("Give a whole number of at least %d.", base))
		}
		p.number = n
	}
	if text := c.Param("size"); text != "" {
		n, ok := whole(text)
		if !ok || n < 1 || n > maxSize {
			return page{}, invalid("size", text, fmt.Sprintf("Give a whole number from 1 to %d.", maxSize))
		}
		p.size = n
	}
	return p, nil
}

// whole reads a number of plain digits.
func whole(text string) (int64, bool) {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// cut returns the rows of the page and notes how many there are in all. A page
// past the end is empty.
func cut[T any](p *page, rows []T) []T {
	n := int64(len(rows))
	p.total = n
	if p.number-p.base > n/p.size { // what follows cannot overflow
		return nil
	}
	from := min((p.number-p.base)*p.size, n)
	return rows[from:min(from+p.size, n)]
}

func (p *page) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"number":`...), p.number, 10)
	b = strconv.AppendInt(append(b, `,"size":`...), p.size, 10)
	b = strconv.AppendInt(append(b, `,"totalElements":`...), p.total, 10)
	b = strconv.AppendInt(append(b, `,"totalPages":`...), (p.total+p.size-1)/p.size, 10)
	return append(b, '}')
}
