package httpapi

import (
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// when is a time on the wire: null if it is zero, else UTC.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// orNull is text on the wire that is null if it is empty.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// pageOf converts one page.
func pageOf[Domain, Wire any](l broker.Listing[Domain], convert func(Domain) Wire) sdk.List[Wire] {
	page := allOf(l.Items, convert)
	page.NextCursor = orNull(l.Next)
	return page
}

// allOf converts a list that is not paged.
func allOf[Domain, Wire any](items []Domain, convert func(Domain) Wire) sdk.List[Wire] {
	list := sdk.List[Wire]{Items: make([]Wire, len(items))}
	for i, item := range items {
		list.Items[i] = convert(item)
	}
	return list
}

// wireReference converts the name of an object.
func wireReference(r forgecroft.Related) sdk.Reference {
	return sdk.Reference{Type: r.Type, ID: r.ID, Name: r.Name}
}

// wireReferences converts the names of objects.
func wireReferences(related []forgecroft.Related) []sdk.Reference {
	var list []sdk.Reference
	for _, r := range related {
		list = append(list, wireReference(r))
	}
	return list
}
