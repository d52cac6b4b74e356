package servertest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
)

// BenchmarkDelivery delivers two stored credentials over HTTP. `make bench` measures the built binary; this is for profiles.
func BenchmarkDelivery(b *testing.B) {
	for _, connections := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) { deliver(b, connections) })
	}
}

// deliver delivers over so many connections at once.
func deliver(b *testing.B, connections int) {
	s := servertest.MustStart(b, map[string]string{"log-level": "warn"})
	id := field(b, s.MustCall(b, s.OwnerKey, "POST", "/projects", `{"name":"p"}`).Body, "id")
	var ids []string
	for _, name := range []string{"FIRST", "SECOND"} {
		c := field(b, s.MustCall(b, s.OwnerKey, "POST", "/credential-configs", fmt.Sprintf(`{"name":%q,"credential_type":"generic_env"}`, name)).Body, "id")
		s.MustCall(b, s.OwnerKey, "POST", "/credential-configs/"+c+"/secrets", fmt.Sprintf(`{"data":{"TF_VAR_%s":"EXAMPLE"}}`, name))
		ids = append(ids, `"`+c+`"`)
	}
	w := field(b, s.MustCall(b, s.OwnerKey, "POST", "/workspaces", fmt.Sprintf(`{"name":"w","project_id":%q,"credential_config_ids":[%s]}`, id, strings.Join(ids, ","))).Body, "id")
	request := fmt.Sprintf("POST /workspaces/%s/environment HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", w, s.OwnerKey)
	work := make(chan struct{}, connections)
	var group sync.WaitGroup
	for range connections {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		group.Go(func() {
			reader := bufio.NewReader(conn)
			for range work {
				_, _ = conn.Write([]byte(request))
				reply, err := http.ReadResponse(reader, nil)
				if err != nil || reply.StatusCode != http.StatusOK {
					b.Errorf("got %v, %v", reply, err)
					return
				}
				_, _ = reader.Discard(int(reply.ContentLength))
			}
		})
	}
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	group.Wait()
}

// field is a member of a flat JSON answer.
func field(t testing.TB, body, name string) string {
	t.Helper()
	_, after, found := strings.Cut(body, `"`+name+`":"`)
	value, _, _ := strings.Cut(after, `"`)
	if !found {
		t.Fatalf("no %s in %s", name, body)
	}
	return value
}
