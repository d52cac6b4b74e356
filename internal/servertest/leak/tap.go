package leak

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Tap is a handler that shows what is sent to another one: every byte of a request that the sender chose.
type Tap struct {
	Next http.Handler
	See  func(what string, sent []byte) // is called by many at once
}

// ServeHTTP implements [http.Handler].
func (t *Tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // What is missing was not sent.
	r.Body = io.NopCloser(bytes.NewReader(body))
	t.See("the request "+r.Method+" "+r.URL.Path, fmt.Appendf(nil, "%s\n%v\n%s", r.URL.RequestURI(), r.Header, body))
	t.Next.ServeHTTP(w, r)
}
