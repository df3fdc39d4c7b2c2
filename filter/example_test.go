package filter_test

import (
	"errors"
	"fmt"

	"github.com/usagebook/usagebook/filter"
)

type row map[string]filter.Value

// bound gives the values of a row by the slots of a program.
type bound struct {
	row    row
	fields []filter.Field
}

func (b bound) Value(slot int) filter.Value { return b.row[b.fields[slot].Name] }

func Example() {
	schema, err := filter.NewSchema(
		filter.Field{Name: "meter", Type: filter.TypeString},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	expr, err := filter.Parse("meter in ('egress','ingress') and quantity mul 2 gt 10", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	checked, err := filter.Check(expr, schema)
	if err != nil {
		fmt.Println(err)
		return
	}
	program := checked.Compile()
	for _, r := range []row{
		{"meter": filter.String("egress"), "quantity": filter.Number(55, 1)},
		{"meter": filter.String("egress"), "quantity": filter.Number(50, 1)},
		{"meter": filter.String("storage"), "quantity": filter.Number(99, 0)},
	} {
		selected, err := program.Match(bound{r, program.Fields()})
		fmt.Println(r["meter"], r["quantity"], selected, err)
	}
	// Output:
	// egress 5.5 true <nil>
	// egress 5 false <nil>
	// storage 99 false <nil>
}

func ExampleError_Render() {
	schema, _ := filter.NewSchema(filter.Field{Name: "region", Type: filter.TypeString})
	expr, _ := filter.Parse("length(region) gt 2 and regoin eq 'eu'", nil)
	_, err := filter.Check(expr, schema)
	var fault *filter.Error
	if errors.As(err, &fault) {
		fmt.Println(fault.Render())
	}
	// Output:
	// filter: at byte 24: there is no field regoin; did you mean region?
	//   length(region) gt 2 and regoin eq 'eu'
	//                           ^^^^^^
}
