package uts

import (
	"fmt"

	"github.com/usagebook/usagebook/httpadapter"
)

// generic is what the codes of all answers but those about a single usage begin
// with.
const generic = "mdsp.core.generic."

// The codes of the documented list that are not the one code of a kind.
const (
	missingParameter = "missingParameter"
	invalidProperty  = "invalidRequestBodyProperty"
	missingProperty  = "missingRequestBodyProperty"
)

// codes are those of a kind.
var codes = map[httpadapter.ProblemKind]string{
	httpadapter.Internal:    "internalServerError",
	httpadapter.NoPath:      "noMatch",
	httpadapter.BadMethod:   "methodNotAllowed",
	httpadapter.NoToken:     "unauthorized",
	httpadapter.BadToken:    "unauthorized",
	httpadapter.TooMany:     "tooManyRequests",
	httpadapter.Forbidden:   "forbidden",
	httpadapter.Unsupported: "unsupportedMediaType",
	httpadapter.TooLarge:    "payloadTooLarge",
	httpadapter.SlowBody:    "requestTimeout",
	httpadapter.Twice:       "invalidParameter",
	httpadapter.Invalid:     "invalidParameter",
	httpadapter.NotFound:    "noMatch",
	httpadapter.Conflict:    "conflict",
	httpadapter.Unavailable: "serviceUnavailable",
}

// fail answers a problem with the documented body: {"errors": [{"code",
// "message", "messageParameters", "logref"}]}.
func fail(c *httpadapter.Call, p *httpadapter.Problem) {
	switch p.Kind {
	case httpadapter.NoToken, httpadapter.BadToken:
		c.Header().Set("WWW-Authenticate", "Bearer")
	}
	code := p.Code
	if code == "" {
		code = codes[p.Kind]
	}
	message := p.Message
	if p.Allowed != "" {
		message += " " + p.Allowed
	}
	figures := p.Figures
	if len(figures) == 0 && p.Field != "" && (p.Kind == httpadapter.Invalid || p.Kind == httpadapter.Twice) {
		figures = []httpadapter.Figure{{Name: "parameter", Value: p.Field}}
	}
	b := httpadapter.AppendString([]byte(`{"errors":[{"code":`), generic+code)
	b = httpadapter.AppendString(append(b, `,"message":`...), message)
	b = appendFigures(append(b, `,"messageParameters":`...), figures)
	b = httpadapter.AppendString(append(b, `,"logref":`...), c.Operation)
	_ = c.JSON(p.HTTPStatus(), append(b, "}]}"...)) // nobody is left to be told
}

// absent is a required parameter that is not there, or empty.
func absent(name string) error {
	return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: missingParameter, Field: name, Message: fmt.Sprintf("The parameter '%s' is missing.", name)}
}

// invalid is a parameter that cannot be understood.
func invalid(name, value, allowed string) error {
	return &httpadapter.Problem{Kind: httpadapter.Invalid, Field: name, Message: fmt.Sprintf("'%s' is %q.", name, clip(value)), Allowed: allowed}
}

// clip shortens what is quoted of the client's text.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
