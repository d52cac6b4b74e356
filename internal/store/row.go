package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// row reads the columns of a result one after the other: every call takes the next one. The first failure sticks, so that a scanner is one
// composite literal.
type row struct {
	values []driver.Value
	next   int
	err    error
}

// take returns the next column.
func (r *row) take() driver.Value {
	if r.next >= len(r.values) {
		r.fail("a column more than the statement returns")
		return nil
	}
	r.next++
	return r.values[r.next-1]
}

func (r *row) fail(want string) {
	if r.err == nil {
		r.err = spoilt(fmt.Errorf("column %d: expected %s", r.next, want))
	}
}

// text reads a text column; NULL is empty.
func (r *row) text() string {
	switch v := r.take().(type) {
	case string:
		return v
	case nil:
	default:
		r.fail("text")
	}
	return ""
}

// int reads an integer column; NULL is 0.
func (r *row) int() int64 {
	switch v := r.take().(type) {
	case int64:
		return v
	case nil:
	default:
		r.fail("an integer")
	}
	return 0
}

// time reads an instant; NULL is the zero time.
func (r *row) time() time.Time {
	switch v := r.take().(type) {
	case int64:
		return time.UnixMicro(v).UTC()
	case nil:
	default:
		r.fail("an instant")
	}
	return time.Time{}
}

// bytes reads a binary column. The result belongs to the caller.
func (r *row) bytes() []byte {
	switch v := r.take().(type) {
	case []byte:
		return v
	case nil:
	default:
		r.fail("bytes")
	}
	return nil
}

// sum reads a SHA-256.
func (r *row) sum() (sum [32]byte) {
	if n := copy(sum[:], r.bytes()); n != len(sum) {
		r.fail("32 bytes")
	}
	return sum
}

// list reads ids that were joined with commas; NULL is the empty list.
func (r *row) list() []string {
	text := r.text()
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

// json decodes a JSON column into to, and returns its text; NULL leaves to as it is.
func (r *row) json(to any) string {
	text := r.text()
	if text != "" {
		r.decoded(json.Unmarshal([]byte(text), to))
	}
	return text
}

func (r *row) decoded(err error) {
	if err != nil && r.err == nil {
		r.err = spoilt(fmt.Errorf("column %d: decoding JSON: %w", r.next, err))
	}
}

// micros is how an instant is stored: microseconds since 1970 UTC, NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// optional is how a text is stored that may be absent: NULL if it is empty.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// encode is how lists, maps and structs are stored.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // Only strings, numbers, and lists and maps of them are stored.
		panic(err)
	}
	return string(text)
}

// searchable is the form of a name that queries look into.
func searchable(name string) string { return strings.ToLower(name) }
