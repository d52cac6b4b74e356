package provider_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// send makes one GET and returns the reply and the failure, if any.
func send(t *testing.T, client *http.Client, target string) (provider.Reply, *provider.Error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := provider.Send(client, req)
	if err == nil {
		return reply, nil
	}
	var failure *provider.Error
	if !errors.As(err, &failure) {
		t.Fatalf("Send: %v is not a provider.Error", err)
	}
	if failure.Kind != provider.Inconclusive {
		t.Errorf("Send: %v, want every failure inconclusive", failure)
	}
	return provider.Reply{}, failure
}

func private() *http.Client { return provider.NewHTTPClient(provider.Options{AllowPrivate: true}) }

// quiet starts a server that does not log its clients' failed handshakes.
func quiet(t *testing.T, h http.Handler, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server)
	t.Cleanup(server.Close)
	return server
}

func TestSendFailures(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"redirect 301", redirect(301), provider.CodeProtocol},
		{"redirect 302", redirect(302), provider.CodeProtocol},
		{"redirect 307", redirect(307), provider.CodeProtocol},
		{"redirect 308", redirect(308), provider.CodeProtocol},
		{"body too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Write(make([]byte, provider.MaxBody+1))
		}, provider.CodeProtocol},
		{"header too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", 32<<10))
		}, provider.CodeProtocol},
		{"cut off in the body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("half"))
		}, provider.CodeUnreachable},
		{"cut off before the answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, provider.CodeUnreachable},
		{"not HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n\r\n"))
			conn.Close()
		}, provider.CodeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := quiet(t, tt.handler, (*httptest.Server).Start)
			_, failure := send(t, private(), server.URL)
			if failure == nil || failure.Code != tt.want {
				t.Errorf("Send = %v, want code %s", failure, tt.want)
			}
		})
	}
}

func redirect(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", status) }
}

func TestSendReadsALargestBody(t *testing.T) {
	server := quiet(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("compression was asked for")
		}
		w.Header().Set("Content-Type", `Text/XML; charset="utf-8"`)
		w.WriteHeader(http.StatusTeapot)
		w.Write(make([]byte, provider.MaxBody))
	}), (*httptest.Server).Start)
	reply, failure := send(t, private(), server.URL)
	if failure != nil {
		t.Fatal(failure)
	}
	if reply.Status != http.StatusTeapot || len(reply.Body) != provider.MaxBody || reply.MediaType() != "text/xml" {
		t.Errorf("reply = %d, %d bytes, %q", reply.Status, len(reply.Body), reply.MediaType())
	}
}

func TestTLS(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	modern := quiet(t, ok, (*httptest.Server).StartTLS)
	old := quiet(t, ok, func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		s.StartTLS()
	})
	plain := quiet(t, ok, (*httptest.Server).Start)
	trusted := x509.NewCertPool()
	trusted.AddCert(modern.Certificate())

	trusting := provider.NewHTTPClient(provider.Options{AllowPrivate: true, RootCAs: trusted})
	if _, failure := send(t, trusting, modern.URL); failure != nil {
		t.Errorf("trusted certificate: %v", failure)
	}
	tests := []struct {
		name   string
		client *http.Client
		target string
	}{
		{"self-signed", private(), modern.URL},
		{"another host's certificate", trusting, strings.Replace(modern.URL, "127.0.0.1", "localhost", 1)},
		{"TLS 1.1", trusting, old.URL},
		{"no TLS at all", trusting, strings.Replace(plain.URL, "http:", "https:", 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, failure := send(t, tt.client, tt.target)
			if failure == nil || failure.Code != provider.CodeTLS {
				t.Errorf("Send = %v, want code tls", failure)
			}
		})
	}
}

func TestSendUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	if _, failure := send(t, private(), "http://"+closed); failure == nil || failure.Code != provider.CodeUnreachable {
		t.Errorf("refused: %v, want provider_unreachable", failure)
	}

	hang := quiet(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), (*httptest.Server).Start)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, hang.URL, nil)
	_, err = provider.Send(private(), req)
	var failure *provider.Error
	if !errors.As(err, &failure) || failure.Code != provider.CodeUnreachable || !strings.Contains(failure.Detail, "in time") {
		t.Errorf("time-out: %v, want provider_unreachable", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	req, _ = http.NewRequestWithContext(ctx, http.MethodGet, hang.URL, nil)
	_, err = provider.Send(private(), req)
	if !errors.As(err, &failure) || failure.Code != provider.CodeCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want canceled", err)
	}
}

// TestBlockedTargets drives the whole client: literal addresses, a wrong port, and names that resolve to what must not be dialled.
func TestBlockedTargets(t *testing.T) {
	answers := map[string]string{ // :: first label of the name → address it resolves to
		"loopback": "127.0.0.1", "private": "10.1.2.3", "private12": "172.16.0.1", "private16": "192.168.0.1", "metadata": "169.254.169.254",
		"cgnat": "100.64.0.1", "zero": "0.0.0.0", "multicast": "224.0.0.1", "v6loopback": "::1", "v6local": "fd00:ec2::254",
		"v6link": "fe80::1", "nat64": "64:ff9b::a9fe:a9fe", "sixto4": "2002:a00:1::1", "teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
	}
	client := provider.NewHTTPClient(provider.Options{Resolver: fakeDNS(t, answers)})
	targets := []string{
		"https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::]/",
		"https://8.8.8.8:22/", "https://8.8.8.8:8443/", "http://8.8.8.8/",
	}
	for name := range answers {
		targets = append(targets, "https://"+name+".provider.test/")
	}
	for _, target := range targets {
		t.Run(target, func(t *testing.T) {
			_, failure := send(t, client, target)
			if failure == nil || failure.Code != provider.CodeUnreachable || !strings.Contains(failure.Detail, "not public") {
				t.Errorf("Send(%s) = %v, want a blocked address", target, failure)
			}
		})
	}
	if _, failure := send(t, client, "https://absent.provider.test/"); failure == nil || !strings.Contains(failure.Detail, "could not be resolved") {
		t.Errorf("absent name: %v, want a resolution failure", failure)
	}
}

func TestProxyEnvironmentIsIgnored(t *testing.T) {
	var asked atomic.Int32
	sink := quiet(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }), (*httptest.Server).Start)
	t.Setenv("HTTPS_PROXY", sink.URL)
	t.Setenv("https_proxy", sink.URL)
	t.Setenv("ALL_PROXY", sink.URL)
	client := provider.NewHTTPClient(provider.Options{Resolver: fakeDNS(t, map[string]string{"proxied": "10.0.0.1"})})
	send(t, client, "https://proxied.provider.test/")
	if asked.Load() != 0 {
		t.Error("the proxy from the environment was used")
	}
}

// fakeDNS answers names by their first label, from a UDP socket on loopback; unknown names do not exist.
func fakeDNS(t *testing.T, answers map[string]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			conn.WriteTo(dnsReply(query[:n], answers), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// dnsReply answers one question of RFC 1035: with the address if it is of the type asked for, with nothing if not.
func dnsReply(query []byte, answers map[string]string) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	text, ok := answers[string(query[13:13+query[12]])]
	if !ok {
		reply[3] |= 3 // NXDOMAIN
		return reply
	}
	addr := netip.MustParseAddr(text)
	kind := binary.BigEndian.Uint16(query[end+1:])
	if addr.Is4() != (kind == 1) {
		return reply
	}
	reply[7] = 1
	reply = append(reply, 0xc0, 12)
	reply = binary.BigEndian.AppendUint16(reply, kind)
	reply = append(reply, 0, 1, 0, 0, 0, 0) // class IN, TTL 0
	reply = binary.BigEndian.AppendUint16(reply, uint16(len(addr.AsSlice())))
	return append(reply, addr.AsSlice()...)
}
