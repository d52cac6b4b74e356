package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/forgecroft/forgecroft/internal/store"
)

// The members of an archive that are no tables.
const (
	manifestName = "manifest.json"
	recordsName  = "vault.jsonl.gz"
	sealName     = "sha256"
)

// block is the unit of a tar file; sealSize is what the last member takes with its header, its padding and the end mark of two blocks.
const (
	block    = 512
	sealSize = 4 * block
)

// maxManifest bounds the manifest, of which there is a line for each organization and each lost secret.
const maxManifest = 64 << 20

// memberName is the member that holds a table.
func memberName(t store.Table) string { return "tables/" + t.Name + ".jsonl.gz" }

// recordColumns are the columns of the vault's records.
func recordColumns() []store.Column {
	return []store.Column{
		{Name: "reference", Kind: store.Text},
		{Name: "organization_id", Kind: store.Text},
		{Name: "credential_config_id", Kind: store.Text},
		{Name: "version", Kind: store.Integer},
		{Name: "sealed", Kind: store.Blob},
	}
}

// header is the header of a member: the same bytes for the same name and size.
func header(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
}

// seal is the end of an archive whose beginning has the sum.
func seal(sum []byte) ([]byte, error) {
	var end bytes.Buffer
	w := tar.NewWriter(&end)
	text := hex.EncodeToString(sum)
	if err := w.WriteHeader(header(sealName, int64(len(text)))); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	err := w.Close()
	return end.Bytes(), err
}

// Archive is an opened backup, of which every byte is as it was written.
type Archive struct {
	Manifest Manifest
	file     *os.File
	sum      []byte                       // of all bytes before the seal: what names the archive
	members  map[string]*io.SectionReader // name → content
}

// errDamaged refuses a file that is no whole backup.
var errDamaged = errors.New("it is damaged, cut off, or no backup of Forgecroft: take another one")

// Open opens an archive and checks all of its bytes before it believes any.
func Open(path string) (*Archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}
	a := &Archive{file: f, members: map[string]*io.SectionReader{}}
	if err := a.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("the backup %s cannot be used: %w", path, err), f.Close())
	}
	return a, nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

// Name tells the archive from any other: the SHA-256 of its content, in hex.
func (a *Archive) Name() string { return hex.EncodeToString(a.sum) }

// read checks the seal, then the structure.
func (a *Archive) read() error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size() - sealSize
	if !info.Mode().IsRegular() || size < 2*block {
		return errDamaged
	}
	content := io.NewSectionReader(a.file, 0, size)
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return err
	}
	a.sum = sum.Sum(nil)
	want, err := seal(a.sum)
	if err != nil {
		return err
	}
	got := make([]byte, sealSize)
	if _, err := a.file.ReadAt(got, size); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errDamaged
	}
	return a.index(content)
}

// index finds the members and compares them with the manifest.
func (a *Archive) index(content *io.SectionReader) error {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var names []string
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w (%w)", errDamaged, err)
		}
		at, err := content.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		names = append(names, h.Name)
		a.members[h.Name] = io.NewSectionReader(a.file, at, h.Size)
	}
	if len(names) == 0 || names[0] != manifestName || a.members[manifestName].Size() > maxManifest {
		return errDamaged
	}
	text, err := io.ReadAll(a.members[manifestName])
	if err != nil {
		return err
	}
	if a.Manifest, err = parseManifest(text); err != nil {
		return err
	}
	return a.checkMembers(names[1:])
}

// checkMembers compares what is there with what the manifest says.
func (a *Archive) checkMembers(names []string) error {
	listed := make([]string, len(a.Manifest.Members))
	for i, m := range a.Manifest.Members {
		listed[i] = m.Name
		if found := a.members[m.Name]; found == nil || found.Size() != m.Size {
			return errDamaged
		}
	}
	if !slices.Equal(names, listed) {
		return errDamaged
	}
	return nil
}

// member finds a member in the manifest, if its columns are those that this version knows.
func (a *Archive) member(name string, columns []store.Column) (Member, error) {
	i := slices.IndexFunc(a.Manifest.Members, func(m Member) bool { return m.Name == name })
	if i < 0 || !slices.Equal(a.Manifest.Members[i].Columns, columns) {
		return Member{}, fmt.Errorf("the backup has no %s as this version knows it: restore it with the version that took it, Forgecroft %s, then upgrade", name, a.Manifest.Product)
	}
	return a.Manifest.Members[i], nil
}

// Rows calls each with every row of a table, as [store.Snapshot.Rows] does.
func (a *Archive) Rows(ctx context.Context, t store.Table, each func(values []any) error) error {
	return a.lines(ctx, memberName(t), t.Columns, each)
}

// lines reads a member and checks it against its line in the manifest.
func (a *Archive) lines(ctx context.Context, name string, columns []store.Column, each func(values []any) error) error {
	m, err := a.member(name, columns)
	if err != nil {
		return err
	}
	section := a.members[name]
	if _, err := section.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	compressed := bufio.NewReaderSize(io.TeeReader(section, sum), 64<<10)
	plain, err := gzip.NewReader(compressed)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	rows, found := int64(0), digest{}
	lines := bufio.NewReaderSize(io.LimitReader(plain, m.RawSize+1), 64<<10) // No more than it says: it may be a bomb.
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = eachLine(line, columns, each)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		rows++
		found.add(line)
	}
	if _, err := io.Copy(io.Discard, compressed); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if rows != m.Rows || !bytes.Equal(sum.Sum(nil), m.SHA256) || !bytes.Equal(found.bytes(), m.Digest) {
		return fmt.Errorf("reading %s: %w", name, errDamaged)
	}
	return nil
}

// eachLine hands one row on.
func eachLine(line []byte, columns []store.Column, each func(values []any) error) error {
	values, err := decodeRow(line, columns)
	if err != nil {
		return err
	}
	return each(values)
}
