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

func ExampleParseOrderBy() {
	list, err := filter.ParseOrderBy("quantity div 2 desc, meter", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range list {
		fmt.Println(key.Expr, key.Desc)
	}
	// Output:
	// quantity div 2 true
	// meter false
}

func ExampleCheckApply() {
	schema, _ := filter.NewSchema(
		filter.Field{Name: "meter", Type: filter.TypeString},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
	)
	apply, err := filter.ParseApply("filter(quantity gt 0)/groupby((meter),aggregate(quantity with sum as total))/top(3)", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	pipeline, err := filter.CheckApply(apply, schema)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, stage := range pipeline.Stages {
		switch stage.Kind {
		case "filter":
			fmt.Println("select", stage.Filter)
		case "groupby":
			fmt.Println("group by", stage.Groups[0].Name, "and", stage.Measures[0].Method, stage.Measures[0].Value)
		case "top":
			fmt.Println("keep", stage.N)
		}
	}
	for _, f := range pipeline.Fields {
		fmt.Println(f.Name, f.Type)
	}
	// Output:
	// select quantity gt 0
	// group by meter and sum quantity
	// keep 3
	// meter string
	// total number
}

func ExampleChecked_Split() {
	schema, _ := filter.NewSchema(
		filter.Field{Name: "region", Type: filter.TypeString},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
	)
	expr, _ := filter.Parse("region in ('eu','us') and quantity gt 5", nil)
	checked, _ := filter.Check(expr, schema)
	// What depends on strings alone can be decided once for many rows.
	once, each := checked.Split(func(f filter.Field) bool { return f.Type == filter.TypeString })
	fmt.Println(once)
	fmt.Println(each)
	regions, _ := checked.Constraint("region")
	fmt.Println(regions)
	// Output:
	// region in ('eu','us')
	// quantity gt 5
	// [eu us]
}
