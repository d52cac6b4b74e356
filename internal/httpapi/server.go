package httpapi

import (
	"net/http"
	"time"
)

// Server returns a server for the handler with every timeout set: Go's default is none, and one slow client holds a connection for ever. Writing may take longer
// than the longest use case, which bounds itself to 20 seconds.
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    maxHeader,

		// OPTIONS * is answered as any other path that does not exist.
		DisableGeneralOptionsHandler: true,
	}
}
