package partnercenter

import (
	"unicode/utf8"

	"github.com/usagebook/usagebook/httpadapter"
)

// codes are those of the documented body.
var codes = map[httpadapter.ProblemKind]string{
	httpadapter.NoToken:     "800001",
	httpadapter.BadToken:    "400",
	httpadapter.Forbidden:   "2032",
	httpadapter.NoPath:      "1000",
	httpadapter.NotFound:    "1000",
	httpadapter.BadMethod:   "800002",
	httpadapter.TooMany:     "429",
	httpadapter.Twice:       "3000",
	httpadapter.Invalid:     "3000",
	httpadapter.TooLarge:    "3000",
	httpadapter.Internal:    "800003",
	httpadapter.Unavailable: "800003",
}

// maxDescription is the documented length of a description.
const maxDescription = 1024

// fail answers a problem with the documented body: {"code", "description",
// "source"}. An answer with more rows than the book may hold is a request to
// narrow, 400.
func fail(c *httpadapter.Call, p *httpadapter.Problem) {
	status := p.HTTPStatus()
	switch p.Kind {
	case httpadapter.NoToken, httpadapter.BadToken:
		c.Header()["WWW-Authenticate"] = []string{"OAuth realm=urn:cpsvc:cpid:" + c.Header()["MS-CorrelationId"][0]}
	case httpadapter.TooLarge:
		status = 400
	}
	code := p.Code
	if code == "" {
		code = codes[p.Kind]
	}
	if code == "" {
		code = "800002"
	}
	description := p.Message
	if p.Allowed != "" {
		description += " " + p.Allowed
	}
	if len(description) > maxDescription {
		n := maxDescription - 3
		for n > 0 && !utf8.RuneStart(description[n]) {
			n--
		}
		description = description[:n] + "..."
	}
	b := httpadapter.AppendString([]byte(`{"code":`), code)
	b = httpadapter.AppendString(append(b, `,"description":`...), description)
	_ = c.JSON(status, append(b, `,"source":"PartnerAnalytics"}`...)) // nobody is left to be told
}
