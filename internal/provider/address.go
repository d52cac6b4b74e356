package provider

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// errBlockedAddress is why a connection was refused before a packet left: the address is not one that a public API can have.
var errBlockedAddress = errors.New("address is not public")

// special lists what netip's own predicates do not cover. Sources: the IANA IPv4 and IPv6 special-purpose address registries.
func special() []string {
	return []string{
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
}

// IsPublic reports whether addr is a public unicast address: one that a provider's API can have. It looks through the forms that
// carry an IPv4 address in an IPv6 one: IPv4-mapped, NAT64 (RFC 6052) and 6to4 (RFC 3056).
func IsPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Zone() != "" || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, prefix := range special() {
		if netip.MustParsePrefix(prefix).Contains(addr) {
			return false
		}
	}
	bytes := addr.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(addr):
		return IsPublic(netip.AddrFrom4([4]byte(bytes[12:16])))
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return IsPublic(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	return true
}

// checkAddress is the [net.Dialer] hook: it sees the address that is about to be connected, after name resolution, so that a name which
// changes its answer between check and use gains nothing (SSRF-3, SSRF-4).
func checkAddress(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: unreadable", errBlockedAddress)
	}
	if target.Port() != 443 {
		return fmt.Errorf("%w: port %d", errBlockedAddress, target.Port())
	}
	if !IsPublic(target.Addr()) {
		return errBlockedAddress
	}
	return nil
}
