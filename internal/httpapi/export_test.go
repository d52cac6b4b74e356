package httpapi

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// Route is one line of the table, for tests.
type Route struct {
	ID, Method, Path, Example string
	Permission                forgecroft.Permission
	Status                    int
	HasBody                   bool
}

// Routes lists the table.
func Routes() []Route {
	var routes []Route
	for _, op := range (&api{}).operations() {
		routes = append(routes, Route{op.id, op.method, op.path, op.example, op.permission, op.status, op.input != nil})
	}
	return routes
}

// Document makes the OpenAPI document.
func Document() (*huma.OpenAPI, error) { return describe((&api{}).operations()) }

// Markdown renders docs/api.md.
func Markdown() ([]byte, error) {
	operations := (&api{}).operations()
	document, err := describe(operations)
	if err != nil {
		return nil, err
	}
	return newReference(operations, document).markdown()
}

// DescribeWithout describes the table with one operation stripped of its permission.
func DescribeWithout(id string) error {
	operations := (&api{}).operations()
	for _, op := range operations {
		if op.id == id {
			op.permission = ""
		}
	}
	_, err := describe(operations)
	return err
}

// Decoder returns what decodes the bodies of the operation of that id.
func Decoder(id string) func(text []byte, into any) error {
	operations := (&api{}).operations()
	document, err := describe(operations)
	if err != nil {
		panic(err)
	}
	if err := compile(operations, document); err != nil {
		panic(err)
	}
	for _, op := range operations {
		if op.id == id {
			return func(text []byte, into any) error { return decodeJSON(text, op.rules, into) }
		}
	}
	panic("no such operation: " + id)
}

// ProblemOf maps a failure.
func ProblemOf(err error) sdk.Problem { return problemOf(err) }
