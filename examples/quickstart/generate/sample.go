package main

import (
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
)

// columns are those of FOCUS 1.0 in its order. Id is no column of the
// specification: exports that pass through a database have one like it.
var columns = []string{
	"AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
	"ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
	"CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType",
	"ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice",
	"PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName",
	"ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags", "Id",
}

// row is one line by column: each cell as it stands in the file.
type row map[string]string

// set gives a column a text, in quotes.
func (r row) set(column, text string) { r[column] = `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// null is how the sample writes that there is no value: without quotes.
const null = "NULL"

func (r row) write(w io.Writer) {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cell, ok := r[c]
		if !ok {
			cell = null
		}
		cells[i] = cell
	}
	fmt.Fprintln(w, strings.Join(cells, ","))
}

func writeHeader(w io.Writer) {
	fmt.Fprintln(w, `"`+strings.Join(columns, `","`)+`"`)
}

// writeSample writes the header and n lines.
func writeSample(w io.Writer, seed uint64, n int) {
	writeHeader(w)
	g := &generator{random: newRandom(seed), id: 400}
	for i := range n {
		g.line(i).write(w)
	}
}

type generator struct {
	random
	id uint64
	// resources that have been invented so far, by service: real lines come
	// back to the same resource again and again.
	resources map[string][]resource
}

type resource struct {
	id, name string
	account  account
	region   [2]string
	tags     string
}

// line returns the i-th line. A few have a part of their own; all others are
// usage.
func (g *generator) line(i int) row {
	g.id += 1 + g.below(170)
	p := g.provider()
	s := pick(g.random, p.services)
	k := pick(g.random, s.skus)
	res := g.resource(p, s)
	start, end := g.period(k)

	r := row{"Id": fmt.Sprint(g.id)}
	g.who(r, p, s, res)
	r.set("ChargeCategory", "Usage")
	r.set("ChargeFrequency", "Usage-Based")
	r.set("ChargeDescription", k.description)
	r.set("PricingCategory", "Standard")
	r.set("BillingCurrency", "USD")
	r.set("ChargePeriodStart", stamp(start))
	r.set("ChargePeriodEnd", stamp(end))
	month := time.Date(start.Year(), start.Month(), 1, 0, 0, 0, 0, time.UTC)
	r.set("BillingPeriodStart", stamp(month))
	r.set("BillingPeriodEnd", stamp(month.AddDate(0, 1, 0)))
	skuID := g.skuID(k)
	r.set("SkuId", skuID)
	r.set("SkuPriceId", skuID+".JRT7A2")

	quantity := g.quantity(k.amount)
	cost := product(quantity, k.price)
	r["ConsumedQuantity"] = fixed(quantity, 15)
	r.set("ConsumedUnit", k.unit)
	r["PricingQuantity"] = fixed(rescale(quantity, 4), 11)
	r.set("PricingUnit", k.unit)
	r["ListUnitPrice"] = fixed(new(big.Int).SetUint64(k.price), 10)
	r["ContractedUnitPrice"] = r["ListUnitPrice"]
	g.costs(r, cost, cost, cost, cost)

	switch {
	case i%97 == 41:
		g.credit(r, cost)
	case i%211 == 60:
		g.tax(r)
	case i%83 == 17 && p.name == "AWS":
		g.committed(r, p, cost)
	case i%173 == 90:
		g.purchase(r)
	case i%131 == 77:
		g.correction(r, quantity, cost)
	case p.empty:
		// Oracle-like exports know neither the contract nor its prices.
		r["ContractedCost"], r["ContractedUnitPrice"] = null, null
		r["EffectiveCost"] = fixed(new(big.Int), 11)
		r.set("PricingCategory", "")
		for _, c := range []string{"CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountType", "ResourceName"} {
			r.set(c, "")
		}
		r.set("ChargeFrequency", "Usage-based")
	case g.chance(9):
		// The free tier: listed, and not billed.
		g.costs(r, new(big.Int), cost, new(big.Int), new(big.Int))
	}
	if i == 500 {
		// A line that goes over two: what follows has another number in the
		// file than the count of its records.
		r.set("ChargeDescription", "Standard - E5 - Memory\n(billed by the second, \"minimum\" one minute)")
	}
	return r
}

// who fills in the columns about provider, account and resource.
func (g *generator) who(r row, p *provider, s service, res resource) {
	r.set("ProviderName", p.name)
	r.set("PublisherName", p.issuer)
	r.set("InvoiceIssuerName", p.issuer)
	r.set("BillingAccountId", p.billing)
	r.set("BillingAccountName", p.billingName)
	r.set("ServiceName", s.name)
	r.set("ServiceCategory", s.category)
	r.set("SubAccountId", res.account.id)
	r.set("SubAccountName", res.account.name)
	if res.region[0] != "" {
		r.set("RegionId", res.region[0])
		if g.chance(12) {
			r.set("AvailabilityZone", res.region[0]+string('a'+byte(g.below(3))))
		}
	}
	r.set("RegionName", res.region[1])
	if g.chance(93) {
		r.set("ResourceId", res.id)
		if p.name != "AWS" {
			r.set("ResourceName", res.name)
		}
		if p.name != "AWS" || g.chance(30) {
			r.set("ResourceType", s.resource)
		}
	}
	if res.tags != "" {
		r.set("Tags", res.tags)
	}
}

func (g *generator) costs(r row, billed, list, effective, contracted *big.Int) {
	r["BilledCost"] = fixed(billed, 11)
	r["ListCost"] = fixed(list, 11)
	r["EffectiveCost"] = fixed(effective, 11)
	r["ContractedCost"] = fixed(contracted, 11)
}

// credit makes the line a credit: a negative cost that is listed at zero.
func (g *generator) credit(r row, cost *big.Int) {
	r.set("ChargeCategory", "Credit")
	r.set("ChargeDescription", "Promotional credit, applied to the account")
	back := new(big.Int).Neg(new(big.Int).Add(cost, new(big.Int).SetUint64(g.below(90_000_000_000))))
	g.costs(r, back, new(big.Int), back, back)
	r["ConsumedQuantity"], r["ConsumedUnit"] = fixed(new(big.Int), 15), null
}

// tax makes the line a tax, which has a cost and no quantity.
func (g *generator) tax(r row) {
	r.set("ChargeCategory", "Tax")
	r.set("ChargeFrequency", "Recurring")
	r.set("ChargeDescription", "Value added tax, 8.1 %")
	tax := new(big.Int).SetUint64(g.below(40_000_000_000))
	g.costs(r, tax, tax, tax, tax)
	for _, c := range []string{"ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "PricingCategory", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId", "ResourceId", "ResourceName", "ResourceType", "Tags"} {
		r[c] = null
	}
}

// committed makes the line one that a commitment has paid for already: nothing
// is billed and 72 % of the list price is in effect.
func (g *generator) committed(r row, p *provider, cost *big.Int) {
	r.set("PricingCategory", "Committed")
	r.set("CommitmentDiscountCategory", "Spend")
	r.set("CommitmentDiscountId", "arn:aws:savingsplans::"+p.billing+":savingsplan/"+g.text(hexDigits, 12))
	r.set("CommitmentDiscountType", "Savings Plan")
	r.set("CommitmentDiscountStatus", "Used")
	effective := new(big.Int).Div(new(big.Int).Mul(cost, big.NewInt(72)), big.NewInt(100))
	g.costs(r, new(big.Int), cost, effective, effective)
}

// purchase makes the line a purchase: one piece, billed once.
func (g *generator) purchase(r row) {
	r.set("ChargeCategory", "Purchase")
	r.set("ChargeFrequency", "One-Time")
	r.set("ChargeDescription", "Upfront fee, one year, partial")
	fee := new(big.Int).SetUint64(40_000_000_000 + 2_500_000_000*g.below(60))
	g.costs(r, fee, fee, new(big.Int), fee)
	r["ConsumedQuantity"] = fixed(pow10(15), 15)
	r.set("ConsumedUnit", "Purchases")
	r["PricingQuantity"] = fixed(pow10(11), 11)
	r.set("PricingUnit", "Purchases")
}

// correction makes the line take back usage of the month before.
func (g *generator) correction(r row, quantity, cost *big.Int) {
	r.set("ChargeClass", "Correction")
	if g.chance(50) {
		r.set("ChargeCategory", "Adjustment")
	}
	neg := new(big.Int).Neg(cost)
	g.costs(r, neg, neg, neg, neg)
	r["ConsumedQuantity"] = fixed(new(big.Int).Neg(quantity), 15)
	r["PricingQuantity"] = fixed(new(big.Int).Neg(rescale(quantity, 4)), 11)
}

func (g *generator) provider() *provider {
	n := g.below(100)
	for i := range providers {
		if n < providers[i].weight {
			return &providers[i]
		}
		n -= providers[i].weight
	}
	return &providers[0]
}

func (g *generator) resource(p *provider, s service) resource {
	known := g.resources[s.name]
	if len(known) > 0 && g.chance(45) {
		return pick(g.random, known)
	}
	res := resource{account: pick(g.random, accounts), region: pick(g.random, p.regions), name: pick(g.random, applications) + "-" + g.text(hexDigits, 4)}
	switch p.name {
	case "AWS":
		res.id = "arn:aws:" + s.resource + ":" + res.region[0] + ":" + res.account.id + ":" + s.resource + "/" + res.name + "-" + g.text(hexDigits, 10)
	case "Microsoft":
		res.id = "/subscriptions/" + g.text(hexDigits, 8) + "-0000-4000-8000-" + g.text(hexDigits, 12) + "/resourcegroups/" + res.name + "/providers/" + s.resource + "/" + res.name
	case "Google Cloud":
		res.id = "//cloud.example/projects/" + res.name + "/" + s.resource + "s/" + g.text(hexDigits, 16)
	default:
		res.id = "ocid1." + s.resource + ".oc1.." + g.text(hexDigits, 40)
	}
	switch {
	case g.chance(25): // no tags at all
	case g.chance(6):
		res.tags = "{}"
	default:
		res.tags = fmt.Sprintf(`{"application": %q, "environment": %q, "team": %q}`, pick(g.random, applications), pick(g.random, environments), pick(g.random, teams))
	}
	if g.resources == nil {
		g.resources = map[string][]resource{}
	}
	g.resources[s.name] = append(known, res)
	return res
}

// skuIDs gives each price one id for the whole file.
func (g *generator) skuID(k sku) string {
	all := random{newRandom(uint64(len(k.description))<<32 | k.price).pcg}
	return all.text(upperAndNine, 16)
}

// busyDay has more lines than any other, so that its hours are worth a chart.
var busyDay = time.Date(2024, 10, 15, 0, 0, 0, 0, time.UTC)

// period draws the hour that a line is about, in September or October 2024;
// storage goes by the day.
func (g *generator) period(k sku) (start, end time.Time) {
	first := time.Date(2024, 9, 1, 0, 0, 0, 0, time.UTC)
	start = first.Add(time.Duration(g.below(61*24)) * time.Hour)
	if g.chance(11) {
		// Two draws: more usage in the middle of the day than at its ends.
		start = busyDay.Add(time.Duration(g.below(13)+g.below(12)) * time.Hour)
	} else if strings.Contains(k.unit, "onth") && g.chance(50) {
		start = start.Truncate(24 * time.Hour)
		return start, start.AddDate(0, 0, 1)
	}
	return start, start.Add(time.Hour)
}

// quantity draws a quantity in 10^-15.
func (g *generator) quantity(a amount) *big.Int {
	whole := func(n uint64) *big.Int { return new(big.Int).Mul(new(big.Int).SetUint64(n), pow10(15)) }
	switch a {
	case trace:
		return new(big.Int).SetUint64(g.below(1_000_000_000) * 10)
	case volume:
		// Down to a billionth of it as often as up to all of it.
		n := g.below(64_000_000_000_000_000) / pick(g.random, []uint64{1, 10, 1_000, 1_000_000})
		return new(big.Int).SetUint64(n / 100 * 100)
	case count:
		return whole(1 + g.below(pick(g.random, []uint64{3, 50, 4_000})))
	case one:
		return whole(1)
	case huge:
		return whole(1 + g.below(pick(g.random, []uint64{900, 80_000, 3_000_000})))
	}
	if g.chance(6) {
		return new(big.Int)
	}
	return new(big.Int).SetUint64(g.below(1_000_000_000_000_000) / 100_000 * 100_000)
}

// product returns quantity (10^-15) times price (10^-10) in 10^-11, rounded half
// up, as an invoice rounds.
func product(quantity *big.Int, price uint64) *big.Int {
	p := new(big.Int).Mul(quantity, new(big.Int).SetUint64(price))
	return rescale(p, 14)
}

// rescale divides by a power of ten and rounds half up.
func rescale(x *big.Int, places int64) *big.Int {
	half := new(big.Int).Div(pow10(places), big.NewInt(2))
	return half.Add(half, x).Div(half, pow10(places))
}

func pow10(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// fixed writes x times 10^-scale with all its places.
func fixed(x *big.Int, scale int) string {
	digits := new(big.Int).Abs(x).String()
	if pad := scale + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	b := slices.Insert([]byte(digits), len(digits)-scale, '.')
	if x.Sign() < 0 {
		return "-" + string(b)
	}
	return string(b)
}

func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05") }
