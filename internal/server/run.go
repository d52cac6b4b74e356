package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/httpapi"
)

// drainTime is how long requests in flight may take to finish once the server stops.
const drainTime = 20 * time.Second

// Run serves until ctx ends, then lets requests in flight finish and closes everything. Messages for a person go to stdout, the log to stderr.
func Run(ctx context.Context, c Config, stdout, stderr io.Writer) error {
	harden()
	tune()
	logger := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	h, err := openHouse(ctx, c, logger)
	if err != nil {
		return err
	}
	err = h.serve(ctx, stdout)
	return errors.Join(err, h.Close())
}

// serve takes the address, prepares the instance, and then answers: the keys have proven right before, and a first start knows where it can be reached.
func (h *house) serve(ctx context.Context, stdout io.Writer) error {
	if err := h.checkMoveTarget(ctx); err != nil {
		return err
	}
	listener, err := h.listen(ctx)
	if err != nil {
		return err
	}
	b, err := broker.Open(ctx, h.brokerConfig(), func(k broker.OwnerKey) error { return h.publish(stdout, h.reachable(listener.Addr()), k) })
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := h.nameOwnerKey(stdout, live(ctx, b)); err != nil {
		return errors.Join(err, listener.Close())
	}
	h.warnAboutKeyFile()
	keeper := broker.NewKeeper(b)
	handler, err := h.handler(b, keeper)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(stdout, "Forgecroft listens on %s://%s (API reference: /docs, console: /console/). Stop it with Ctrl-C.\n", h.config.scheme(), listener.Addr())
	h.logger.Info("listening", "address", listener.Addr().String(), "tls", h.config.TLSCert != "", "version", h.config.Version)

	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { keeper.Run(work) })
	background.Go(func() { h.moveOn(work) })
	err = h.answer(ctx, httpapi.Server(handler), listener)
	stopWork()
	background.Wait()
	return err
}

// answer serves until ctx ends or a store fails for good.
func (h *house) answer(ctx context.Context, server *http.Server, listener net.Listener) error {
	server.ErrorLog = slog.NewLogLogger(h.logger.Handler(), slog.LevelDebug) // TLS handshakes of strangers are no news.
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case <-ctx.Done():
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case err := <-h.fatal:
		// After a failed sync nobody knows what is on the disk. Only a new start, which reads it again, does.
		_ = server.Close()
		return fmt.Errorf("the storage failed, so the server stops instead of guessing what it holds; start it again: %w", err)
	}
	h.logger.Info("stopping: requests in flight may finish")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close()
		h.logger.Warn("some requests did not finish in time", "error", err)
	}
	return nil
}

// listen opens the address, with TLS 1.2 or newer if a certificate is given.
func (h *house) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", h.config.Listen, err)
	}
	if h.config.TLSCert == "" {
		return listener, nil
	}
	certificate, err := tls.LoadX509KeyPair(h.config.TLSCert, h.config.TLSKey)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("loading the TLS certificate: %w", err), listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// warnAboutKeyFile says what every backup of the data directory would otherwise give away.
func (h *house) warnAboutKeyFile() {
	if h.vaultFile != nil && h.config.KeyFile == "" && h.config.KeyFD == "" && h.config.KeyText.IsZero() {
		h.logger.Warn("the vault's key lies beside the data it protects; move it elsewhere and point --key-file at it (docs/operations.md)", "key_file", h.config.path(keyFile))
	}
}

// reachable is the URL of the server for programs on this machine: the host as it was configured, with the port that was got. What means all addresses
// is reached by loopback.
func (h *house) reachable(address net.Addr) string {
	host, port, _ := net.SplitHostPort(h.config.Listen) // It was checked with the settings.
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if tcp, is := address.(*net.TCPAddr); is {
		port = strconv.Itoa(tcp.Port)
	}
	return h.config.scheme() + "://" + net.JoinHostPort(host, port)
}

// writeWhole makes or replaces a file of mode 0600: it has all of the text, durably, or is as it was.
func writeWhole(path, text string) error {
	dir := filepath.Dir(path)
	temp, err := host.CreateTempPrivate(dir, ".forgecroft-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return host.SyncDirectory(dir)
}
