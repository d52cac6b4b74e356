package hostile_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/servertest"
)

// TestWholeBodies sends bodies that are wrong as a whole to every operation that takes one. None is worked on.
func TestWholeBodies(t *testing.T) {
	w := mustMakeWorld(t)
	bodies := map[string]string{
		"no JSON": "x", "array": "[]", "string": `"a"`, "null": "null", "two values": "{}{}", "unknown member": `{"no_such_member":1}`, "only a BOM": "\ufeff", "BOM in front": "\ufeff{}",
		"UTF-16": "{\x00}\x00", "NUL": "\x00", "NUL after": "{}\x00", "unterminated": `{"name":"`, "deep arrays": strings.Repeat("[", 20_000), "deep objects": strings.Repeat(`{"name":`, 20_000),
		"many members": manyMembers(30_000), "the same member over and over": "{" + strings.Repeat(`"name":"a",`, 5000) + `"name":"a"}`, "long number": `{"name":` + strings.Repeat("9", 200_000) + "}",
		"long name of a member": `{"` + strings.Repeat("m", 200_000) + `":1}`, "white space": strings.Repeat(" ", 256<<10-1), "a byte too many": strings.Repeat(" ", 256<<10+1), "32 MiB": strings.Repeat("x", 32<<20),
		"name in two cases": `{"name":"a","Name":"b"}`, "escaped name of a member": `{"n\u0061me":"a","name":"b"}`, "single quotes": "{'name':'a'}", "comment": `{/**/}`, "trailing comma": `{"name":"a",}`, "form": "name=a",
		"prototype": `{"__proto__":{"role":"owner"}}`, "XML": `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`,
	}
	w.operations(func(method, path string, op operation) {
		if w.example(op) == "" {
			return
		}
		t.Run(op.OperationID, func(t *testing.T) {
			for name, body := range bodies {
				reply := w.MustCall(t, w.OwnerKey, method, w.at(path), body)
				if complaint := judge(reply); complaint != "" || reply.Status < 400 {
					t.Errorf("%s: %s: %d %.300s, want a refusal", name, complaint, reply.Status, reply.Body)
				}
			}
			for _, header := range [][2]string{{"Content-Type", "text/plain"}, {"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Type", "application/json; charset=utf-7"}, {"Content-Type", ""}, {"Content-Encoding", "gzip"}, {"Content-Encoding", "br"}} {
				reply := w.MustCall(t, w.OwnerKey, method, w.at(path), w.example(op), header[0], header[1])
				if complaint := judge(reply); complaint != "" || reply.Status != http.StatusUnsupportedMediaType {
					t.Errorf("%s: %q: %s: %d %.300s, want 415", header[0], header[1], complaint, reply.Status, reply.Body)
				}
			}
		})
	})
	w.mustHaveAskedNobody(t)
}

// manyMembers is an object with n members.
func manyMembers(n int) string {
	var b strings.Builder
	b.WriteString(`{"0":0`)
	for i := 1; i < n && b.Len() < 250<<10; i++ {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	return b.String() + "}"
}

// TestWire sends bytes that no client would. Each is refused with 4xx or a closed connection, and other clients notice nothing.
func TestWire(t *testing.T) {
	w := mustMakeWorld(t)
	head := "POST /projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.OwnerKey + "\r\nContent-Type: application/json\r\n"
	smuggled := "\r\n0\r\n\r\nDELETE /projects/" + w.ids["projects"] + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.OwnerKey + "\r\n\r\n"
	for name, text := range map[string]string{
		"length and chunks":      head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" + smuggled,
		"two lengths":            head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"negative length":        head + "Content-Length: -1\r\n\r\n{}",
		"length with a sign":     head + "Content-Length: +2\r\n\r\n{}",
		"length in hex":          head + "Content-Length: 0x2\r\n\r\n{}",
		"length too large":       head + "Content-Length: 99999999999999999999\r\n\r\n{}",
		"announced as 32 MiB":    head + "Content-Length: 33554432\r\n\r\n{}",
		"unknown coding":         head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunk without a size":   head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"chunk of a huge size":   head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n{}\r\n",
		"folded header":          head + "X-A: a\r\n b\r\nContent-Length: x\r\n\r\n{}",
		"space before colon":     head + "X-A : a\r\nContent-Length: 2\r\n\r\n{}",
		"NUL in a header":        head + "Idempotency-Key: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
		"escape in a header":     head + "If-Match: \x1b[2J\r\nIdempotency-Key: \x1b\r\nContent-Length: 2\r\n\r\n{}",
		"two keys":               head + "Authorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}",
		"two idempotency keys":   head + "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\n\r\n{}",
		"1 MiB idempotency key":  head + "Idempotency-Key: " + strings.Repeat("k", 1<<20) + "\r\n\r\n",
		"10000 headers":          head + strings.Repeat("X-A: a\r\n", 10_000) + "\r\n",
		"1 MiB path":             "GET /" + strings.Repeat("p", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"no host":                "GET /whoami HTTP/1.1\r\n\r\n",
		"two hosts":              "GET /whoami HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"bad host":               "GET /whoami HTTP/1.1\r\nHost: a b\r\n\r\n",
		"another host's URL":     "GET http://" + w.trap.address + "/whoami HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT":                "CONNECT " + w.trap.address + " HTTP/1.1\r\nHost: " + w.trap.address + "\r\n\r\n",
		"CONNECT to metadata":    "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n",
		"TRACE":                  "TRACE /whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.OwnerKey + "\r\n\r\n",
		"OPTIONS *":              "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"unknown method":         "BREW /projects HTTP/1.1\r\nHost: x\r\n\r\n",
		"method of bytes":        "\xff\xfe /projects HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/0.9":               "GET /whoami\r\n\r\n",
		"HTTP/9.9":               "GET /whoami HTTP/9.9\r\nHost: x\r\n\r\n",
		"HTTP/2 without TLS":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"TLS on a port for HTTP": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"CRLF in the path":       "GET /projects/%0d%0aX-Evil:%20y HTTP/1.1\r\nHost: x\r\n\r\n",
		"bytes in the path":      "GET /\xff\x00\x1b HTTP/1.1\r\nHost: x\r\n\r\n",
		"forwarded":              "GET /whoami HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 169.254.169.254\r\nX-Original-URL: /projects\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			replies := w.exchange(t, text)
			if len(replies) > 1 {
				t.Errorf("one request got %d answers", len(replies))
			}
			for _, r := range replies {
				if r.Status < 400 || r.Status >= 500 && r.Status != http.StatusNotImplemented && r.Status != http.StatusHTTPVersionNotSupported || strings.Contains(r.Body, w.OwnerKey) || r.Header.Get("X-Evil") != "" {
					t.Errorf("got %d %v %.300s, want 4xx or a closed connection", r.Status, r.Header, r.Body)
				}
			}
			if r := w.MustCall(t, w.OwnerKey, "GET", "/projects/"+w.ids["projects"], ""); r.Status != 200 {
				t.Errorf("the next client gets %d %s", r.Status, r.Body)
			}
		})
	}
}

// TestEndlessBody sends chunks for ever: the server stops reading soon after the limit.
func TestEndlessBody(t *testing.T) {
	w := mustMakeWorld(t)
	conn := w.mustDial(t)
	fmt.Fprintf(conn, "POST /projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", w.OwnerKey)
	sent, chunk := 0, fmt.Sprintf("%x\r\n%s\r\n", 32<<10, strings.Repeat(" ", 32<<10))
	for sent < 64<<20 {
		n, err := io.WriteString(conn, chunk)
		if sent += n; err != nil {
			break
		}
	}
	if sent >= 64<<20 {
		t.Errorf("the server took %d bytes of a body", sent)
	}
}

// mustDial connects, for no longer than a test may take.
func (w *world) mustDial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// exchange writes bytes and reads every answer until the connection ends.
func (w *world) exchange(t *testing.T, text string) []servertest.Reply {
	t.Helper()
	conn := w.mustDial(t)
	go func() { // The server may answer, and hang up, before it has read everything.
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	var replies []servertest.Reply
	for reader := bufio.NewReader(conn); ; {
		r, err := http.ReadResponse(reader, nil)
		if err != nil {
			return replies
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		replies = append(replies, servertest.Reply{Status: r.StatusCode, Header: r.Header, Body: string(body)})
	}
}
