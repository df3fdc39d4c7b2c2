package purecloud

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/httpadapter"
)

// The codes that requests are refused with.
const (
	badRequest      = "bad.request"
	invalidDate     = "invalid.date"
	invalidParam    = "invalid.query.param.value"
	invalidProperty = "invalid.property"
	invalidValue    = "invalid.value"
	constraint      = "constraint.validation"
)

// codes are those of the documented body, where a problem has none of its own.
var codes = map[httpadapter.ProblemKind]string{
	httpadapter.NoPath:      "not.found",
	httpadapter.BadMethod:   "method.not.allowed",
	httpadapter.NoToken:     "authentication.required",
	httpadapter.BadToken:    "bad.credentials",
	httpadapter.TooMany:     "too.many.requests.retry.after",
	httpadapter.Forbidden:   "missing.any.permissions",
	httpadapter.Unsupported: "unsupported.media.type",
	httpadapter.TooLarge:    "request.entity.too.large",
	httpadapter.SlowBody:    "request.timeout",
	httpadapter.Twice:       invalidParam,
	httpadapter.Invalid:     badRequest,
	httpadapter.NotFound:    "not.found",
	httpadapter.Conflict:    "conflict",
	httpadapter.Unavailable: "service.unavailable",
	httpadapter.Internal:    "internal.server.error",
}

// correlationID is the header that every answer has, and the contextId of every
// error. Its name is written as documented.
const correlationID = "ININ-Correlation-Id"

func begin(c *httpadapter.Call) { c.Header()[correlationID] = []string{c.Operation} }

// fail answers a problem with the documented body.
func fail(c *httpadapter.Call, p *httpadapter.Problem) {
	status := p.HTTPStatus()
	if p.Kind == httpadapter.NoToken || p.Kind == httpadapter.BadToken {
		c.Header().Set("WWW-Authenticate", "Bearer")
	}
	code := p.Code
	switch {
	case code != "":
	case p.Kind == httpadapter.Invalid && c.Request.Method == "GET":
		code = invalidParam // there is nothing else to be wrong
	default:
		code = codes[p.Kind]
	}
	message := p.Message
	if p.Allowed != "" {
		message += " " + p.Allowed
	}
	b := httpadapter.AppendString([]byte(`{"message":`), message)
	b = httpadapter.AppendString(append(b, `,"code":`...), code)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = httpadapter.AppendString(append(b, `,"messageParams":{},"contextId":`...), c.Operation)
	_ = c.JSON(status, append(b, `,"details":[],"errors":[]}`...)) // nobody is left to be told
}

// refuse is a fault of a request.
func refuse(code, field, message string) *httpadapter.Problem {
	return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: code, Field: field, Message: message}
}

// badValue is the documented answer to a value that an enumeration does not have.
func badValue(field, value string, allowed []string) *httpadapter.Problem {
	return refuse(invalidValue, field, "Value ["+clip(value)+"] is not valid for field type ["+field+"]. Allowable values are: "+strings.Join(allowed, ", "))
}

// badForm is the answer to a value of another form than a property has.
func badForm(code, field, value, form string) *httpadapter.Problem {
	return refuse(code, field, "Value ["+clip(value)+"] is not valid for field type ["+field+"]. It has to be "+form)
}

// clip keeps messages short.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
