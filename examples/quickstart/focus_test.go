package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The columns of each version of FOCUS, beside those of the versions before.
var focusColumns = map[string]string{
	"1.0": `AvailabilityZone BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd BillingPeriodStart ChargeCategory
		ChargeClass ChargeDescription ChargeFrequency ChargePeriodEnd ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId
		CommitmentDiscountName CommitmentDiscountStatus CommitmentDiscountType ConsumedQuantity ConsumedUnit ContractedCost ContractedUnitPrice
		EffectiveCost InvoiceIssuerName ListCost ListUnitPrice PricingCategory PricingQuantity PricingUnit ProviderName PublisherName RegionId
		RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName SkuId SkuPriceId SubAccountId SubAccountName Tags`,
	"1.1": `CapacityReservationId CapacityReservationStatus CommitmentDiscountQuantity CommitmentDiscountUnit ServiceSubcategory SkuMeter SkuPriceDetails`,
	"1.2": `BillingAccountType InvoiceId PricingCurrency PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice SubAccountType`,
}

// Every column of every version is booked or left out on purpose, and nothing
// else is looked for.
func TestFocusColumns(t *testing.T) {
	t.Parallel()
	left := []string{"BillingPeriodStart", "BillingPeriodEnd", "ListUnitPrice", "ContractedUnitPrice", "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice"}
	m := &mapping{targets: focusTargets}
	require.NoError(t, m.validate())
	var all []string
	for version, columns := range focusColumns {
		for _, c := range strings.Fields(columns) {
			all = append(all, c)
			require.Equal(t, !slices.Contains(left, c), m.names(c), "%s of FOCUS %s", c, version)
		}
	}
	for _, x := range focusTargets {
		require.True(t, x.column == "Id" || slices.Contains(all, x.column), x.column)
	}
}

// A file of each version is read with the columns it has, in any order.
func TestFocusVersions(t *testing.T) {
	t.Parallel()
	columns := ""
	for _, version := range []string{"1.0", "1.1", "1.2"} {
		columns += " " + focusColumns[version]
		names := strings.Fields(columns)
		slices.Reverse(names)
		cells := make([]string, len(names))
		for i, n := range names {
			switch {
			case strings.HasSuffix(n, "Start"):
				cells[i] = "2025-01-01T00:00:00Z"
			case strings.HasSuffix(n, "End"):
				cells[i] = "2025-01-02T00:00:00Z"
			case strings.HasSuffix(n, "Cost") || strings.HasSuffix(n, "Quantity") || strings.HasSuffix(n, "Price"):
				cells[i] = "1.5"
			case n == "Tags" || n == "SkuPriceDetails":
				cells[i] = `"{""a"":1}"`
			default:
				cells[i] = n
			}
		}
		text := strings.Join(names, ",") + "\n" + strings.Join(cells, ",") + "\n"
		m := &mapping{tenant: "t", source: "s", meter: "m", targets: slices.Clone(focusTargets), times: parseTime}
		lines, err := newCSVLines(strings.NewReader(text), m, nil, ',')
		require.NoError(t, err, version)
		l, err := lines.next()
		require.NoError(t, err, version)
		r, bad := m.record(l)
		require.Nil(t, bad)
		require.Len(t, r.ID, 32, "no Id column, so it is derived")
		values := map[string]int{"1.0": 6, "1.1": 7, "1.2": 8}[version]
		require.Equal(t, values, r.Values.Len(), version)
		left := map[string]int{"1.0": 6, "1.1": 6, "1.2": 8}[version] // and the two ends of the period
		require.Equal(t, len(names)-values-left, r.Dimensions.Len()+0, version)
	}
}

// The least that a FOCUS file has: when, and one figure.
func TestFocusLeast(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"ChargePeriodStart,BilledCost": "",
		"ChargePeriodStart,Tags":       "mapping: no column for a value, such as quantity",
		"BilledCost":                   `mapping: the file has no column "ChargePeriodStart"`,
		"a,b":                          `mapping: the file has no column "ChargePeriodStart"`,
	} {
		m := &mapping{targets: slices.Clone(focusTargets)}
		_, err := newCSVLines(strings.NewReader(header), m, nil, ',')
		if want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, want)
		}
	}
}
