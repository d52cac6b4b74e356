package server

import (
	"fmt"
	"net/http"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/console"
	"github.com/forgecroft/forgecroft/internal/httpapi"
)

// handler is everything that is served: the web console at /console/, and the API at every other path.
func (h *house) handler(b *broker.Broker, keeper *broker.Keeper) (http.Handler, error) {
	api, err := httpapi.New(httpapi.Config{Broker: b, Ready: keeper.Ready, Overdue: keeper.Overdue, Logger: h.logger, Version: h.config.Version})
	if err != nil {
		return nil, fmt.Errorf("preparing the API: %w", err)
	}
	signOn, err := h.signOn()
	if err != nil {
		return nil, fmt.Errorf("preparing single sign-on: %w", err)
	}
	web, err := console.New(console.Config{Broker: b, Logger: h.logger, Version: h.config.Version, Facts: h.facts(), SignOn: signOn})
	if err != nil {
		return nil, fmt.Errorf("preparing the console: %w", err)
	}
	return web.Before(api), nil
}

// facts are what the console's system page tells of the installation.
func (h *house) facts() []console.Fact {
	return []console.Fact{{Name: "Metadata", Value: h.metadataName()}, {Name: "Secrets", Value: h.vaultName()}, {Name: "TLS", Value: h.tlsName()}, {Name: "Sign-in", Value: h.signInName()}}
}

// vaultName says which vault keeps the secrets.
func (h *house) vaultName() string {
	if h.vaultFile != nil {
		return "embedded vault, in the data directory"
	}
	return "OpenBao or HashiCorp Vault, at " + h.config.Bao.Address
}

// tlsName says who encrypts connections.
func (h *house) tlsName() string {
	switch {
	case h.config.TLSCert != "":
		return "on, 1.2 or newer"
	case h.config.InsecureHTTP:
		return "off: a proxy in front has to end it"
	}
	return "off: this machine only"
}

// metadataName says which database keeps the metadata.
func (h *house) metadataName() string {
	if h.config.DatabaseURL.IsZero() {
		return "SQLite, in the data directory"
	}
	return "PostgreSQL"
}
