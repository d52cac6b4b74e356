package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// pemBody finds a stretch of a private key in a Google key file, long enough to be nothing else.
var pemBody = regexp.MustCompile(`[A-Za-z0-9+/]{60,}`)

// stage is where the story plays: the fakes, the server, a home directory with nothing in it, and what earlier steps left to later ones.
type stage struct {
	out     *screen
	clouds  *clouds
	server  *server
	dir     string
	began   time.Time
	vars    map[string]string // :: name → value, for {name} in commands and expectations
	secrets []string          // no output may hold one of these
}

// newStage starts the fakes and lays out the temporary directory.
func newStage(binary string, out *screen) (*stage, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "forgecroft-demo-*")
	if err != nil {
		return nil, err
	}
	s := &stage{out: out, dir: dir, began: time.Now(), vars: map[string]string{}, secrets: []string{secretKey, goodToken, greeting}}
	if err := s.furnish(binary); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) furnish(binary string) (err error) {
	for _, name := range []string{"bin", "home", "work", "server"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			return err
		}
	}
	if err := os.Symlink(binary, s.path("bin/forgecroft")); err != nil {
		return err
	}
	if s.clouds, err = openClouds(); err != nil {
		return err
	}
	s.secrets = append(s.secrets, pemBody.FindString(string(s.clouds.serviceKey)))
	if err := os.WriteFile(s.path("work/key.json"), s.clouds.serviceKey, 0o600); err != nil {
		return err
	}
	s.server, err = newServer(binary, s.path("server"), []string{
		"HOME=" + s.path("home"), "FORGECROFT_AWS_STS_ENDPOINT=" + s.clouds.awsURL,
		"FORGECROFT_GCP_TOKEN_URL=" + s.clouds.gcpURL, "FORGECROFT_CLOUDFLARE_API_URL=" + s.clouds.cloudflareURL,
	})
	return err
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// environ is what commands see: nothing of the caller's but the path to the system's tools.
func (s *stage) environ() ([]string, error) {
	key, err := os.ReadFile(s.server.ownerKey)
	if err != nil {
		return nil, fmt.Errorf("reading the owner key: %w", err)
	}
	return []string{
		"PATH=" + s.path("bin") + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + s.path("home"), "LC_ALL=C",
		"FORGECROFT_API_URL=" + s.server.url, "FORGECROFT_API_KEY=" + strings.TrimSpace(string(key)),
	}, nil
}

// expand replaces {name} by what an earlier step kept under that name.
func (s *stage) expand(text string) string {
	for name, value := range s.vars {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// leak returns an error if a text that anybody may read holds a stored secret.
func (s *stage) leak(text []byte) error {
	for i, secret := range s.secrets {
		if bytes.Contains(text, []byte(secret)) {
			return fmt.Errorf("secret number %d was shown", i+1)
		}
	}
	return nil
}

// epilogue closes the story with what is true of all of it.
func (s *stage) epilogue() error {
	if err := s.server.stop(); err != nil {
		return err
	}
	if err := s.leak(s.server.log()); err != nil {
		return fmt.Errorf("the server's log: %w", err)
	}
	s.out.heading("The end", fmt.Sprintf(
		"Every step held, in %.0f seconds. No stored secret was in any output above, nor in the server's log.", time.Since(s.began).Seconds()))
	return nil
}

// close ends what runs and removes what was written.
func (s *stage) close() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.stop())
	}
	if s.clouds != nil {
		errs = append(errs, s.clouds.close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
