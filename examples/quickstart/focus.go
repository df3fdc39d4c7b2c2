package main

import (
	"slices"

	"github.com/usagebook/usagebook/rules"
)

// focusTargets is the mapping of FOCUS 1.0, 1.1 and 1.2. Two columns are
// needed, the start of the charge period and one figure; every other one is
// taken where the file has it. Beside the columns of all three versions these
// are, of
//
//   - 1.1: CapacityReservationId and -Status, CommitmentDiscountQuantity and
//     -Unit, ServiceSubcategory, SkuMeter, SkuPriceDetails
//   - 1.2: BillingAccountType, SubAccountType, InvoiceId, and PricingCurrency
//     with the effective cost in it
//
// Unit prices are left out: nothing that a book does to the figures of many
// records, sums above all, makes sense of them. Billing periods are left out
// because charge periods say the same and more.
var focusTargets = slices.Concat(
	[]target{
		// Not of the specification. Without it ids are derived.
		{part: partID, column: "Id", optional: true},
		{part: partStart, column: "ChargePeriodStart"},
		{part: partEnd, column: "ChargePeriodEnd", optional: true},
	},
	optional(partValue, [][2]string{
		{"cost", "BilledCost"},
		{"listCost", "ListCost"},
		{"effectiveCost", "EffectiveCost"},
		{"contractedCost", "ContractedCost"},
		{"quantity", "ConsumedQuantity"},
		{"pricingQuantity", "PricingQuantity"},
		{"commitmentQuantity", "CommitmentDiscountQuantity"},
		{"pricingCurrencyEffectiveCost", "PricingCurrencyEffectiveCost"},
	}),
	optional(partDimension, [][2]string{
		{"provider", "ProviderName"},
		{"service", "ServiceName"},
		{"category", "ServiceCategory"},
		{"subcategory", "ServiceSubcategory"},
		{"region", "RegionId"},
		{"regionName", "RegionName"},
		{"zone", "AvailabilityZone"},
		{"account", "SubAccountId"},
		{"accountName", "SubAccountName"},
		{"accountType", "SubAccountType"},
		{"billingAccount", "BillingAccountId"},
		{"billingAccountName", "BillingAccountName"},
		{"billingAccountType", "BillingAccountType"},
		{"currency", "BillingCurrency"},
		{"pricingCurrency", "PricingCurrency"},
		{"invoice", "InvoiceId"},
		{"invoiceIssuer", "InvoiceIssuerName"},
		{"publisher", "PublisherName"},
		{"unit", "ConsumedUnit"},
		{"pricingUnit", "PricingUnit"},
		{"pricingCategory", "PricingCategory"},
		{"chargeCategory", "ChargeCategory"},
		{"chargeClass", "ChargeClass"},
		{"chargeDescription", "ChargeDescription"},
		{"chargeFrequency", "ChargeFrequency"},
		{"resourceId", "ResourceId"},
		{"resourceName", "ResourceName"},
		{"resourceType", "ResourceType"},
		{"sku", "SkuId"},
		{"skuMeter", "SkuMeter"},
		{"skuPrice", "SkuPriceId"},
		{"commitment", "CommitmentDiscountId"},
		{"commitmentName", "CommitmentDiscountName"},
		{"commitmentCategory", "CommitmentDiscountCategory"},
		{"commitmentStatus", "CommitmentDiscountStatus"},
		{"commitmentType", "CommitmentDiscountType"},
		{"commitmentUnit", "CommitmentDiscountUnit"},
		{"reservation", "CapacityReservationId"},
		{"reservationStatus", "CapacityReservationStatus"},
	}),
	optional(partJSON, [][2]string{
		{"tags", "Tags"},
		{"skuDetails", "SkuPriceDetails"},
	}),
)

// optional returns a target for each pair of name and column.
func optional(p part, pairs [][2]string) []target {
	targets := make([]target, 0, len(pairs))
	for _, pair := range pairs {
		targets = append(targets, target{part: p, name: pair[0], column: pair[1], optional: true})
	}
	return targets
}

// isFocus reports whether targets are those of FOCUS, with or without others:
// no other columns may be missing from a file.
func isFocus(targets []target) bool {
	return slices.ContainsFunc(targets, func(t target) bool { return t.optional })
}

// focusRules is what the specification says of every charge and the book is to
// verify. What to bill for is not part of it: here it is usage and purchases.
func focusRules(meter string) []rules.Rule {
	billable := func(category string) rules.Rule {
		return rules.Rule{Name: "billable " + category, Meter: meter, Dimensions: map[string]string{"chargeCategory": category}, Billable: rules.Some(true)}
	}
	return []rules.Rule{
		{Name: "charge category", Meter: meter, AllowedValues: map[string][]string{"chargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}}},
		billable("Usage"),
		billable("Purchase"),
	}
}
