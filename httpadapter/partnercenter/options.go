package partnercenter

import (
	"slices"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// Options are the settings of the API. Nil and the zero value both work.
type Options struct {
	// Meters are the meters whose records the API reads. Defaults to azure-usage.
	Meters []string

	// Fields says where the documented fields come from, but for usageDate and
	// quantity. Defaults to the table of the package comment.
	Fields httpadapter.Fields

	// Value is the value that quantity sums. Defaults to quantity.
	Value string
}

// field is one of the thirteen, by its place in a row.
type field int

const (
	customerTenantID field = iota
	customerName
	subscriptionID
	subscriptionName
	usageDate
	resourceLocation
	meterCategory
	meterSubcategory
	meterUnit
	reservationOrderID
	reservationID
	consumptionMeterID
	serviceType
	fieldCount
)

// names are the fields as documented, in the order of a row.
var names = [fieldCount]string{"customerTenantId", "customerName", "subscriptionId", "subscriptionName", "usageDate", "resourceLocation", "meterCategory",
	"meterSubcategory", "meterUnit", "reservationOrderId", "reservationId", "consumptionMeterId", "serviceType"}

// guids compare in filters without regard to case.
var guids = []field{customerTenantID, subscriptionID, reservationOrderID, reservationID, consumptionMeterID}

// defaults are the record fields behind each field.
var defaults = httpadapter.Fields{
	"customerTenantId":   {"customerTenantId", "tenant"},
	"customerName":       {"customerName"},
	"subscriptionId":     {"subscriptionId"},
	"subscriptionName":   {"subscriptionName"},
	"resourceLocation":   {"resourceLocation", "location"},
	"meterCategory":      {"meterCategory"},
	"meterSubcategory":   {"meterSubcategory"},
	"meterUnit":          {"meterUnit", "unit"},
	"reservationOrderId": {"reservationOrderId"},
	"reservationId":      {"reservationId"},
	"consumptionMeterId": {"consumptionMeterId", "meterId"},
	"serviceType":        {"serviceType"},
}

// service is the options made ready.
type service struct {
	meters []string
	fields httpadapter.Fields
	value  string
	schema *filter.Fields
}

func (o *Options) compile() (*service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &service{meters: slices.Clone(o.Meters), value: o.Value}
	if len(s.meters) == 0 {
		s.meters = []string{httpadapter.AzureUsage}
	}
	if s.value == "" {
		s.value = usage.QuantityName
	}
	var err error
	if s.fields, err = o.Fields.Over(defaults); err != nil {
		return s, err
	}
	list := make([]filter.Field, fieldCount)
	for f := range fieldCount {
		list[f] = filter.Field{Name: names[f], Type: filter.TypeString, NotNull: true, FoldCase: slices.Contains(guids, f)}
	}
	list[usageDate].Type = filter.TypeTime
	s.schema, err = filter.NewSchema(list...)
	return s, err
}

// fieldOf returns the place of a documented field.
func fieldOf(name string) (field, bool) {
	i := slices.Index(names[:], name)
	return field(i), i >= 0
}
