// Package httpapi serves Forgecroft's HTTP API: it turns requests into calls of the broker and results into the wire types of sdk. It decides
// nothing about the product; it keeps the protocol: authentication, limits, strict JSON, problems, entity tags, metrics, the log.
//
// Every operation is one line of the table in operations.go: method, path, permission, types, handler. Routes, validation, the OpenAPI document, the
// reference at /docs and docs/api.md are made from it, so none of them can forget an operation.
//
// The schemas and the OpenAPI 3.1 document come from huma; its request pipeline is not used. That pipeline takes its errors and its strictness from
// package variables that the whole process shares, repeats values in what it reports, and tells broken rules apart by English text only. What stands in
// its place is small: scan.go refuses malformed JSON, rules.go checks a body against the very schema that the document shows.
package httpapi
