package provider

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ParseEndpoint reads an endpoint that the operator configured in place of a provider's own. It must be an absolute https URL, or
// http if the host is this machine (localhost or a loopback address), and must have no user, query or fragment. The result has no
// trailing slash. Errors never repeat the input, since it may hold a password.
func ParseEndpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the endpoint is not a URL")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the endpoint must start with https://")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the endpoint has no host")
	case u.User != nil:
		return nil, errors.New("the endpoint must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("the endpoint must not have a query or a fragment")
	case !validPort(u):
		return nil, errors.New("the endpoint's port is not a number from 1 to 65535")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("the endpoint may use http only on this machine (localhost, 127.0.0.1, ::1); use https")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.Atoi(u.Port())
	return err == nil && port > 0 && port <= 65535
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
