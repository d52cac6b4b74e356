package canary_test

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

// scanner finds secrets in bytes, also pieces of them, in the encodings that programs write.
type scanner struct {
	windows map[[window]byte]string // a piece of an encoded secret → whose it is
	first   [1 << 16]bool           // how pieces begin: most places need no look into the map
}

// add makes the scanner look for a secret.
func (s *scanner) add(name, secret string) {
	if s.windows == nil {
		s.windows = map[[window]byte]string{}
	}
	for encoding, text := range encodings(secret) {
		for at := 0; at+window <= len(text); at += window {
			s.addWindow(name+" ("+encoding+")", text[at:at+window])
		}
		if len(text) >= window {
			s.addWindow(name+" ("+encoding+")", text[len(text)-window:])
		}
	}
}

// addWindow adds one piece.
func (s *scanner) addWindow(name string, piece []byte) {
	s.windows[[window]byte(piece)] = name
	s.first[uint16(piece[0])<<8|uint16(piece[1])] = true
}

// encodings are all forms in which a secret is looked for.
func encodings(secret string) map[string][]byte {
	text, quoted := []byte(secret), bytes.Trim(mustJSON(secret, true), `"`)
	all := map[string][]byte{
		"raw": text, "hex": []byte(hex.EncodeToString(text)), "upper-case hex": []byte(strings.ToUpper(hex.EncodeToString(text))),
		"query": []byte(url.QueryEscape(secret)), "path": []byte(url.PathEscape(secret)), "JSON": quoted, "JSON for HTML": bytes.Trim(mustJSON(secret, false), `"`),
		"JSON in JSON": bytes.Trim(mustJSON(string(quoted), true), `"`), "Go": []byte(strings.Trim(fmt.Sprintf("%q", secret), `"`)), "Go bytes": []byte(strings.Trim(fmt.Sprint(text), "[]")),
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

// find names what is in data, compressed parts of it included; nil: nothing.
func (s *scanner) find(data []byte) []string {
	found := map[string]bool{}
	for at := 0; at+window <= len(data); at++ {
		if !s.first[uint16(data[at])<<8|uint16(data[at+1])] {
			continue
		}
		if name, hit := s.windows[[window]byte(data[at:at+window])]; hit {
			found[fmt.Sprintf("%s at byte %d", name, at)] = true
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
			for _, name := range s.find(text) {
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

// check complains about secrets in data.
func (s *scanner) check(t *testing.T, where string, data []byte) {
	t.Helper()
	if names := s.find(data); len(names) > 0 {
		t.Errorf("%s holds %d pieces of secrets: %.600s", where, len(names), strings.Join(names, "; "))
	}
}

// checkTree scans every file below a directory, and their names. It returns how many bytes it read.
func (s *scanner) checkTree(t *testing.T, dir string) int {
	t.Helper()
	total := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s.check(t, "the name "+path, []byte(path))
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		total += len(data)
		s.check(t, path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestScannerFinds plants a secret in each encoding, whole and in pieces, among other bytes: what finds nothing proves nothing.
func TestScannerFinds(t *testing.T) {
	const planted = `Zq8"\<&>é/+ %41~kW3vXy7RtPb2`
	var s scanner
	s.add("the secret", planted)
	noise := bytes.Repeat([]byte("noise "), 100)
	if names := s.find(noise); names != nil {
		t.Fatalf("finds %v where nothing is", names)
	}
	plant := func(encoded []byte) []byte { return slices.Concat(noise, encoded, noise) }
	forms := encodings(planted)
	if len(forms) < 18 {
		t.Errorf("looks for %d encodings", len(forms))
	}
	for name, encoded := range forms {
		t.Run(name, func(t *testing.T) {
			if s.find(plant(encoded)) == nil {
				t.Error("is not found")
			}
			if len(encoded) >= 2*window && s.find(plant(encoded[1:])) == nil {
				t.Error("is not found when its beginning is cut off")
			}
		})
	}
	for offset := range 3 {
		text := strings.Repeat("x", offset) + planted + "yz"
		if s.find(plant([]byte(base64.StdEncoding.EncodeToString([]byte(text))))) == nil || s.find(plant([]byte(base64.URLEncoding.EncodeToString([]byte(text))))) == nil {
			t.Errorf("is not found in base64 of a text where it begins at %d", offset)
		}
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(plant([]byte(planted)))
	_ = z.Close()
	if s.find(plant(zipped.Bytes())) == nil {
		t.Error("is not found in a gzip member")
	}
}

// TestScannerFindsInFiles plants a secret in a file of a tree.
func TestScannerFindsInFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b", "c"), []byte("xEXAMPLE-of-a-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s scanner
	s.add("the secret", "EXAMPLE-of-a-secret")
	inner := &testing.T{}
	if s.checkTree(inner, dir); !inner.Failed() {
		t.Error("a planted secret is not found")
	}
}
