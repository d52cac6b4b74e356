package hostile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requestID is what differs in two refusals that are the same.
var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// operations calls visit for each operation of the document.
func (w *world) operations(visit func(method, path string, op operation)) {
	for _, path := range slices.Sorted(maps.Keys(w.document.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(w.document.Paths[path])) {
			visit(strings.ToUpper(method), path, w.document.Paths[path][method])
		}
	}
}

// example is a body that an operation accepts; empty if it takes none.
func (w *world) example(op operation) string {
	content, ok := op.RequestBody.Content["application/json"]
	if !ok {
		return ""
	}
	return object(w.base(content.Example))
}

// TestPaths asks for objects by hostile ids. What is no id looks like what is not there.
func TestPaths(t *testing.T) {
	w := mustMakeWorld(t)
	const absent = "019a3b5e-7c1d-7000-8000-00000000dead"
	ids := []string{
		"a%00b", "%00", "%252e%252e", "x;id=y", "%3Fx", "%23x", "%0d%0aSet-Cookie:%20x=y", "%ff", "%c0%af", "%e2%80%ae", "%20",
		strings.Repeat("i", 10<<10), strings.ToUpper(absent), absent + "%20", "%20" + absent, absent + "%00", absent + "%3Fx", strings.ReplaceAll(absent, "-", ""),
		"%7B" + absent + "%7D", "urn:uuid:" + absent, "00000000-0000-0000-0000-000000000000", "'%20OR%201=1--", "*", "%25", "null", "-1", "0", "1e3", "%7Bid%7D", "__proto__", "${jndi:ldap:x}",
	}
	w.operations(func(method, path string, op operation) {
		if !strings.Contains(path, "{id}") {
			return
		}
		t.Run(op.OperationID, func(t *testing.T) {
			want := w.MustCall(t, w.OwnerKey, method, strings.Replace(path, "{id}", absent, 1), w.example(op))
			if complaint := judge(want); complaint != "" || want.Status != 404 && want.Status != 422 {
				t.Fatalf("absent: %s: %d %s", complaint, want.Status, want.Body)
			}
			for _, id := range ids {
				got := w.MustCall(t, w.OwnerKey, method, strings.Replace(path, "{id}", id, 1), w.example(op))
				if complaint := judge(got); complaint != "" || got.Status != want.Status || requestID.ReplaceAllString(got.Body, "") != requestID.ReplaceAllString(want.Body, "") {
					t.Errorf("%.60s: %s: got %d %.300s, want what an absent object gets: %s", id, complaint, got.Status, got.Body, want.Body)
				}
			}
			// Those that change the path, were anyone to decode them, do not even reach the operation.
			for _, id := range []string{"..", ".", "", "%2e%2e", "%2E", "..%2f..%2fvault.db", "a%2F..%2Fb", absent + "/", absent + "%2F", absent + "/x/../y", "${jndi:ldap:%2F%2Fx}", "..%5c..%5cx%2f"} {
				got := w.MustCall(t, w.OwnerKey, method, strings.Replace(path, "{id}", id, 1), w.example(op))
				if complaint := judge(got); complaint != "" || got.Status < 300 && method != "GET" {
					t.Errorf("%q: %s: got %d %.300s", id, complaint, got.Status, got.Body)
				}
			}
		})
	})
	w.mustHaveAskedNobody(t)
}

// TestQueries sends every hostile text in every query parameter, and parameters that nobody knows.
func TestQueries(t *testing.T) {
	w := mustMakeWorld(t)
	parameters := 0
	w.operations(func(method, path string, op operation) {
		for _, p := range op.Parameters {
			if p.In != "query" {
				continue
			}
			parameters++
			t.Run(op.OperationID+"/"+p.Name, func(t *testing.T) {
				for _, hostile := range payloads(w.trap.address) {
					value := hostile.text
					if value == "" {
						value = hostile.json
					}
					if len(value) > 4<<10 {
						value = value[:4<<10] // Longer URLs are a matter of HTTP: see TestWire.
					}
					reply := w.MustCall(t, w.OwnerKey, method, w.at(path)+"?"+p.Name+"="+url.QueryEscape(value), "")
					if complaint := judge(reply); complaint != "" {
						t.Errorf("%s: %s: %d %.300s", hostile.name, complaint, reply.Status, reply.Body)
					}
				}
				for _, raw := range []string{p.Name + "=%ff", p.Name + "=%", p.Name + "=%zz", p.Name + "=a&" + p.Name + "=a", p.Name + "[]=a", strings.ToUpper(p.Name) + "=a", p.Name + "=a;b=c", "%00=a"} {
					reply := w.MustCall(t, w.OwnerKey, method, w.at(path)+"?"+raw, "")
					if complaint := judge(reply); complaint != "" || reply.Status != 400 && reply.Status != 422 {
						t.Errorf("%s: %s: %d %.300s, want 400 or 422", raw, complaint, reply.Status, reply.Body)
					}
				}
			})
		}
	})
	if parameters < 25 {
		t.Errorf("the document has only %d query parameters", parameters)
	}
	w.mustHaveAskedNobody(t)
}

// TestFiltersStayFilters checks that no text in a filter widens what a list shows.
func TestFiltersStayFilters(t *testing.T) {
	w := mustMakeWorld(t)
	for _, text := range []string{"%", "_", "*", "' OR '1'='1", `\`, "%%", "tar_et", "[t]arget", "\"\" OR 1", "target\x00"} {
		for _, parameter := range []string{"name", "q"} {
			reply := w.MustCall(t, w.OwnerKey, "GET", "/projects?"+parameter+"="+url.QueryEscape(text), "")
			var page struct{ Items []json.RawMessage }
			mustDecode(t, reply.Body, &page)
			if len(page.Items) > 0 {
				t.Errorf("%s=%s finds %s", parameter, text, page.Items)
			}
		}
	}
}

// TestHeaders sends hostile texts in the headers that the API reads.
func TestHeaders(t *testing.T) {
	w := mustMakeWorld(t)
	texts := []string{"", " ", "*", `W/"1"`, `"`, `""`, "1", `"1", "2"`, `"18446744073709551616"`, `"-1"`, `"1e3"`, "é", "a b", "\t", strings.Repeat("k", 8<<10), "'; DROP TABLE x;--", "${jndi:ldap://" + w.trap.address + "/}", "../../x", "%s%n", "\xff\xfe"}
	w.operations(func(method, path string, op operation) {
		if method == "DELETE" {
			path = strings.Replace(path, "{id}", "019a3b5e-7c1d-7000-8000-00000000dead", 1) // An If-Match that is right would delete what others need.
		}
		for _, p := range op.Parameters {
			if p.In != "header" {
				continue
			}
			t.Run(op.OperationID+"/"+p.Name, func(t *testing.T) {
				for i, text := range texts {
					body := strings.Replace(w.example(op), `"name":"`, fmt.Sprintf(`"name":"%d `, i), 1)
					reply := w.MustCall(t, w.OwnerKey, method, w.at(path), body, p.Name, text)
					if complaint := judge(reply); complaint != "" {
						t.Errorf("%.40q: %s: %d %.300s", text, complaint, reply.Status, reply.Body)
					}
				}
			})
		}
		for _, text := range append(texts, "Bearer", "Bearer ", "Bearer  "+w.OwnerKey, "bearer"+w.OwnerKey, "Negotiate "+w.OwnerKey, "Bearer "+w.OwnerKey+"x", "Bearer "+strings.ToUpper(w.OwnerKey),
			"Bearer "+w.OwnerKey+" "+w.OwnerKey, "Bearer "+w.OwnerKey+",x", "Bearer fc_live_"+strings.Repeat("0", 32)+"_"+strings.Repeat("0", 49)) {
			reply := w.MustCall(t, "", method, w.at(path), w.example(op), "Authorization", text)
			if complaint := judge(reply); complaint != "" || reply.Status != 401 || strings.Contains(strings.ToLower(reply.Body), strings.ToLower(w.OwnerKey[41:])) {
				t.Errorf("%s with Authorization %.40q: %s: %d %.300s, want 401", op.OperationID, text, complaint, reply.Status, reply.Body)
			}
		}
	})
}
