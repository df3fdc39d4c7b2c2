package httpadapter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// What the book takes; longer texts are refused with the whole record.
const (
	meterMaxTenant    = 128
	meterMaxDimension = 4 << 10
)

// meterEvent is a request that has ended. It becomes a record when its batch is
// booked, off the request's path.
type meterEvent struct {
	start            time.Time
	caller           Caller
	template, method string
	in, out          int64
	status           int
	altered          bool
}

// bound takes out of the event what the book would refuse for its length, and
// what would keep more memory than it shows: the method is a part of the request
// line and holds on to all of it.
func (e *meterEvent) bound() {
	if len(e.caller.Tenant) > meterMaxTenant {
		// Refused by the book all the same: another tenant's name is not a shorter
		// one. The rest of it need not wait in the queue.
		e.caller.Tenant = strings.Clone(e.caller.Tenant[:meterMaxTenant+1])
	}
	for _, s := range [...]*string{&e.caller.Client, &e.caller.ClientName, &e.caller.User, &e.template, &e.method} {
		if len(*s) > meterMaxDimension {
			*s, e.altered = "", true
		}
	}
	switch e.method {
	case http.MethodGet:
		e.method = http.MethodGet
	case http.MethodPost:
		e.method = http.MethodPost
	case http.MethodPut:
		e.method = http.MethodPut
	case http.MethodPatch:
		e.method = http.MethodPatch
	case http.MethodDelete:
		e.method = http.MethodDelete
	case http.MethodHead:
		e.method = http.MethodHead
	case http.MethodOptions:
		e.method = http.MethodOptions
	default:
		e.method = strings.Clone(e.method)
	}
}

// record returns the record of an event, and whether a dimension is not what
// it was.
func (m *Metered) record(e *meterEvent, number uint64) (usage.Record, bool) {
	altered := e.altered
	var dims [5]usage.Dimension
	d := 0
	dimension := func(name, value string) {
		clean := meterText(value)
		altered = altered || clean != value
		if clean != "" {
			dims[d] = usage.Dimension{Name: name, Value: clean}
			d++
		}
	}
	dimension("clientId", e.caller.Client)
	dimension("clientName", e.caller.ClientName)
	dimension("httpMethod", e.method)
	dimension("templateUri", e.template)
	dimension("userId", e.caller.User)

	var values [5]usage.Value
	v := 0
	value := func(name string, n int64) {
		if n != 0 {
			values[v] = usage.Value{Name: name, Number: aggregate.Int(n)}
			v++
		}
	}
	value("bytesIn", e.in)
	value("bytesOut", e.out)
	value("requests", 1)
	switch e.status / 100 {
	case 2:
		value("status200", 1)
	case 3:
		value("status300", 1)
	case 4:
		value("status400", 1)
		if e.status == http.StatusTooManyRequests {
			value("status429", 1)
		}
	case 5:
		value("status500", 1)
	}
	return usage.Record{
		Tenant: e.caller.Tenant, Source: m.source, ID: strconv.FormatUint(number, 10),
		Meter: m.opts.Name, Start: e.start,
		Values: usage.NewValues(values[:v]...), Dimensions: usage.NewDimensions(dims[:d]...),
	}, altered
}

// meterText returns a text that the book takes as a dimension: itself nearly
// always.
func meterText(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > meterMaxDimension {
		return ""
	}
	return s
}
