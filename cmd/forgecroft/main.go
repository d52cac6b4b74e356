// Command forgecroft is all of Forgecroft in one binary: the server, the command line, and the wrapper around runs.
package main

import (
	"context"
	"os"

	"github.com/forgecroft/forgecroft/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.System()))
}
