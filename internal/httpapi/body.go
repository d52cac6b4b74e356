package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// checkBody looks at the headers of the body, before anything costs anything.
func checkBody(op *operation, r *http.Request) error {
	switch {
	case r.ContentLength > MaxBody:
		return errTooLarge()
	case r.ContentLength == 0:
		return nil
	case op.input == nil:
		return forgecroft.Errorf(forgecroft.KindMalformed, "unexpected_body", "This operation takes no body.")
	case len(r.Header["Content-Encoding"]) > 0:
		return forgecroft.Errorf(kindMediaType, "content_encoding", "A body with Content-Encoding is not accepted. Send it as it is.")
	case !isJSON(r.Header["Content-Type"]):
		return forgecroft.Errorf(kindMediaType, "content_type", "The body must be JSON, with Content-Type: application/json.")
	}
	return nil
}

// errTooLarge refuses a body over the limit.
func errTooLarge() error {
	return forgecroft.Errorf(kindTooLarge, "body_too_large", "A body has at most %d bytes.", MaxBody)
}

// isJSON reports whether the one content type is JSON in UTF-8.
func isJSON(headers []string) bool {
	if len(headers) != 1 {
		return false
	}
	if headers[0] == "application/json" {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(headers[0])
	charset, given := parameters["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// decode reads the body into a wire type: 400 for what is not JSON as we take it, then 422 with every broken rule. A caller whose role does not allow the act
// need not get its input right: the zero value goes to the broker, which refuses before it looks at it, and records that.
func (r *request) decode(into any) error {
	if !r.allowed {
		return nil
	}
	text, err := r.read()
	if err != nil {
		return err
	}
	if len(text) == 0 && r.op.optional {
		return nil
	}
	return decodeJSON(text, r.op.rules, into)
}

// decodeJSON is decode without HTTP.
func decodeJSON(text []byte, rules *rule, into any) error {
	if err := scan(text); err != nil {
		return err
	}
	if fields := rules.apply(text); len(fields) > 0 {
		return forgecroft.Invalid(fields)
	}
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		// The rules let it pass, so it is a detail of one Go type. The decoder's own text may quote the input.
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: fieldOf(err), Code: "invalid_value", Message: "The value cannot be read."}})
	}
	return nil
}

// fieldOf is the member that a decoding error is about.
func fieldOf(err error) string {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return wholeBody
	}
	field := wholeBody
	for token := range semantic.JSONPointer.Tokens() {
		field = member(field, shown(token))
	}
	return field
}

// read reads the whole body, at most [MaxBody] bytes.
func (r *request) read() ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	text, err := io.ReadAll(http.MaxBytesReader(r.writer, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge()
	case err != nil:
		return nil, forgecroft.Errorf(forgecroft.KindMalformed, "incomplete_body", "The body did not arrive as a whole.")
	}
	return text, nil
}
