// Package leak finds secrets where they must not be, in every encoding in which programs write them. Only tests import it.
package leak

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// window is how many bytes of a secret, in whatever encoding, are too many to be a coincidence.
const window = 12

// Scanner finds secrets in bytes, also pieces of them, in the encodings that programs write.
type Scanner struct {
	windows map[[window]byte]piece // what is looked for → whose it is
	first   [1 << 16]bool          // how pieces begin: most places need no look into the map
}

// piece is a piece of an encoded secret.
type piece struct {
	name string
	weak bool // It has so few bits that the files of a database may hold it: alone it means nothing.
}

// Add makes the scanner look for a secret.
func (s *Scanner) Add(name, secret string) {
	if s.windows == nil {
		s.windows = map[[window]byte]piece{}
	}
	for encoding, text := range encodings(secret) {
		p := piece{name + " (" + encoding + ")", encoding == decimal}
		for at := 0; at+window <= len(text); at += window {
			s.addWindow(p, text[at:at+window])
		}
		if len(text) >= window {
			s.addWindow(p, text[len(text)-window:])
		}
	}
}

// addWindow adds one piece.
func (s *Scanner) addWindow(p piece, text []byte) {
	s.windows[[window]byte(text)] = p
	s.first[uint16(text[0])<<8|uint16(text[1])] = true
}

// decimal is the encoding of fmt for bytes, which has only some two bits a character.
const decimal = "Go bytes"

// encodings are all forms in which a secret is looked for.
func encodings(secret string) map[string][]byte {
	text, quoted := []byte(secret), bytes.Trim(mustJSON(secret, true), `"`)
	all := map[string][]byte{
		"raw": text, "hex": []byte(hex.EncodeToString(text)), "upper-case hex": []byte(strings.ToUpper(hex.EncodeToString(text))),
		"query": []byte(url.QueryEscape(secret)), "path": []byte(url.PathEscape(secret)), "JSON": quoted, "JSON for HTML": bytes.Trim(mustJSON(secret, false), `"`),
		"JSON in JSON": bytes.Trim(mustJSON(string(quoted), true), `"`), "Go": []byte(strings.Trim(fmt.Sprintf("%q", secret), `"`)), decimal: []byte(strings.Trim(fmt.Sprint(text), "[]")),
	}
	for _, unit := range utf16.Encode([]rune(secret)) {
		all["UTF-16 little"] = append(all["UTF-16 little"], byte(unit), byte(unit>>8))
		all["UTF-16 big"] = append(all["UTF-16 big"], byte(unit>>8), byte(unit))
	}
	reversed := slices.Clone(text)
	slices.Reverse(reversed)
	all["reversed"] = reversed
	for offset, tainted := range []int{0, 2, 3} { // Characters at the start that hold bits of what stands before the secret.
		for name, alphabet := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			encoded := alphabet.EncodeToString(append(make([]byte, offset), text...))
			whole := (offset + len(text)) / 3 * 4 // What follows holds bits of what stands behind it.
			all[fmt.Sprintf("%s at %d", name, offset)] = []byte(encoded[tainted:whole])
		}
	}
	return all
}

// mustJSON encodes a string, with or without the characters of HTML as they are.
func mustJSON(text string, plain bool) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(!plain)
	_ = e.Encode(text) // A string can always be encoded.
	return bytes.TrimSpace(b.Bytes())
}

// Find names what is in data, compressed parts of it included; nil: nothing.
func (s *Scanner) Find(data []byte) []string {
	found := map[string]bool{}
	for at := 0; at+window <= len(data); at++ {
		if !s.first[uint16(data[at])<<8|uint16(data[at+1])] {
			continue
		}
		if p, hit := s.windows[[window]byte(data[at:at+window])]; hit && (!p.weak || s.holds(data, at-window, p) || s.holds(data, at+window, p)) {
			found[fmt.Sprintf("%s at byte %d", p.name, at)] = true
		}
	}
	for rest, at := data, 0; ; {
		i := bytes.Index(rest, []byte{0x1f, 0x8b, 8})
		if i < 0 {
			break
		}
		at += i
		rest = rest[i:]
		if zipped, err := gzip.NewReader(bytes.NewReader(rest)); err == nil {
			text, _ := io.ReadAll(io.LimitReader(zipped, 16<<20)) // As much of it as is whole.
			for _, name := range s.Find(text) {
				found[fmt.Sprintf("%s of what is compressed at byte %d", name, at)] = true
			}
		}
		rest, at = rest[3:], at+3
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// holds reports whether a piece of the same secret, in the same encoding, is at a place.
func (s *Scanner) holds(data []byte, at int, p piece) bool {
	return at >= 0 && at+window <= len(data) && s.windows[[window]byte(data[at:at+window])] == p
}

// Check complains about secrets in data.
func (s *Scanner) Check(t testing.TB, where string, data []byte) {
	t.Helper()
	if names := s.Find(data); len(names) > 0 {
		t.Errorf("%s holds %d pieces of secrets: %.600s", where, len(names), strings.Join(names, "; "))
	}
}

// CheckTree scans every file below a directory, and their names. It returns how many bytes it read.
func (s *Scanner) CheckTree(t testing.TB, dir string) int {
	t.Helper()
	total := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s.Check(t, "the name "+path, []byte(path))
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		total += len(data)
		s.Check(t, path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
