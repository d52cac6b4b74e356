//go:build unix

package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest/process"
	"github.com/forgecroft/forgecroft/sdk"
)

// unprivileged is the user that the service runs as here, and its group: nobody's.
const unprivileged = 65534

// example is a secret that must survive.
const example = "wJalrXUtnFEMI-EXAMPLE-KEY"

// unit is the [Service] section of the unit: setting → its values, in their order.
type unit map[string][]string

// parseUnit reads the unit.
func parseUnit(t *testing.T) unit {
	t.Helper()
	settings, section := unit{}, ""
	for line := range strings.Lines(read(t, "systemd/forgecroft.service")) {
		line = strings.TrimSpace(line)
		name, value, isSetting := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = line
		case section == "[Service]" && isSetting && !strings.HasPrefix(line, "#"):
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

// one is the value of a setting that is there once.
func (u unit) one(t *testing.T, name string) string {
	t.Helper()
	if len(u[name]) != 1 {
		t.Fatalf("the unit has %d settings %s, want one", len(u[name]), name)
	}
	return u[name][0]
}

// machine is a tree with the directories of a machine after the steps of the unit's comment. The service may write to its own alone, as with ProtectSystem=strict:
// all others are root's.
type machine struct {
	root string
	unit unit
}

// newMachine makes the tree, and the directories that systemd makes before it starts the service.
func newMachine(t *testing.T, u unit) *machine {
	t.Helper()
	root, err := os.MkdirTemp("", "forgecroft-machine-*") // The directory of t.TempDir is closed to others.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	m := &machine{root, u}
	for _, path := range []string{"/", "/etc/forgecroft", "/usr/local/bin", "/var/lib", "/home/operator"} {
		must(t, os.MkdirAll(root+path, 0o755))
	}
	must(t, os.Chmod(root, 0o755))
	mode, err := strconv.ParseUint(u.one(t, "StateDirectoryMode"), 8, 32)
	must(t, err)
	for name := range strings.FieldsSeq(u.one(t, "StateDirectory")) {
		path := filepath.Join(root, "/var/lib", name)
		must(t, os.Mkdir(path, os.FileMode(mode)))
		must(t, os.Chown(path, unprivileged, unprivileged))
	}
	_, err = process.Build(root + "/usr/local/bin")
	must(t, err)
	return m
}

// start starts the service as the unit says: its command line, user and umask, and no environment but the address, which EnvironmentFile= may set.
func (m *machine) start(t *testing.T) *process.Server {
	t.Helper()
	args := strings.Fields(m.unit.one(t, "ExecStart"))
	for i, arg := range args {
		if strings.HasPrefix(arg, "/") {
			args[i] = m.root + arg
		}
	}
	umask := "umask " + m.unit.one(t, "UMask") + ` && exec "$@"`
	cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", umask, "sh"}, args)...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "FORGECROFT_LISTEN=127.0.0.1:0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	s, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// operator runs the command line against the running service, as somebody who has the owner's key.
func (m *machine) operator(t *testing.T, url, key string, args ...string) {
	t.Helper()
	cmd := exec.Command(m.root+"/usr/local/bin/forgecroft", args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + m.root + "/home/operator", "FORGECROFT_API_URL=" + url, "FORGECROFT_API_KEY=" + key}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("forgecroft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ownerKey is what the first start left for the owner.
func (m *machine) ownerKey(t *testing.T) string {
	t.Helper()
	_, after, found := strings.Cut(m.unit.one(t, "ExecStart"), "--owner-key-file ")
	if !found {
		t.Fatal("the unit names no file for the owner's key")
	}
	key, err := os.ReadFile(m.root + strings.Fields(after)[0])
	must(t, err)
	return strings.TrimSpace(string(key))
}

// TestUnitRuns starts the server as the unit does, by a user who may write to the unit's directories only, rotates the vault's key while it serves, and
// starts it again: what was stored is there, under the new key.
func TestUnitRuns(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start the service as another user")
	}
	m := newMachine(t, parseUnit(t))
	s := m.start(t)
	key := m.ownerKey(t)
	workspace := mustStore(t, mustClient(t, s.URL, key))
	before := primary(t, mustClient(t, s.URL, key))
	m.operator(t, s.URL, key, "vault", "rotate-key")
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("the service ended with %d:\n%s", code, &s.Log)
	}

	s = m.start(t)
	client := mustClient(t, s.URL, key)
	if after := primary(t, client); after == before {
		t.Errorf("the primary key is %s after the rotation, as before", after)
	}
	delivered, err := client.Deliver(t.Context(), workspace, sdk.DeliverRequest{})
	must(t, err)
	if delivered.Env["TF_VAR_token"] != example {
		t.Error("the secret is not delivered after the new start")
	}
	m.operator(t, s.URL, key, "vault", "remove-key", before, "--yes")
}

// TestUserExists checks that the user of the unit is the one that the file beside it makes.
func TestUserExists(t *testing.T) {
	sysusers, err := exec.LookPath("systemd-sysusers")
	if err != nil {
		t.Skip("systemd is not on this machine")
	}
	u, root := parseUnit(t), t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	file, err := os.Open("systemd/forgecroft.sysusers")
	must(t, err)
	defer file.Close()
	cmd := exec.Command(sysusers, "--root="+root, "-") // It would look for a file below the root.
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemd-sysusers: %v\n%s", err, out)
	}
	for file, name := range map[string]string{"etc/passwd": u.one(t, "User"), "etc/group": u.one(t, "Group")} {
		text, err := os.ReadFile(filepath.Join(root, file))
		must(t, err)
		if !strings.HasPrefix(string(text), name+":") && !strings.Contains(string(text), "\n"+name+":") {
			t.Errorf("%s has no %s", file, name)
		}
	}
}

// mustStore stores a secret and returns the workspace that it is delivered to.
func mustStore(t *testing.T, client *sdk.Client) string {
	t.Helper()
	project, err := client.CreateProject(t.Context(), sdk.CreateProject{Name: "shop"})
	must(t, err)
	c, err := client.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: "token", CredentialType: "generic_env"})
	must(t, err)
	_, err = client.StoreSecrets(t.Context(), c.ID, sdk.StoreSecrets{Data: map[string]json.RawMessage{"TF_VAR_token": json.RawMessage(strconv.Quote(example))}})
	must(t, err)
	w, err := client.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: "prod", ProjectID: project.ID, CredentialConfigIDs: []string{c.ID}})
	must(t, err)
	return w.ID
}

// primary is the id of the vault's primary key.
func primary(t *testing.T, client *sdk.Client) string {
	t.Helper()
	ring, err := client.VaultKeys(t.Context())
	must(t, err)
	for _, k := range ring.Keys {
		if k.Primary {
			return k.ID
		}
	}
	t.Fatal("no key is primary")
	return ""
}

func mustClient(t *testing.T, url, key string) *sdk.Client {
	t.Helper()
	client, err := sdk.New(url, key)
	must(t, err)
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
