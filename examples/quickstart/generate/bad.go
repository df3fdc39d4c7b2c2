package main

import (
	"fmt"
	"io"
	"strings"
)

// writeBadLines writes a line for each kind of input that the quickstart
// refuses, between two lines that are good: what is bad stops nothing.
func writeBadLines(w io.Writer) {
	writeHeader(w)
	id := 9000000
	next := func() row {
		id++
		return plain(fmt.Sprint(id))
	}
	// with writes a line that differs from a good one in the given cells, as
	// they stand in the file.
	with := func(cells ...string) {
		r := next()
		for i := 0; i < len(cells); i += 2 {
			r[cells[i]] = cells[i+1]
		}
		r.write(w)
	}

	first := next()
	first.write(w)
	first.write(w) // the same line again: a duplicate, which is no fault
	other := plain("9000001")
	other["BilledCost"] = "0.99000000000"
	other.write(w) // the same id with other content

	with("BilledCost", `"12,50"`)                                // a decimal comma
	with("ConsumedQuantity", "NaN")                              // no number
	with("ConsumedQuantity", "1e999999999")                      // a number that would fill the memory
	with("ListCost", strings.Repeat("9", 39))                    // more than 38 digits before the point
	with("EffectiveCost", "0."+strings.Repeat("0", 30)+"1")      // more than 30 digits after it
	with("Id", null)                                             // no id
	with("ChargePeriodStart", null)                              // no time
	with("ChargePeriodStart", `"2024-09-31 00:00:00"`)           // a day that September does not have
	with("ChargePeriodEnd", `"2024-09-09 00:00:00"`)             // an end before the start
	with("ChargeCategory", `"Usgae"`)                            // no charge category of FOCUS
	with("Tags", `"{""team"": ""Basel"""`)                       // tags that are no JSON
	with("ResourceName", "\"Z\xfcrich\"")                        // Latin-1 where UTF-8 is expected
	with("ResourceId", `"arn:`+strings.Repeat("long", 1200)+`"`) // longer than a dimension may be
	with("ConsumedQuantity", null, "BilledCost", null, "ListCost", null, "EffectiveCost", null, "ContractedCost", null, "PricingQuantity", null)
	with("SubAccountName", `"Amber" Harbour`) // text behind the closing quote

	fmt.Fprintln(w, `NULL,0.10000000000,"704400112233"`) // cells are missing

	with("Tags", `"{}`) // a quote that is never closed
	next().write(w)
}

// plain is a good line.
func plain(id string) row {
	r := row{"Id": id}
	for column, text := range map[string]string{
		"BillingAccountId": "704400112233", "BillingAccountName": "Northwind Cooperative", "BillingCurrency": "USD",
		"BillingPeriodStart": "2024-09-01 00:00:00", "BillingPeriodEnd": "2024-10-01 00:00:00",
		"ChargePeriodStart": "2024-09-10 07:00:00", "ChargePeriodEnd": "2024-09-10 08:00:00",
		"ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based", "ChargeDescription": "$0.045 per NAT Gateway Hour",
		"ConsumedUnit": "NatGateway-Hours", "PricingUnit": "NatGateway-Hours", "PricingCategory": "Standard",
		"InvoiceIssuerName": "Amazon Web Services, Inc.", "PublisherName": "Amazon Web Services, Inc.", "ProviderName": "AWS",
		"RegionId": "eu-central-2", "RegionName": "Europe (Zurich)", "ServiceCategory": "Networking", "ServiceName": "Amazon Virtual Private Cloud",
		"ResourceId": "nat-0f00d", "SkuId": "A1B2C3D4E5F6G7H8", "SkuPriceId": "A1B2C3D4E5F6G7H8.JRT7A2",
		"SubAccountId": "500000000017", "SubAccountName": "Amber Harbour", "Tags": `{"application": "checkout"}`,
	} {
		r.set(column, text)
	}
	for column, number := range map[string]string{
		"BilledCost": "0.04500000000", "ListCost": "0.04500000000", "EffectiveCost": "0.04500000000", "ContractedCost": "0.04500000000",
		"ListUnitPrice": "0.0450000000", "ContractedUnitPrice": "0.0450000000",
		"ConsumedQuantity": "1.000000000000000", "PricingQuantity": "1.00000000000",
	} {
		r[column] = number
	}
	return r
}
