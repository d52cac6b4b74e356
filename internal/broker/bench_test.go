package broker_test

import (
	"fmt"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// BenchmarkDeliver delivers two stored credentials, audited durably, to as many callers at once.
func BenchmarkDeliver(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) {
			w := newWorld(b)
			p := w.mustProject(b, "p")
			first := w.mustConfig(b, "a", "plain", p.ID, "AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
			second := w.mustConfig(b, "b", "plain", p.ID, "TF_VAR_secret", "EXAMPLE")
			ws := w.mustWorkspace(b, "w", p.ID, first.ID, second.ID)
			call := w.as(forgecroft.RoleRunner, forgecroft.KeyScope{})
			b.ReportAllocs()
			b.SetParallelism(max(1, callers/2))
			if callers == 1 {
				for b.Loop() {
					if _, err := w.Deliver(b.Context(), call, ws.ID, ""); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := w.Deliver(b.Context(), call, ws.ID, ""); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkStoreSecrets stores secrets durably in both stores, each caller into configs of its own.
func BenchmarkStoreSecrets(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) {
			w := newWorld(b)
			ids := make(chan string, 4*callers)
			for i := range cap(ids) {
				ids <- w.mustConfig(b, fmt.Sprint(i), "plain", "").ID
			}
			input := data("A", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "B", "AKIAIOSFODNN7EXAMPLE")
			b.ReportAllocs()
			b.SetParallelism(max(1, callers/2))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id := <-ids
					if _, err := w.StoreSecrets(b.Context(), w.owner, id, input); err != nil {
						b.Error(err)
						return
					}
					ids <- id
				}
			})
		})
	}
}
