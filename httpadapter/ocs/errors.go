package ocs

import (
	"net/http"

	"github.com/usagebook/usagebook/httpadapter"
)

// titles are the Error of the documented body.
var titles = map[httpadapter.ProblemKind]string{
	httpadapter.NoPath:      "The path was not found.",
	httpadapter.NotFound:    "The resource was not found.",
	httpadapter.BadMethod:   "The method is not allowed.",
	httpadapter.Forbidden:   "The operation is not allowed.",
	httpadapter.TooMany:     "The service is busy.",
	httpadapter.Unavailable: "The service is busy.",
	httpadapter.Internal:    "The operation failed.",
}

// resolutions are given where the problem has none of its own.
var resolutions = map[httpadapter.ProblemKind]string{
	httpadapter.NoPath:      "See the documented routes.",
	httpadapter.NotFound:    "Check the ids in the path.",
	httpadapter.Forbidden:   "Use a token of this tenant with the role the documentation names.",
	httpadapter.TooMany:     "Try again after the time in the header Retry-After.",
	httpadapter.Unavailable: "Try again after the time in the header Retry-After.",
	httpadapter.Internal:    "Try again, and give the operation id to support if it fails again.",
}

// fail answers a problem with the documented body: {"OperationId", "Error",
// "Reason", "Resolution"}, and none at all for 401. Callers above their rate get
// 503, as the API knows no 429.
func fail(c *httpadapter.Call, p *httpadapter.Problem) {
	status := p.HTTPStatus()
	switch p.Kind {
	case httpadapter.NoToken, httpadapter.BadToken:
		c.Header().Set("WWW-Authenticate", "Bearer")
		_ = c.Answer(http.StatusUnauthorized, "", nil)
		return
	case httpadapter.TooMany:
		status = http.StatusServiceUnavailable
	}
	title := titles[p.Kind]
	if title == "" {
		title = "The request is not valid."
	}
	reason, resolution := p.Message, p.Allowed
	if p.Kind == httpadapter.Internal {
		reason = "Something went wrong on this side."
	}
	if resolution == "" {
		resolution = resolutions[p.Kind]
	}
	if resolution == "" {
		resolution = "Correct the request and send it again."
	}
	b := httpadapter.AppendString([]byte(`{"OperationId":`), c.Operation)
	b = httpadapter.AppendString(append(b, `,"Error":`...), title)
	b = httpadapter.AppendString(append(b, `,"Reason":`...), reason)
	b = httpadapter.AppendString(append(b, `,"Resolution":`...), resolution)
	_ = c.JSON(status, append(b, '}')) // nobody is left to be told
}
