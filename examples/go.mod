module github.com/usagebook/usagebook/examples

go 1.25

replace github.com/usagebook/usagebook => ../
