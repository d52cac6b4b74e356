package provider_test

import (
	"net/netip"
	"testing"

	"github.com/forgecroft/forgecroft/internal/provider"
)

func TestIsPublic(t *testing.T) {
	tests := []struct {
		name string
		addr string
		want bool
	}{
		{"public v4", "8.8.8.8", true},
		{"public v4 of AWS", "52.94.133.131", true},
		{"public v6", "2606:4700::6810:84e5", true},
		{"public v4-mapped", "::ffff:8.8.8.8", true},
		{"NAT64 of a public v4", "64:ff9b::808:808", true},
		{"6to4 of a public v4", "2002:808:808::1", true},
		{"this network", "0.0.0.0", false},
		{"this network, not the first", "0.1.2.3", false},
		{"loopback", "127.0.0.1", false},
		{"loopback, far end", "127.255.255.254", false},
		{"RFC 1918 10/8", "10.0.0.1", false},
		{"RFC 1918 172.16/12", "172.31.255.255", false},
		{"RFC 1918 192.168/16", "192.168.1.1", false},
		{"instance metadata", "169.254.169.254", false},
		{"container credentials", "169.254.170.2", false},
		{"carrier-grade NAT", "100.64.0.1", false},
		{"carrier-grade NAT, far end", "100.127.255.255", false},
		{"IETF assignments", "192.0.0.1", false},
		{"documentation 1", "192.0.2.1", false},
		{"documentation 2", "198.51.100.1", false},
		{"documentation 3", "203.0.113.1", false},
		{"benchmarks", "198.19.0.1", false},
		{"multicast", "224.0.0.1", false},
		{"reserved", "240.0.0.1", false},
		{"broadcast", "255.255.255.255", false},
		{"v6 unspecified", "::", false},
		{"v6 loopback", "::1", false},
		{"v6 link-local", "fe80::1", false},
		{"v6 link-local with zone", "fe80::1%eth0", false},
		{"v6 site-local", "fec0::1", false},
		{"v6 unique local", "fd00:ec2::254", false},
		{"v6 multicast", "ff02::1", false},
		{"v6 documentation", "2001:db8::1", false},
		{"v6 discard", "100::1", false},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", false},
		{"IPv4-compatible", "::127.0.0.1", false},
		{"v4-mapped metadata", "::ffff:169.254.169.254", false},
		{"v4-mapped private", "::ffff:10.0.0.1", false},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe", false},
		{"NAT64 of loopback", "64:ff9b::7f00:1", false},
		{"NAT64 local use", "64:ff9b:1::808:808", false},
		{"6to4 of private", "2002:a00:1::1", false},
		{"6to4 of metadata", "2002:a9fe:a9fe::1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := provider.IsPublic(netip.MustParseAddr(tt.addr)); got != tt.want {
				t.Errorf("IsPublic(%s) = %v, want %v", tt.addr, got, tt.want)
			}
		})
	}
}
