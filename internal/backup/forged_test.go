package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/backup"
)

// member is a member of an archive.
type member struct {
	name    string
	content []byte
}

// unpack reads an archive.
func unpack(t testing.TB, path string) []member {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	var all []member
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, err)
		all = append(all, member{h.Name, content})
	}
}

// pack makes an archive whose hash fits, whatever is in it.
func pack(t testing.TB, members []member) string {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, m := range members {
		if m.name == "sha256" {
			check(t, w.Flush())
			sum := sha256.Sum256(text.Bytes())
			m.content = []byte(hex.EncodeToString(sum[:]))
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: int64(len(m.content)), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		check(t, w.WriteHeader(h))
		_, err := w.Write(m.content)
		check(t, err)
	}
	check(t, w.Close())
	path := filepath.Join(t.TempDir(), "forged.tar")
	check(t, os.WriteFile(path, text.Bytes(), 0o600))
	return path
}

// forge replaces the rows of one member, with sizes and hashes to match but for the digest of the rows.
func forge(t testing.TB, members []member, at int, rows []byte) string {
	t.Helper()
	var m backup.Manifest
	check(t, json.Unmarshal(members[0].content, &m))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(rows)
	check(t, errors.Join(err, w.Close()))
	forged := append([]member(nil), members...)
	forged[1+at].content = packed.Bytes()
	sum := sha256.Sum256(packed.Bytes())
	line := &m.Members[at]
	line.Size, line.RawSize, line.SHA256, line.Rows = int64(packed.Len()), int64(len(rows)), sum[:], int64(bytes.Count(rows, []byte("\n")))
	text, err := json.Marshal(m)
	check(t, err)
	forged[0].content = text
	return pack(t, forged)
}

// rowsOf are the rows of a member.
func rowsOf(t testing.TB, m member) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(m.content))
	check(t, err)
	rows, err := io.ReadAll(r)
	check(t, err)
	return rows
}

// FuzzForged gives every member other rows: an archive is refused, never misread, unless the rows are the same ones.
func FuzzForged(f *testing.F) {
	w := furnished(f, 2)
	members, ring := unpack(f, w.mustBackUp(f)), w.ring(f)
	tables := len(members) - 2
	for at := range tables {
		f.Add(uint8(at), rowsOf(f, members[1+at]))
	}
	for _, rows := range []string{"", "\n", "[]\n", "null\n", "[null,null,null]\n", `["a","b","c"]` + "\n", "[1,2,3]", `["0","1","2",3,"AAAA"]` + "\n"} {
		for at := range tables {
			f.Add(uint8(at), []byte(rows))
		}
	}
	f.Fuzz(func(t *testing.T, at uint8, rows []byte) {
		member := int(at) % tables
		archive, err := backup.Open(forge(t, members, member, rows))
		if err != nil {
			return
		}
		defer archive.Close()
		_, err = archive.Check(t.Context(), ring, false, nil)
		if err == nil && !sameRows(rows, rowsOf(t, members[1+member])) {
			t.Errorf("member %d was accepted with other rows: %q", member, rows)
		}
	})
}

// sameRows reports whether two texts have the same lines, in any order and in any way of writing JSON.
func sameRows(a, b []byte) bool {
	return canonical(a) == canonical(b)
}

// canonical counts lines by what they mean.
func canonical(text []byte) string {
	counts := map[string]int{}
	for line := range bytes.Lines(text) {
		var value any
		if err := json.Unmarshal(line, &value); err == nil {
			line, _ = json.Marshal(value) // It came as JSON.
		}
		counts[string(line)]++
	}
	all, _ := json.Marshal(counts) // Strings and numbers.
	return string(all)
}

// FuzzOpen opens anything.
func FuzzOpen(f *testing.F) {
	w := furnished(f, 1)
	text, err := os.ReadFile(w.mustBackUp(f))
	check(f, err)
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Fuzz(func(t *testing.T, changed []byte) {
		path := filepath.Join(t.TempDir(), "backup.tar")
		check(t, os.WriteFile(path, changed, 0o600))
		archive, err := backup.Open(path)
		if err != nil {
			return
		}
		defer archive.Close()
		if !bytes.Equal(changed, text) {
			t.Logf("another archive: %s", archive.Name()) // It would have to carry its own SHA-256.
		}
	})
}

// TestManifests refuses archives whose manifest this version does not understand.
func TestManifests(t *testing.T) {
	w := furnished(t, 1)
	members := unpack(t, w.mustBackUp(t))
	for name, change := range map[string]func(m *backup.Manifest){
		"newer format":    func(m *backup.Manifest) { m.Format++ },
		"newer schema":    func(m *backup.Manifest) { m.Schema += 100 },
		"other instance":  func(m *backup.Manifest) { m.InstanceID = "x" },
		"other trail":     func(m *backup.Manifest) { m.Organizations[0].AuditSequence++ },
		"other hash":      func(m *backup.Manifest) { m.Organizations[0].AuditHash[0]++ },
		"no organization": func(m *backup.Manifest) { m.Organizations = nil },
		"no place":        func(m *backup.Manifest) { m.Secrets = "" },
		"member less":     func(m *backup.Manifest) { m.Members = m.Members[1:] },
		"column less":     func(m *backup.Manifest) { m.Members[0].Columns = m.Members[0].Columns[1:] },
		"rows more":       func(m *backup.Manifest) { m.Members[0].Rows++ },
		"another sum":     func(m *backup.Manifest) { m.Members[0].SHA256[0]++ },
		"a bomb":          func(m *backup.Manifest) { m.Members[0].RawSize = 5 },
		"wrong canary":    func(m *backup.Manifest) { m.Keys[0].Canary[0]++ },
		"another key":     func(m *backup.Manifest) { m.Keys[0].ID = "0123456789abcdef" },
	} {
		t.Run(name, func(t *testing.T) {
			var m backup.Manifest
			check(t, json.Unmarshal(members[0].content, &m))
			change(&m)
			text, err := json.Marshal(m)
			check(t, err)
			forged := append([]member{{members[0].name, text}}, members[1:]...)
			archive, err := backup.Open(pack(t, forged))
			if err == nil {
				defer archive.Close()
				_, err = archive.Check(t.Context(), w.ring(t), false, nil)
			}
			if err == nil {
				t.Error("it was accepted")
			}
		})
	}
}
