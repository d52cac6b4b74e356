package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/internal/store"
)

// spool collects the members of an archive in a file without a name. A tar file says the size of a member before its content, and the manifest, which
// sums up all of them, comes first; and a client that reads slowly must not keep the snapshot open.
type spool struct {
	file    *os.File
	size    int64
	members []Member
}

// newSpool makes a spool in a directory.
func newSpool(dir string) (*spool, error) {
	f, err := host.CreateNameless(dir)
	if err != nil {
		return nil, fmt.Errorf("making a file for the backup: %w", err)
	}
	return &spool{file: f}, nil
}

// counter counts and sums up what passes.
type counter struct {
	to   io.Writer
	n    int64
	hash hash.Hash
}

// Write implements [io.Writer].
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	c.hash.Write(p[:n])
	return n, err
}

// add writes a member: fill calls write with every row.
func (s *spool) add(name string, columns []store.Column, fill func(write func(values []any) error) error) error {
	buffered := bufio.NewWriterSize(s.file, 256<<10)
	compressed := &counter{to: buffered, hash: sha256.New()}
	packed, err := gzip.NewWriterLevel(compressed, gzip.BestSpeed)
	if err != nil {
		return err
	}
	m := Member{Name: name, Columns: columns}
	var sum digest
	err = fill(func(values []any) error {
		line, err := encodeRow(values)
		if err != nil {
			return err
		}
		m.Rows++
		m.RawSize += int64(len(line))
		sum.add(line)
		_, err = packed.Write(line)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := errors.Join(packed.Close(), buffered.Flush()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	m.Size, m.SHA256, m.Digest = compressed.n, compressed.hash.Sum(nil), sum.bytes()
	s.size += m.Size
	s.members = append(s.members, m)
	return nil
}

// cut forgets what was spooled after a number of members.
func (s *spool) cut(members int) error {
	s.members, s.size = s.members[:members], 0
	for _, m := range s.members {
		s.size += m.Size
	}
	_, err := s.file.Seek(s.size, io.SeekStart)
	return err
}

// close gives the space back.
func (s *spool) close() error { return s.file.Close() }

// Taken is a backup that was taken and waits to be written.
type Taken struct {
	Manifest Manifest
	manifest []byte
	spool    *spool
}

// finish makes the manifest final.
func (s *spool) finish(m Manifest) (*Taken, error) {
	m.Members = s.members
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	return &Taken{m, append(text, '\n'), s}, nil
}

// Size is the number of bytes that [Taken.WriteTo] writes.
func (t *Taken) Size() int64 {
	size := padded(int64(len(t.manifest))) + sealSize
	for _, m := range t.spool.members {
		size += padded(m.Size)
	}
	return size
}

// padded is what a member takes with its header.
func padded(size int64) int64 { return block + (size+block-1)/block*block }

// WriteTo implements [io.WriterTo]: it writes the archive.
func (t *Taken) WriteTo(to io.Writer) (int64, error) {
	out := &counter{to: to, hash: sha256.New()}
	w := tar.NewWriter(out)
	if err := w.WriteHeader(header(manifestName, int64(len(t.manifest)))); err != nil {
		return out.n, err
	}
	if _, err := w.Write(t.manifest); err != nil {
		return out.n, err
	}
	at := int64(0)
	for _, m := range t.spool.members {
		if err := w.WriteHeader(header(m.Name, m.Size)); err != nil {
			return out.n, err
		}
		if _, err := io.Copy(w, io.NewSectionReader(t.spool.file, at, m.Size)); err != nil {
			return out.n, err
		}
		at += m.Size
	}
	if err := w.Flush(); err != nil {
		return out.n, err
	}
	end, err := seal(out.hash.Sum(nil))
	if err != nil {
		return out.n, err
	}
	_, err = out.Write(end)
	return out.n, err
}

// Close gives the space of the backup back.
func (t *Taken) Close() error { return t.spool.close() }
