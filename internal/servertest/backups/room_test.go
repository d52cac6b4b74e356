//go:build unix

package backups_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
)

// TestReplicaNeedsRoom takes a backup of a server that has no data directory. Without a directory of temporary files it says what is missing, and
// goes on; with one it leaves nothing there.
func TestReplicaNeedsRoom(t *testing.T) {
	t.Setenv("FORGECROFT_TEST_DATABASE", "postgres")
	own := newBao(t)
	temporary := filepath.Join(t.TempDir(), "temporary")
	s := servertest.MustStart(t, map[string]string{"vault": "openbao", "vault-addr": own[3], "vault-token-file": own[5], "key-file": filepath.Join(t.TempDir(), "vault.key")})
	t.Setenv("TMPDIR", temporary)

	reply := s.MustCall(t, s.OwnerKey, "POST", "/backups", "")
	if reply.Status != http.StatusServiceUnavailable {
		t.Errorf("without the directory: got %d %s, want 503", reply.Status, reply.Body)
	}
	for _, want := range []string{`"code":"backup_space"`, temporary, "TMPDIR"} {
		if !strings.Contains(reply.Body, want) {
			t.Errorf("without the directory: got %s, want it to say %s", reply.Body, want)
		}
	}
	if log := s.Log.String(); !strings.Contains(log, "no such file or directory") {
		t.Errorf("the log does not tell the cause:\n%s", log)
	}

	check(t, os.Mkdir(temporary, 0o700))
	reply = s.MustCall(t, s.OwnerKey, "POST", "/backups", "")
	if reply.Status != http.StatusOK || !strings.HasPrefix(reply.Body, "manifest.json") {
		t.Errorf("with the directory: got %d and %d bytes, want a backup", reply.Status, len(reply.Body))
	}
	if names := entries(t, temporary); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}
