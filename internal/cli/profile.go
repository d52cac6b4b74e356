package cli

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/internal/host"
	"github.com/forgecroft/forgecroft/sdk"
)

// defaultAddress is where a server on this machine listens.
const defaultAddress = "http://127.0.0.1:8300"

// profiles is the file that `forgecroft login` writes, mode 0600.
type profiles struct {
	Current  string             `json:"current"`
	Profiles map[string]profile `json:"profiles"` // :: name → profile
}

// profile is one server with a key.
type profile struct {
	URL    string `json:"url"`
	Key    string `json:"key"`
	CACert string `json:"ca_cert,omitempty"` // file with the certificate authorities to trust; empty: the system's
}

// profilesPath is where the file lies.
func (a *app) profilesPath() string {
	if dir := a.getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "forgecroft", "config.json")
	}
	if home := a.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "forgecroft", "config.json")
	}
	return filepath.Join(xdg.ConfigHome, "forgecroft", "config.json")
}

// loadProfiles reads the file; without one there are none.
func (a *app) loadProfiles() (profiles, error) {
	p := profiles{Profiles: map[string]profile{}}
	text, err := readPrivate(a.profilesPath())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if json.Unmarshal(text, &p) != nil || p.Profiles == nil {
		return p, fmt.Errorf("%s cannot be read as profiles; remove it and log in again", a.profilesPath())
	}
	return p, nil
}

// save writes the file, whole or not at all.
func (a *app) saveProfiles(p profiles) error {
	path := a.profilesPath()
	if err := host.MakePrivateDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("saving the profile: %w", err)
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	temp, err := host.CreateTempPrivate(filepath.Dir(path), ".config-*")
	if err != nil {
		return fmt.Errorf("saving the profile: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(text, '\n'))
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("saving the profile: %w", err)
	}
	return os.Rename(temp.Name(), path)
}

// readPrivate reads a file that holds a key, and refuses one that others may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := host.CheckUnread(path, info); err != nil {
		return nil, fmt.Errorf("%s holds an API key, but %w", path, err)
	}
	return os.ReadFile(path)
}

// client makes the client of the server and key that flags, variables and profile name.
func (a *app) client() (*sdk.Client, error) {
	known, err := a.loadProfiles()
	if err != nil {
		return nil, err
	}
	name := a.profile
	if name == "" {
		name = a.getenv("FORGECROFT_PROFILE")
	}
	explicit := name != ""
	if !explicit {
		name = known.Current
	}
	used, found := known.Profiles[name]
	if explicit && !found {
		return nil, usage("there is no profile %q; `forgecroft login --profile %s` makes it", name, name)
	}
	address := first(a.address(), used.URL, defaultAddress)
	key, err := a.key(used, address)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, &exitError{exitDenied, errors.New("not logged in: run `forgecroft login`, or set FORGECROFT_API_KEY")}
	}
	return a.connect(address, key, first(a.caCert, a.getenv("FORGECROFT_CA_CERT"), used.CACert))
}

// address is the server's address that a flag or variable gives, or empty. Blanks and line ends
// around it come from files and pipes.
func (a *app) address() string {
	return strings.TrimSpace(first(a.apiURL, a.getenv("FORGECROFT_API_URL")))
}

// connect makes a client. caCert is a file with certificate authorities; empty: the system's are
// trusted.
func (a *app) connect(address, key, caCert string) (*sdk.Client, error) {
	options := []sdk.Option{sdk.WithUserAgent("forgecroft/" + version)}
	if caCert != "" {
		text, err := os.ReadFile(caCert)
		if err != nil {
			return nil, usage("reading the CA certificates: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, usage("%s holds no certificate in PEM form", caCert)
		}
		options = append(options, sdk.WithRootCAs(pool))
	}
	client, err := sdk.New(address, key, options...)
	if err != nil {
		return nil, usage("%w", err)
	}
	return client, nil
}

// profileCommand holds the commands about saved logins.
func (a *app) profileCommand() *cobra.Command {
	return group("profile", "Saved logins: one for each server", []string{"profiles"}, a.profileList(), a.profileUse())
}

func (a *app) profileList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List saved logins; * is the one in use", Aliases: []string{"ls"}, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			known, err := a.loadProfiles()
			if err != nil {
				return err
			}
			type listed struct {
				Name    string `json:"name"`
				URL     string `json:"url"`
				Current bool   `json:"current"`
			}
			items, rows := []listed{}, [][]string{}
			for _, name := range slices.Sorted(maps.Keys(known.Profiles)) {
				item := listed{name, known.Profiles[name].URL, name == known.Current}
				items = append(items, item)
				rows = append(rows, []string{map[bool]string{true: "*"}[item.Current], item.Name, item.URL})
			}
			if a.json {
				return a.printJSON(items)
			}
			return a.printTable([]string{"", "NAME", "SERVER"}, rows)
		},
	}
}

func (a *app) profileUse() *cobra.Command {
	return &cobra.Command{
		Use: "use PROFILE", Short: "Use a saved login for the commands that follow", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeProfiles,
		RunE: func(_ *cobra.Command, args []string) error {
			known, err := a.loadProfiles()
			if err != nil {
				return err
			}
			if _, found := known.Profiles[args[0]]; !found {
				return &exitError{exitNotFound, fmt.Errorf("there is no profile %q; `forgecroft login --profile %s` makes it", args[0], args[0])}
			}
			known.Current = args[0]
			return a.saveProfiles(known)
		},
	}
}

// key finds the API key. A profile's key goes to that profile's server only.
func (a *app) key(used profile, address string) (string, error) {
	if key := a.getenv("FORGECROFT_API_KEY"); key != "" {
		return strings.TrimSpace(key), nil
	}
	if path := a.getenv("FORGECROFT_API_KEY_FILE"); path != "" {
		text, err := readPrivate(path)
		if err != nil {
			return "", fmt.Errorf("reading the API key that FORGECROFT_API_KEY_FILE names: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if used.URL != "" && strings.TrimSuffix(used.URL, "/") != strings.TrimSuffix(address, "/") {
		return "", nil
	}
	return used.Key, nil
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// completeProfiles offers the names of profiles.
func (a *app) completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	known, _ := a.loadProfiles()
	var names []string
	for name := range known.Profiles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}
