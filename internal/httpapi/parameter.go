package httpapi

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// parameter is one query parameter.
type parameter struct {
	name   string
	doc    string
	format string   // uuid, date-time, integer; empty: text
	enum   []string // the only values; empty: free
}

// maxParameter is the most bytes of a query parameter's value.
const maxParameter = 512

// paged are the parameters of every list that is paged.
func paged(filters ...parameter) []parameter {
	return append(filters,
		parameter{name: "limit", doc: fmt.Sprintf("Items of a page, 1 to %d; %d if absent.", broker.MaxPage, broker.DefaultPage), format: "integer"},
		parameter{name: "cursor", doc: "next_cursor of the page before, with the same filters."})
}

// parse reads what does not stand in the body: query, If-Match, Idempotency-Key.
func (r *request) parse() error {
	if err := r.parseQuery(); err != nil {
		return err
	}
	if r.op.creates {
		key, err := idempotencyKey(r.Header["Idempotency-Key"])
		if err != nil {
			return err
		}
		r.call.IdempotencyKey = key
	}
	if r.op.revises {
		revision, err := ifMatch(r.Header["If-Match"])
		if err != nil {
			return err
		}
		r.call.IfMatch = revision
	}
	return nil
}

// parseQuery checks the query against the operation's parameters. A misspelled filter is refused: ignored, it would return everything.
func (r *request) parseQuery() error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return forgecroft.Errorf(forgecroft.KindMalformed, "malformed_query", "The query of the URL cannot be read.")
	}
	r.values = make(map[string]string, len(query))
	var fields []forgecroft.FieldError
	for name, values := range query {
		i := slices.IndexFunc(r.op.query, func(p parameter) bool { return p.name == name })
		switch {
		case i < 0:
			fields = append(fields, forgecroft.FieldError{Field: shown(name), Code: "unknown_parameter", Message: "This operation has no such query parameter."})
		case len(values) > 1:
			fields = append(fields, forgecroft.FieldError{Field: name, Code: "repeated", Message: "The query parameter stands there more than once."})
		default:
			fields = append(fields, r.op.query[i].check(values[0])...)
			r.values[name] = values[0]
		}
	}
	slices.SortFunc(fields, func(a, b forgecroft.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return forgecroft.Invalid(fields)
}

// check checks one value.
func (p parameter) check(value string) []forgecroft.FieldError {
	broken := func(code, message string) []forgecroft.FieldError {
		return []forgecroft.FieldError{{Field: p.name, Code: code, Message: message}}
	}
	switch {
	case len(value) > maxParameter:
		return broken("too_long", fmt.Sprintf("A query parameter has at most %d bytes.", maxParameter))
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return broken("invalid_character", "A query parameter is UTF-8 without NUL.")
	case len(p.enum) > 0 && !slices.Contains(p.enum, value):
		return broken("invalid_value", "It must be one of "+strings.Join(p.enum, ", ")+", exactly.")
	}
	switch p.format {
	case "uuid":
		if !forgecroft.ValidID(value) {
			return broken("invalid_id", "This is not an id (a lower-case UUID).")
		}
	case "integer":
		if n, err := strconv.Atoi(value); err != nil || strconv.Itoa(n) != value || n < 1 || n > broker.MaxPage {
			return broken("out_of_range", fmt.Sprintf("It is a whole number from 1 to %d.", broker.MaxPage))
		}
	case "date-time":
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return broken("invalid_format", "It is a time as in RFC 3339, such as 2026-01-31T12:00:00Z.")
		}
	}
	return nil
}

// page is the page that the query asks for.
func (r *request) page() broker.PageRequest {
	limit, _ := strconv.Atoi(r.values["limit"]) // Checked; absent is 0, the default.
	return broker.PageRequest{Cursor: r.values["cursor"], Limit: limit}
}

// text is a filter by text in Unicode normalization form C, as names are stored.
func (r *request) text(name string) string { return norm.NFC.String(r.values[name]) }

// time is a filter by time; absent is zero.
func (r *request) time(name string) time.Time {
	at, _ := time.Parse(time.RFC3339, r.values[name]) // Checked.
	return at.UTC()
}

// idempotencyKey reads the header: absent, or 1 to 255 visible ASCII characters.
func idempotencyKey(headers []string) (string, error) {
	if len(headers) == 0 {
		return "", nil
	}
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(headers) > 1 || headers[0] == "" || len(headers[0]) > maxIdempotencyKey || strings.ContainsFunc(headers[0], invisible) {
		return "", forgecroft.Errorf(forgecroft.KindMalformed, "invalid_idempotency_key", "An Idempotency-Key is one header of 1 to %d visible ASCII characters.", maxIdempotencyKey)
	}
	return headers[0], nil
}

// neverMatches is a revision that no object has.
const neverMatches = -1

// ifMatch reads the header (RFC 9110 section 13.1.1): absent and * mean any revision. A weak tag never matches, nor does one that is no revision of ours.
func ifMatch(headers []string) (int64, error) {
	if len(headers) == 0 || (len(headers) == 1 && headers[0] == "*") {
		return 0, nil
	}
	tag := strings.TrimPrefix(headers[0], "W/")
	if len(headers) > 1 || len(tag) < 2 || len(tag) > 64 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2 {
		return 0, forgecroft.Errorf(forgecroft.KindMalformed, "invalid_if_match", `If-Match takes * or one entity tag, in quotes as the ETag header gave it: "3".`)
	}
	text := tag[1 : len(tag)-1]
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 1 || strconv.FormatInt(revision, 10) != text || tag != headers[0] {
		return neverMatches, nil
	}
	return revision, nil
}

// shown is a name that a client wrote, for a message: cut and cleaned, because it may be anything.
func shown(name string) string {
	if plainToken(name, 64) {
		return name
	}
	return "(unreadable name)"
}
