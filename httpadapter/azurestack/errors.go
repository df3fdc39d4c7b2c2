package azurestack

import (
	"net/http"

	"github.com/usagebook/usagebook/httpadapter"
)

// codes are those of problems that have none of their own.
var codes = map[httpadapter.ProblemKind]string{
	httpadapter.Internal:    "InternalServerError",
	httpadapter.NoPath:      "ResourceNotFound",
	httpadapter.BadMethod:   "MethodNotAllowed",
	httpadapter.NoToken:     "AuthenticationFailed",
	httpadapter.BadToken:    "AuthenticationFailed",
	httpadapter.TooMany:     "ServiceUnavailable",
	httpadapter.Forbidden:   "AuthorizationFailed",
	httpadapter.NotFound:    "SubscriptionNotFound",
	httpadapter.Unavailable: "ServiceUnavailable",
}

// fail answers a problem with the documented body {"error":{"code","message"}}.
// Callers above their rate get 503, as Azure Stack throttles with it.
func fail(c *httpadapter.Call, p *httpadapter.Problem) {
	status, code, message := p.HTTPStatus(), p.Code, p.Message
	if code == "" {
		code = codes[p.Kind]
	}
	switch p.Kind {
	case httpadapter.NoToken, httpadapter.BadToken:
		c.Header().Set("WWW-Authenticate", "Bearer")
	case httpadapter.TooMany:
		status = http.StatusServiceUnavailable
	case httpadapter.Internal:
		message = "Something went wrong on this side; the header x-ms-request-id finds it in the log."
	}
	if code == "" {
		code = "InvalidProperty"
	}
	b := httpadapter.AppendString([]byte(`{"error":{"code":`), code)
	b = httpadapter.AppendString(append(b, `,"message":`...), message)
	_ = c.JSON(status, append(b, "}}"...)) // nobody is left to be told
}
