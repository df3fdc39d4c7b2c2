module github.com/usagebook/usagebook/examples

go 1.25

require (
	github.com/shopspring/decimal v1.6.0
	github.com/stretchr/testify v1.12.1
	github.com/usagebook/usagebook v0.0.0
	golang.org/x/time v0.14.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/usagebook/usagebook => ../
