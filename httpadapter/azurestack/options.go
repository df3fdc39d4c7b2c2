package azurestack

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// Options are the settings of the API. Nil and the zero value both work.
type Options struct {
	// Meters are the meters whose records the API reads. Defaults to azure-usage.
	Meters []string

	// Fields says where the fields of a row come from: subscriptionId, meterId,
	// resourceUri, location, tags and additionalInfo. subscriptionId bounds what
	// a caller may see and comes from one dimension. Defaults to the dimensions
	// of these names, and for meterId to the record's meter where it has none.
	Fields httpadapter.Fields

	// Quantity is the value of a record that rows add up. Defaults to quantity.
	Quantity string

	// ReportedTime says which time of a record the range of a request goes by.
	// Defaults to Recorded, as documented.
	ReportedTime ReportedTime

	// SettleWait is how long a request waits for writers that may still book
	// into its range, where that goes by recorded time. Defaults to five seconds.
	SettleWait time.Duration

	pageRows int // of tests
}

// ReportedTime is the time of a record that the range of a request goes by.
type ReportedTime uint8

const (
	// Recorded: when the record was booked, by the book's clock. A record can be
	// read after the hour, or for daily rows the day, in which it was booked.
	Recorded ReportedTime = iota
	// Event: the record's start, for hosts that import history.
	Event
)

// String returns "recorded" or "event".
func (r ReportedTime) String() string {
	if r == Event {
		return "event"
	}
	return "recorded"
}

// MarshalText writes the time as String does.
func (r ReportedTime) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads "recorded" or "event"; empty is Recorded.
func (r *ReportedTime) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "recorded":
		*r = Recorded
	case "event":
		*r = Event
	default:
		return fmt.Errorf("the reported time is %q; recorded and event are allowed", text)
	}
	return nil
}

// The fields of a row, in the order in which they decide the order of rows, after
// usageStartTime.
const (
	meterID = iota
	resourceURI
	subscriptionID
	location
	tags
	additionalInfo
	fieldCount
)

var fieldNames = [fieldCount]string{"meterId", "resourceUri", "subscriptionId", "location", "tags", "additionalInfo"}

// service is the options made ready.
type service struct {
	filter       string // the records of the meters
	counted      string // those of them that have the quantity
	fields       httpadapter.Fields
	quantity     string
	subscription string // the dimension
	reported     ReportedTime
	wait         time.Duration
	tenant       *reading
	provider     *reading
	pageRows     int
	densities    [256]atomic.Uint32
	seed         maphash.Seed
}

func (o *Options) compile() (*service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &service{seed: maphash.MakeSeed(), quantity: o.Quantity, pageRows: o.pageRows, reported: o.ReportedTime, wait: o.SettleWait}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	meters := slices.Clone(o.Meters)
	if len(meters) == 0 {
		meters = []string{httpadapter.AzureUsage}
	}
	if slices.Contains(meters, "") {
		fault("a meter has no name")
	}
	if s.quantity == "" {
		s.quantity = usage.QuantityName
	}
	s.filter = httpadapter.MeterFilter(meters)
	s.counted = httpadapter.And(s.filter, "values/"+s.quantity+" ne null")
	if _, err := filter.Parse(s.counted, nil); err != nil {
		fault("the quantity cannot be %q, which is no name", s.quantity)
	}
	if s.reported > Event {
		fault("the reported time %d is unknown", s.reported)
	}
	if s.pageRows == 0 {
		s.pageRows = pageRows
	}
	if s.wait < 0 {
		fault("SettleWait is %s, at least 0 is allowed", s.wait)
	}
	if s.wait == 0 {
		s.wait = 5 * time.Second
	}
	defaults := httpadapter.Fields{}
	for _, name := range fieldNames {
		defaults[name] = []string{name}
	}
	defaults["meterId"] = []string{"meterId", "meter"}
	var err error
	if s.fields, err = o.Fields.Over(defaults); err != nil {
		return s, errors.Join(append(faults, err)...)
	}
	from := s.fields.Groups([]string{fieldNames[subscriptionID]}).GroupBy()
	name, ok := strings.CutPrefix(from[0], "dimensions/")
	if len(from) != 1 || !ok {
		fault("the field subscriptionId comes from %s; it has to come from one dimension, as it bounds what a caller may see", strings.Join(from, ", "))
	}
	s.subscription = name
	s.tenant = newReading(s.fields, false)
	s.provider = newReading(s.fields, true)
	return s, errors.Join(faults...)
}
