package openbao_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

// newTimedWorld starts a fake that lives in the time of a clock, as does the vault. It has the documented policy under the name forgecroft.
func newTimedWorld(t testing.TB) (*world, *clock) {
	t.Helper()
	c := newClock()
	fake := bao.New(c.Now, rootToken)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	fake.AddPolicy("", "forgecroft", documentedPolicy())
	return &world{fake: fake, server: server, options: openbao.Options{Address: server.URL, Keys: &keys{}, CacheBytes: 1, Clock: c.clock()}}, c
}

// file writes a file and returns its path.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	rewrite(t, path, content)
	return path
}

// rewrite replaces a file, as agents do.
func rewrite(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// wantWorks fails the test unless the vault does everything.
func wantWorks(t testing.TB, v *openbao.Vault) {
	t.Helper()
	ref := vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
	vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
	if err := v.Destroy(t.Context(), ref); err != nil {
		t.Errorf("Destroy: %v", err)
	}
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// logins makes the fake know somebody for each way to log in, whose tokens have a life.
func logins(t testing.TB, w *world, life bao.Life) map[string]openbao.Auth {
	t.Helper()
	w.fake.AddToken("", "s.EXAMPLEtoken", life, "forgecroft")
	w.fake.AddAppRole("", bao.AppRole{RoleID: "EXAMPLErole", SecretIDs: map[string]int{"EXAMPLEsecret": 0}, Policies: []string{"forgecroft"}, Life: life})
	w.fake.AddServiceAccount("", "forgecroft", "EXAMPLEjwt", "forgecroft", life)
	return map[string]openbao.Auth{
		"token":      openbao.Token(forgecroft.NewSecret("s.EXAMPLEtoken")),
		"token file": openbao.TokenFile(file(t, "s.EXAMPLEtoken")),
		"AppRole":    openbao.AppRole("", "EXAMPLErole", file(t, "EXAMPLEsecret")),
		"Kubernetes": openbao.Kubernetes("", "forgecroft", file(t, "EXAMPLEjwt")),
	}
}

func TestTokensAreRenewed(t *testing.T) {
	for _, name := range []string{"token", "token file", "AppRole", "Kubernetes"} {
		t.Run(name, func(t *testing.T) {
			w, c := newTimedWorld(t)
			w.options.Auth = logins(t, w, bao.Life{TTL: time.Minute})[name]
			v := mustOpen(t, w.options)
			w.fake.Forget()
			for range 20 {
				c.advance(t, 30*time.Second)
				wantWorks(t, v)
			}
			renewals := 0
			for _, call := range w.fake.Calls() {
				if call.Path == "auth/token/renew-self" {
					renewals++
				}
			}
			if renewals != 15 { // 10 minutes, one at each two thirds of a minute
				t.Errorf("%d renewals in 10 minutes of a token that lives a minute, want 15", renewals)
			}
		})
	}
}

func TestLoginsOutliveTheirTokens(t *testing.T) {
	for _, life := range []struct {
		name string
		life bao.Life
	}{
		{"which have a maximal life", bao.Life{TTL: time.Minute, Max: 90 * time.Second}},
		{"which cannot be renewed", bao.Life{TTL: time.Minute, NoRenew: true}},
	} {
		for _, name := range []string{"AppRole", "Kubernetes"} {
			t.Run(name+", "+life.name, func(t *testing.T) {
				w, c := newTimedWorld(t)
				w.options.Auth = logins(t, w, life.life)[name]
				v := mustOpen(t, w.options)
				for range 20 {
					c.advance(t, 30*time.Second)
					wantWorks(t, v)
				}
			})
		}
	}
}

// TestNotReadyBeforeTheTokenExpires lets tokens come to their end.
func TestNotReadyBeforeTheTokenExpires(t *testing.T) {
	for _, test := range []struct {
		name string
		life bao.Life
	}{
		{"which cannot be renewed", bao.Life{TTL: 100 * time.Second, NoRenew: true}},
		{"which has a maximal life", bao.Life{TTL: 100 * time.Second, Max: 100 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, c := newTimedWorld(t)
			w.options.Auth = logins(t, w, test.life)["token"]
			v := mustOpen(t, w.options)
			c.advance(t, 89*time.Second)
			wantWorks(t, v)
			c.advance(t, 2*time.Second)
			if err := v.Check(t.Context()); codeOf(err) != "vault_token_expiring" {
				t.Errorf("Check with 9 s left: got %v, want vault_token_expiring", err)
			}
			vaulttest.MustPut(t, v, vaulttest.Binding(), "EXAMPLE")
			c.advance(t, 10*time.Second)
			if err := v.Check(t.Context()); codeOf(err) != "vault_token_expired" {
				t.Errorf("Check after the end: got %v, want vault_token_expired", err)
			}
		})
	}
}

// TestRenewalIsTriedAgain seals the server while the token should be renewed.
func TestRenewalIsTriedAgain(t *testing.T) {
	w, c := newTimedWorld(t)
	w.options.Auth = logins(t, w, bao.Life{TTL: 100 * time.Second})["token"]
	v := mustOpen(t, w.options)
	c.advance(t, 60*time.Second)
	w.fake.SetState(bao.Sealed)
	c.advance(t, 32*time.Second)
	if err := v.Check(t.Context()); codeOf(err) != "vault_token_expiring" {
		t.Errorf("with 8 s left: got %v, want vault_token_expiring", err)
	}
	w.fake.SetState(bao.Active)
	c.advance(t, 5*time.Second)
	wantWorks(t, v)
	c.advance(t, time.Minute)
	wantWorks(t, v)
}

func TestTokenFileIsReadAgain(t *testing.T) {
	t.Run("when it changes", func(t *testing.T) {
		w, c := newTimedWorld(t)
		path := file(t, "s.EXAMPLEfirst")
		w.fake.AddToken("", "s.EXAMPLEfirst", bao.Life{}, "forgecroft")
		w.fake.AddToken("", "s.EXAMPLEsecond", bao.Life{}, "forgecroft")
		w.options.Auth = openbao.TokenFile(path)
		v := mustOpen(t, w.options)
		rewrite(t, path, "s.EXAMPLEsecond")
		c.advance(t, 11*time.Second)
		w.fake.Forget()
		w.fake.RevokeToken("s.EXAMPLEfirst")
		wantWorks(t, v)
		for _, call := range w.fake.Calls() {
			if call.Status == 403 {
				t.Errorf("the old token was still used: %v", call)
			}
		}
	})
	t.Run("when the token is refused", func(t *testing.T) {
		w, _ := newTimedWorld(t)
		path := file(t, "s.EXAMPLEfirst")
		w.fake.AddToken("", "s.EXAMPLEfirst", bao.Life{}, "forgecroft")
		w.fake.AddToken("", "s.EXAMPLEsecond", bao.Life{}, "forgecroft")
		w.options.Auth = openbao.TokenFile(path)
		v := mustOpen(t, w.options)
		rewrite(t, path, "s.EXAMPLEsecond")
		w.fake.RevokeToken("s.EXAMPLEfirst")
		wantWorks(t, v)
	})
}

// TestLoginsRecover takes the token away from a vault that can log in again. However many calls that hits, there is one login.
func TestLoginsRecover(t *testing.T) {
	w, _ := newTimedWorld(t)
	w.fake.AddAppRole("", bao.AppRole{RoleID: "EXAMPLErole", SecretIDs: map[string]int{"EXAMPLEsecret": 2}, Policies: []string{"forgecroft"}, Life: bao.Life{TTL: time.Hour}})
	w.options.Auth = openbao.AppRole("", "EXAMPLErole", file(t, "EXAMPLEsecret"))
	v := mustOpen(t, w.options)
	w.fake.RevokeTokens()
	done := make(chan error)
	for range 32 {
		go func() { done <- v.Put(t.Context(), vaulttest.NewReference(), vaulttest.Binding(), value) }()
	}
	for range 32 {
		if err := <-done; err != nil {
			t.Errorf("Put: %v", err)
		}
	}
	w.fake.RevokeTokens()
	if err := v.Check(t.Context()); codeOf(err) != "vault_login_refused" {
		t.Errorf("with a secret id that is used up: got %v, want vault_login_refused", err)
	}
}

// TestDeniedIsNoReasonToLogIn keeps a policy that denies from using the secret id up.
func TestDeniedIsNoReasonToLogIn(t *testing.T) {
	w, _ := newTimedWorld(t)
	w.fake.AddAppRole("", bao.AppRole{RoleID: "EXAMPLErole", SecretIDs: map[string]int{"EXAMPLEsecret": 1}, Policies: []string{"forgecroft"}, Life: bao.Life{TTL: time.Hour}})
	w.options.Auth = openbao.AppRole("", "EXAMPLErole", file(t, "EXAMPLEsecret"))
	v := mustOpen(t, w.options)
	w.fake.AddPolicy("", "forgecroft", bao.Policy{})
	for range 10 {
		if err := v.Check(t.Context()); codeOf(err) != "vault_denied" {
			t.Errorf("got %v, want vault_denied", err)
		}
	}
	w.fake.AddPolicy("", "forgecroft", documentedPolicy())
	wantWorks(t, v)
}

func TestCloseRevokesOwnTokens(t *testing.T) {
	for _, name := range []string{"token", "token file", "AppRole", "Kubernetes"} {
		t.Run(name, func(t *testing.T) {
			w, _ := newTimedWorld(t)
			w.options.Auth = logins(t, w, bao.Life{TTL: time.Hour})[name]
			before := w.fake.Tokens()
			v := mustOpen(t, w.options)
			mustClose(t, v)
			if got := w.fake.Tokens(); got != before {
				t.Errorf("%d tokens after Close, %d before Open; want the same", got, before)
			}
			if err := v.Check(t.Context()); codeOf(err) != "vault_closed" {
				t.Errorf("after Close: got %v, want vault_closed", err)
			}
		})
	}
}

func TestLoginsThatAreRefused(t *testing.T) {
	w, _ := newTimedWorld(t)
	logins(t, w, bao.Life{TTL: time.Hour})
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name string
		auth openbao.Auth
		code string
	}{
		{"token", openbao.Token(forgecroft.NewSecret("s.EXAMPLEwrong")), "vault_login_refused"},
		{"token file", openbao.TokenFile(file(t, "s.EXAMPLEwrong")), "vault_login_refused"},
		{"no token file", openbao.TokenFile(missing), ""},
		{"two tokens in the file", openbao.TokenFile(file(t, "s.EXAMPLE\ns.EXAMPLE")), ""},
		{"role id", openbao.AppRole("", "EXAMPLEwrong", file(t, "EXAMPLEsecret")), "vault_login_refused"},
		{"secret id", openbao.AppRole("", "EXAMPLErole", file(t, "EXAMPLEwrong")), "vault_login_refused"},
		{"no secret id", openbao.AppRole("", "EXAMPLErole", missing), ""},
		{"AppRole elsewhere", openbao.AppRole("elsewhere", "EXAMPLErole", file(t, "EXAMPLEsecret")), "vault_login_refused"},
		{"Kubernetes role", openbao.Kubernetes("", "wrong", file(t, "EXAMPLEjwt")), "vault_login_refused"},
		{"JWT", openbao.Kubernetes("", "forgecroft", file(t, "EXAMPLEwrong")), "vault_login_refused"},
		{"no service account", openbao.Kubernetes("", "forgecroft", missing), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := w.options
			o.Auth = test.auth
			v, err := openbao.Open(t.Context(), o)
			if err == nil {
				mustClose(t, v)
				t.Fatal("it was let in")
			}
			if codeOf(err) != test.code {
				t.Errorf("got %v, want code %q", err, test.code)
			}
		})
	}
}
