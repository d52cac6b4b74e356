//go:build unix

package backups_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/sdk"
)

// spoil writes a spoilt copy of a backup.
func spoil(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spoilt.tar")
	check(t, os.WriteFile(path, text, 0o600))
	return path
}

// TestCorruptions flips bits anywhere, cuts off, appends and swaps (BAK-8).
func TestCorruptions(t *testing.T) {
	h := newHouse(t, 3)
	good, err := os.ReadFile(h.mustBackUp(t))
	check(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 200 {
		text := bytes.Clone(good)
		at := r.IntN(len(text))
		what := ""
		switch n % 4 {
		case 0, 1:
			text[at] ^= 1 << r.IntN(8)
			what = fmt.Sprint("a bit flipped at ", at)
		case 2:
			text = text[:at]
			what = fmt.Sprint("cut off at ", at)
		case 3:
			text = append(text[:at], append([]byte{byte(r.IntN(256))}, text[at:]...)...)
			what = fmt.Sprint("a byte more at ", at)
		}
		dir, _, err := h.restore(t, spoil(t, text), server.RestoreOptions{Force: n%3 == 0})
		if err == nil || entries(t, dir) != nil {
			t.Errorf("%s: got %v and %v", what, err, entries(t, dir))
		}
	}
	for _, text := range [][]byte{nil, []byte("x"), append(bytes.Clone(good), make([]byte, 512)...), bytes.Repeat([]byte{0}, len(good))} {
		if _, _, err := h.restore(t, spoil(t, text), server.RestoreOptions{}); err == nil {
			t.Errorf("a file of %d bytes was restored", len(text))
		}
	}
}

// TestWrongKey restores with another key, and with none: nothing may be touched, and the message names the key that is needed (BAK-5).
func TestWrongKey(t *testing.T) {
	h, other := newHouse(t, 1), newHouse(t, 1)
	path := h.mustBackUp(t)
	archive, err := backup.Open(path)
	check(t, err)
	defer archive.Close()
	for name, keyFile := range map[string]string{"another": other.keyFile, "none": filepath.Join(t.TempDir(), "nothing.key")} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "restored")
			_, err := server.Restore(t.Context(), settings(t, dir, keyFile), path, server.RestoreOptions{}, io.Discard)
			var wrong *backup.WrongKeyError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), archive.NeededKeys()[0]) || entries(t, dir) != nil {
				t.Errorf("got %v and %v", err, entries(t, dir))
			}
			if _, err := os.Stat(keyFile); name == "none" && err == nil {
				t.Error("a key was made")
			}
		})
	}
}

// member is one member of a tar file.
type member struct {
	header  tar.Header
	content []byte
}

// unpack reads an archive.
func unpack(t *testing.T, path string) []member {
	t.Helper()
	f, err := os.Open(path)
	check(t, err)
	defer f.Close()
	var all []member
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, err)
		all = append(all, member{*h, content})
	}
}

// pack makes an archive whose own hash is right.
func pack(t *testing.T, members []member) string {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, m := range members {
		if m.header.Name == "sha256" {
			check(t, w.Flush())
			sum := sha256.Sum256(text.Bytes())
			m.content = []byte(hex.EncodeToString(sum[:]))
		}
		check(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.header.Name, Size: int64(len(m.content)), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}))
		_, err := w.Write(m.content)
		check(t, err)
	}
	check(t, w.Close())
	return spoil(t, text.Bytes())
}

// TestPackIsWhatBackupsAre guards the tests below: repacked, a backup is still one.
func TestPackIsWhatBackupsAre(t *testing.T) {
	h := newHouse(t, 1)
	if _, _, err := h.restore(t, pack(t, unpack(t, h.mustBackUp(t))), server.RestoreOptions{}); err != nil {
		t.Error(err)
	}
}

// TestSwappedHalves takes the tables of one backup and the records of another, with a manifest that says so (BAK-6).
func TestSwappedHalves(t *testing.T) {
	h := newHouse(t, 3)
	early := unpack(t, h.mustBackUp(t))
	check(t, h.storeSecret(t.Context(), h.configs[1], 1, 2))
	check(t, h.Owner.DeleteWorkspace(t.Context(), h.workspace))
	late := unpack(t, h.mustBackUp(t))
	mixed := pack(t, mixHalves(t, late, early))

	dir, _, err := h.restore(t, mixed, server.RestoreOptions{})
	var lost *backup.LostError
	if !errors.As(err, &lost) || len(lost.Secrets) != 1 || lost.Secrets[0].CredentialConfigID != h.configs[1] || entries(t, dir) != nil {
		t.Fatalf("got %v and %v", err, entries(t, dir))
	}
	dir, restored, err := h.restore(t, mixed, server.RestoreOptions{Force: true})
	check(t, err)
	if len(restored.Lost) != 1 || restored.Lost[0].CredentialConfigID != h.configs[1] || restored.Lost[0].Version != 2 {
		t.Errorf("lost: %v", restored.Lost)
	}
	h.wantLost(t, dir, h.keyFile, 1)
}

// wantLost wants a restored installation on which one config has lost its secrets, says so, and takes new ones.
func (h *house) wantLost(t *testing.T, dir, keyFile string, config int) {
	t.Helper()
	client := h.mustServe(t, dir, keyFile)
	projects, err := client.Projects(t.Context(), sdk.ListOptions{})
	check(t, err)
	workspace, err := client.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "after", ProjectID: projects.Items[0].ID, CredentialConfigIDs: []string{h.configs[config]}})
	check(t, err)
	_, err = client.Deliver(t.Context(), workspace.ID, sdk.DeliverRequest{})
	var refused *sdk.Error
	if !errors.As(err, &refused) || refused.Code != "secret_unreadable" {
		t.Errorf("delivering lost secrets: got %v", err)
	}
	copied := *h
	server := *h.Server
	server.Owner = client
	copied.Server = &server
	check(t, copied.storeSecret(t.Context(), h.configs[config], config, 9))
	env, err := client.Deliver(t.Context(), workspace.ID, sdk.DeliverRequest{})
	check(t, err)
	if got := env.Env[fmt.Sprint("SECRET_", config)]; got != secret(config, 9) {
		t.Errorf("after storing it again: got %q", got)
	}
}

// TestKeyLost restores without any key: metadata is usable, and secrets can be stored again (BAK-9).
func TestKeyLost(t *testing.T) {
	h := newHouse(t, 2)
	path := h.mustBackUp(t)
	dir, keyFile := filepath.Join(t.TempDir(), "restored"), filepath.Join(t.TempDir(), "new.key")
	restored, err := server.Restore(t.Context(), settings(t, dir, keyFile), path, server.RestoreOptions{Force: true}, io.Discard)
	check(t, err)
	if len(restored.Lost) != 3 {
		t.Errorf("lost: %v, want two secrets and the keys of the instance", restored.Lost)
	}
	h.wantLost(t, dir, keyFile, 0)
}
