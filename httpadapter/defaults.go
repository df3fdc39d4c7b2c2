package httpadapter

import "github.com/usagebook/usagebook/usage"

// The meters that the documented APIs read by default.
const (
	StreamEvents = "stream-events" // OCS
	AzureUsage   = "azure-usage"   // Azure Stack and Partner Center: one line feeds both
	APIRequests  = "api-requests"  // Genesys; written by Meter
	AppUsage     = "app-usage"     // UTS; written by its POST routes
)

// Meters returns the declarations of the meters that the documented APIs read
// by default, for usage.Options.Meters. They make the figures that have to be
// integers integers on the way in, and keep nested dimensions as canonical
// JSON, so that equal content is one row; a text that is no JSON stays a text.
func Meters() []usage.Meter {
	return []usage.Meter{
		{Name: StreamEvents, Values: whole("ingressEvents", "egressEvents", "ingressStreamsAccessed", "egressStreamsAccessed"),
			Dimensions: dimensions("namespaceId", "streamId")},
		{Name: AzureUsage, Values: []usage.MeterValue{{Name: usage.QuantityName}}, Dimensions: append([]usage.MeterDimension{
			{Name: "subscriptionId", FoldCase: true}, {Name: "tags", JSON: true, AnyText: true}, {Name: "additionalInfo", JSON: true, AnyText: true}},
			dimensions("meterId", "resourceUri", "location", "customerTenantId", "customerName", "subscriptionName", "resourceLocation",
				"meterCategory", "meterSubcategory", "meterUnit", "reservationOrderId", "reservationId", "consumptionMeterId", "serviceType")...)},
		{Name: APIRequests, Values: whole("requests", "status200", "status300", "status400", "status500", "status429", "bytesIn", "bytesOut"),
			Dimensions: dimensions("clientId", "clientName", "userId", "templateUri", "httpMethod")},
		{Name: AppUsage, Values: []usage.MeterValue{{Name: usage.QuantityName}},
			Dimensions: dimensions("provider", "application", "alias", "resource", "unit", "userId", "userType")},
	}
}

func whole(names ...string) []usage.MeterValue {
	out := make([]usage.MeterValue, len(names))
	for i, n := range names {
		out[i] = usage.MeterValue{Name: n, Integer: true}
	}
	return out
}

func dimensions(names ...string) []usage.MeterDimension {
	out := make([]usage.MeterDimension, len(names))
	for i, n := range names {
		out[i] = usage.MeterDimension{Name: n}
	}
	return out
}
