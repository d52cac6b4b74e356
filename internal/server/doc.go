// Package server turns settings into a running Forgecroft: it reads the configuration, wires the concrete stores, vault and credential types to the
// broker and the broker to HTTP, and starts and stops them in order. It is the only importer of concrete adapters.
package server
