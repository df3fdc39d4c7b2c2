module github.com/usagebook/usagebook/examples/internal/filterbench

go 1.25

require (
	github.com/CiscoM31/godata v1.0.10
	github.com/expr-lang/expr v1.17.6
	github.com/google/cel-go v0.26.1
	github.com/stretchr/testify v1.12.1
	github.com/usagebook/usagebook v0.0.0
)

require (
	cel.dev/expr v0.24.0 // indirect
	github.com/antlr4-go/antlr/v4 v4.13.0 // indirect
	github.com/shopspring/decimal v1.6.0 // indirect
	github.com/stoewer/go-strcase v1.2.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/exp v0.0.0-20251023183803-a4bb9ffd2546 // indirect
	golang.org/x/text v0.22.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20240826202546-f6391c0de4c7 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240826202546-f6391c0de4c7 // indirect
	google.golang.org/protobuf v1.34.2 // indirect
)

replace github.com/usagebook/usagebook => ../../../
