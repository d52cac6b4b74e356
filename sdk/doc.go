// Package sdk is the Go client of Forgecroft's HTTP API, with its wire types and typed errors. It imports nothing but the standard
// library.
//
//	client, err := sdk.New("http://127.0.0.1:8300", os.Getenv("FORGECROFT_API_KEY"))
//	env, err := client.Deliver(ctx, workspaceID, sdk.DeliverRequest{})
//
// Failures that the server reports are [*Error]; compare with errors.Is and the sentinels, such as [ErrNotFound].
package sdk
