package broker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The limits of a page.
const (
	DefaultPage = 50
	MaxPage     = 200
)

// PageRequest asks for a page. Limit 0 means [DefaultPage].
type PageRequest struct {
	Cursor string
	Limit  int
}

// Listing is one page. Next is empty on the last one.
type Listing[T any] struct {
	Items []T
	Next  string
}

// cursorTag is the length of the MAC in a cursor, in bytes.
const cursorTag = 16

// cursorMAC binds a cursor to the organization, the list and its filter, so that it can be neither forged nor carried over.
func (b *Broker) cursorMAC(call Call, list string, filter any, after string) []byte {
	text, err := json.Marshal([]any{"cursor v1", call.OrganizationID, call.Scope, list, filter, after})
	if err != nil { // Filters are plain structs.
		panic(err)
	}
	mac := hmac.New(sha256.New, b.mac)
	mac.Write(text)
	return mac.Sum(nil)[:cursorTag]
}

// page turns a request into a store's page that asks for one item more, to see whether there is a next one.
func (b *Broker) page(call Call, list string, filter any, r PageRequest) (forgecroft.Page, error) {
	limit := r.Limit
	if limit == 0 {
		limit = DefaultPage
	}
	if limit < 1 || limit > MaxPage {
		return forgecroft.Page{}, forgecroft.Invalid([]forgecroft.FieldError{{Field: "limit", Code: "out_of_range", Message: "The limit is between 1 and 200."}})
	}
	if r.Cursor == "" {
		return forgecroft.Page{Limit: limit + 1}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(r.Cursor)
	if err != nil || len(raw) <= cursorTag || !hmac.Equal(raw[:cursorTag], b.cursorMAC(call, list, filter, string(raw[cursorTag:]))) {
		return forgecroft.Page{}, forgecroft.Errorf(forgecroft.KindMalformed, "invalid_cursor", "The cursor is not one that this list and filter returned.")
	}
	return forgecroft.Page{After: string(raw[cursorTag:]), Limit: limit + 1}, nil
}

// list runs a paged query: it reads one item more than asked for and turns it into the next cursor.
func list[T any](b *Broker, call Call, name string, filter any, r PageRequest, key func(T) string, query func(forgecroft.Page) ([]T, error)) (Listing[T], error) {
	page, err := b.page(call, name, filter, r)
	if err != nil {
		return Listing[T]{}, err
	}
	items, err := query(page)
	if err != nil {
		return Listing[T]{}, err
	}
	if len(items) < page.Limit {
		return Listing[T]{Items: items}, nil
	}
	items = items[:page.Limit-1]
	after := key(items[len(items)-1])
	cursor := append(b.cursorMAC(call, name, filter, after), after...)
	return Listing[T]{Items: items, Next: base64.RawURLEncoding.EncodeToString(cursor)}, nil
}
