package main

import (
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/httpadapter/partnercenter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/httpadapter/uts"
)

// apis returns every documented API, and the book's own.
func (c *config) apis() ([]*httpadapter.API, error) {
	var reported azurestack.ReportedTime
	if err := reported.UnmarshalText([]byte(c.AzureStack.ReportedTime)); err != nil {
		return nil, c.fault("azurestack.reportedTime", "%w", err)
	}
	return []*httpadapter.API{
		native.New(nil),
		ocs.New(nil),
		azurestack.New(&azurestack.Options{ReportedTime: reported}),
		purecloud.New(nil),
		partnercenter.New(nil),
		uts.New(nil),
	}, nil
}
