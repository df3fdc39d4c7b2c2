package native_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleDecode() {
	body := "id,source,tenant,meter,start,quantity,dimensions.region\n" +
		"1,gateway,acme,requests,2026-03-01T00:00:00Z,1.50,eu\n" +
		"2,gateway,acme,requests,2026-03-01T00:00:00Z,many,eu\n" +
		"3,gateway,acme\n"
	records, err := native.Decode("text/csv; charset=utf-8", http.Header{}, []byte(body), nil)
	var refused *native.DecodeError
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused)
		return
	}
	fmt.Println(native.Tenants(records))

	book, _ := usage.New(memstore.New(nil), nil)
	receipt, _ := book.Append(context.Background(), records...)
	for _, e := range receipt.Entries {
		fmt.Println(e.Outcome, e.Violations)
	}
	// Output:
	// [acme]
	// inserted []
	// rejected [values.quantity: not a number: "many": byte 0: expected a digit (syntax)]
	// rejected [record: line 4: 3 cells where the header has 7 (syntax)]
}

func ExampleDecode_event() {
	header := http.Header{}
	for name, value := range map[string]string{"ce-specversion": "1.0", "ce-id": "A-1", "ce-source": "/printers/5", "ce-type": "pages",
		"ce-time": "2026-03-01T08:00:00Z", "ce-tenant": "acme", "ce-subject": "Ren%C3%A9e"} {
		header.Set(name, value)
	}
	records, err := native.Decode("application/json", header, []byte(`{"quantity":12,"dimensions":{"floor":"3"}}`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := records[0].MarshalJSON()
	fmt.Println(string(text))
	// Output:
	// {"id":"A-1","source":"/printers/5","tenant":"acme","meter":"pages","start":"2026-03-01T08:00:00Z","values":{"quantity":"12"},"dimensions":{"floor":"3","subject":"Renée"}}
}

func ExampleAppendOutcomes() {
	records, _ := native.Decode("application/x-ndjson", nil, []byte(`
{"id":"1","source":"gateway","tenant":"acme","meter":"requests","start":"2026-03-01T00:00:00Z","quantity":1}
{"id":"2","source":"gateway","tenant":"acme","meter":"requests","quantity":1}
`), nil)
	book, _ := usage.New(memstore.New(nil), nil)
	receipt, _ := book.Append(context.Background(), records...)
	fmt.Println(string(native.AppendOutcomes(nil, receipt)))
	// Output:
	// {"inserted":1,"duplicates":0,"conflicts":0,"rejected":1,"outcomes":[{"index":0,"outcome":"inserted"},{"index":1,"outcome":"rejected","violations":[{"code":"required","field":"start","message":"is required"}]}]}
}

func ExampleWriteRows() {
	records, _ := native.Decode("application/json", nil, []byte(`{"id":"1","source":"gateway","tenant":"acme","meter":"requests","start":"2026-03-01T00:00:00Z","quantity":"1.50","dimensions":{"region":"eu"}}`), nil)
	book, _ := usage.New(memstore.New(nil), nil)
	if _, err := book.Append(context.Background(), records...); err != nil {
		fmt.Println(err)
		return
	}
	page, err := book.Query(context.Background(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"region"}, Count: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := native.WriteRows(os.Stdout, page, &native.RowsOptions{Count: true}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"columns":["start","end","region","quantity"],"rows":[{"start":null,"end":null,"region":"eu","quantity":"1.5"}],"asOf":1,"count":1}
}
