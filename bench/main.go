// Command bench drives the built binary with the load of docs/performance.md and prints what it measured beside the goals. It starts its own
// servers on loopback, a PostgreSQL for the replicas among them, with their data in a temporary directory; client and server share the machine.
//
//	go run ./bench [-binary bin/forgecroft] [-seconds 5] [-items 100000] [-database postgres://…]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.binary, "binary", "bin/forgecroft", "the binary to measure")
	seconds := flag.Float64("seconds", 5, "how long each load runs")
	flag.IntVar(&o.items, "items", 100_000, "how many credential configs the listing is measured with")
	flag.IntVar(&o.credentials, "credentials", 10_000, "how many stored credentials memory and restart are measured with")
	flag.StringVar(&o.only, "only", "", "measure just the part of this name: scale, delivery, store, memory, start, exec, list, replicas")
	flag.StringVar(&o.database, "database", os.Getenv("FORGECROFT_BENCH_DATABASE"), "URL of an empty PostgreSQL database to measure replicas on, instead of one on a PostgreSQL that is started for it")
	empty := flag.Bool("serve-empty", false, "only serve an empty handler, as the other end of the measurement for scale")
	flag.Parse()
	if *empty {
		fmt.Fprintln(os.Stderr, "bench:", serveEmpty())
		os.Exit(1)
	}
	o.length = time.Duration(*seconds * float64(time.Second))
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say what is measured, and how long.
type options struct {
	binary      string
	length      time.Duration
	items       int
	credentials int
	only        string
	database    string
}

// wants reports whether a part is to be measured.
func (o options) wants(part string) bool { return o.only == "" || o.only == part }

// run measures part after part and prints the table.
func run(ctx context.Context, o options) error {
	report := newTable(o)
	parts := []struct {
		name    string
		measure func(context.Context, options, *table) error
	}{
		{"scale", measureScale}, {"delivery", measureDelivery}, {"store", measureStore}, {"memory", measureMemory}, {"start", measureStart}, {"exec", measureExec}, {"list", measureList}, {"replicas", measureReplicas},
	}
	for _, p := range parts {
		if !o.wants(p.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", p.name)
		if err := p.measure(ctx, o, report); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return report.print(os.Stdout)
}
