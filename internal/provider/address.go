package provider

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"
)

// errBlockedAddress is why a connection was refused before a packet left: the address is not one that a public API can have.
var errBlockedAddress = errors.New("address is not public")

// nonPublic lists what netip's own predicates do not cover. Sources: the IANA IPv4 and IPv6 special-purpose address registries.
func nonPublic() []netip.Prefix {
	texts := []string{
		"0.0.0.0/8",       // this network
		"100.64.0.0/10",   // carrier-grade NAT
		"192.0.0.0/24",    // IETF protocol assignments
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relays
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"240.0.0.0/4",     // reserved, and broadcast
		"::/96",           // unspecified, loopback and IPv4-compatible
		"64:ff9b:1::/48",  // local-use NAT64
		"100::/64",        // discard
		"2001::/23",       // IETF protocol assignments, Teredo among them
		"2001:db8::/32",   // documentation
		"3fff::/20",       // documentation
		"5f00::/16",       // segment routing
		"fec0::/10",       // site-local, deprecated
	}
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// guard decides which addresses may be dialled.
type guard struct {
	blocked []netip.Prefix
	nat64   netip.Prefix // well-known prefix, RFC 6052: the last four bytes are an IPv4 address
	sixTo4  netip.Prefix // RFC 3056: bytes 2 to 5 are an IPv4 address
}

func newGuard() guard {
	return guard{
		blocked: nonPublic(),
		nat64:   netip.MustParsePrefix("64:ff9b::/96"),
		sixTo4:  netip.MustParsePrefix("2002::/16"),
	}
}

// public reports whether addr is a public unicast address, looking through IPv4-mapped, NAT64 and 6to4 forms.
func (g guard) public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Zone() != "" || !addr.IsGlobalUnicast() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return false
	}
	for _, prefix := range g.blocked {
		if prefix.Contains(addr) {
			return false
		}
	}
	bytes := addr.As16()
	switch {
	case g.nat64.Contains(addr):
		return g.public(netip.AddrFrom4([4]byte(bytes[12:16])))
	case g.sixTo4.Contains(addr):
		return g.public(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	return true
}

// control is the [net.Dialer] hook: it sees the address that is about to be connected, after name resolution, so that a name which
// changes its answer between check and use gains nothing (SSRF-3, SSRF-4).
func (g guard) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: unreadable", errBlockedAddress)
	}
	if target.Port() != 443 {
		return fmt.Errorf("%w: port %s", errBlockedAddress, strconv.Itoa(int(target.Port())))
	}
	if !g.public(target.Addr()) {
		return errBlockedAddress
	}
	return nil
}
