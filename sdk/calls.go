package sdk

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions filter and page a list. Query holds the filters of docs/api.md, by name.
type ListOptions struct {
	Query  url.Values
	Limit  int // 0: the server's default
	Cursor string
}

// values makes the query.
func (o ListOptions) values() url.Values {
	query := url.Values{}
	for name, values := range o.Query {
		query[name] = values
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Cursor != "" {
		query.Set("cursor", o.Cursor)
	}
	return query
}

// get reads one object.
func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var result T
	err := c.do(ctx, call{method: http.MethodGet, path: path}, &result)
	return result, err
}

// list reads one page.
func list[T any](ctx context.Context, c *Client, path string, o ListOptions) (List[T], error) {
	var page List[T]
	err := c.do(ctx, call{method: http.MethodGet, path: path, query: o.values()}, &page)
	return page, err
}

// create makes an object.
func create[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var result T
	err := c.do(ctx, call{method: http.MethodPost, path: path, body: body, create: true}, &result)
	return result, err
}

// update changes an object. revision is the one that the change expects; 0: any.
func update[T any](ctx context.Context, c *Client, path string, revision int64, body any) (T, error) {
	var result T
	err := c.do(ctx, call{method: http.MethodPatch, path: path, body: body, ifMatch: revision}, &result)
	return result, err
}

// remove deletes an object.
func (c *Client) remove(ctx context.Context, path string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path}, nil)
}

// All iterates over all items of a list, page after page. It ends after the first failure.
func All[T any](ctx context.Context, o ListOptions, page func(context.Context, ListOptions) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			p, err := page(ctx, o)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.NextCursor == nil {
				return
			}
			o.Cursor = *p.NextCursor
		}
	}
}

// object makes the path of an object. The id is escaped, so that it is one segment whatever it holds.
func object(collection, id string, rest ...string) string {
	path := collection + "/" + url.PathEscape(id)
	for _, r := range rest {
		path += "/" + r
	}
	return path
}
