package azurestack

// PageRows makes pages shorter than documented.
func (o *Options) PageRows(n int) { o.pageRows = n }
