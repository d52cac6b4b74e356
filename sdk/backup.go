package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxProblem bounds the answer of a server that refuses a backup.
const maxProblem = 1 << 20

// Backup takes a backup of the whole installation and writes it to w as it comes. What w has got is whole only if Backup returns nil; the backup ends with its
// own hash. It takes an owner key, and is bounded by ctx alone.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath("/backups").String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", "application/x-tar, application/problem+json")
	reply, err := c.patient().Do(req)
	if err != nil {
		return &UnreachableError{Address: c.base.Host, Err: err}
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(reply.Body, maxProblem))
		if err != nil {
			return &UnreachableError{Address: c.base.Host, Err: fmt.Errorf("the answer was cut off: %w", err)}
		}
		return problem(reply, text)
	}
	from := &remote{reader: reply.Body}
	_, err = io.Copy(w, from)
	switch {
	case from.err != nil:
		return &UnreachableError{Address: c.base.Host, Err: fmt.Errorf("the backup was cut off: %w", from.err)}
	case err != nil:
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

// remote keeps the failures of the server apart from those of the disk.
type remote struct {
	reader io.Reader
	err    error
}

// Read implements [io.Reader].
func (r *remote) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// patient is the HTTP client without a time limit for the first byte: the server collects a backup before it sends it.
func (c *Client) patient() *http.Client {
	client := *c.http
	client.Timeout = 0
	if t, ok := client.Transport.(*http.Transport); ok {
		t = t.Clone()
		t.ResponseHeaderTimeout = 0
		client.Transport = t
	}
	return &client
}
