//go:build unix

package crash_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// model is what the client knows: what was acknowledged, and the one act that may or may not have happened.
type model struct {
	random  *rand.Rand
	serial  int
	project string
	configs []*config
	keys    []*key
	// delivered are the ids of all deliveries that were answered.
	delivered []string
	// doubt repeats the act that got no answer, with the same Idempotency-Key, and settles the model. nil: no doubt.
	doubt func(t *testing.T, p *process)
}

// config is a credential config with a workspace of its own.
type config struct {
	id, workspace string
	name          string
	value         string // of the acknowledged secret version; empty: none
	attached      bool
	deleted       bool
}

// key is an API key.
type key struct {
	id, raw string
	revoked bool
}

// next is a name or value that was not used before.
func (m *model) next(prefix string) string {
	m.serial++
	return fmt.Sprintf("%s-%d", prefix, m.serial)
}

// live returns a random config that is not deleted, or nil.
func (m *model) live() *config {
	var live []*config
	for _, c := range m.configs {
		if !c.deleted {
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[m.random.IntN(len(live))]
}

// act does one random act. It returns errDied when the server died over it, and leaves the doubt.
func (m *model) act(t *testing.T, p *process) error {
	t.Helper()
	c := m.live()
	switch n := m.random.IntN(20); {
	case c == nil || n < 4:
		return m.create(t, p)
	case n < 9:
		return m.store(t, p, c)
	case n < 11:
		return m.attach(t, p, c)
	case n < 15:
		return m.deliver(t, p, c)
	case n < 17:
		return m.remove(t, p, c)
	case n < 18:
		return m.addKey(t, p)
	case n < 19:
		return m.revoke(t, p)
	default:
		return m.rotate(t, p)
	}
}

// settle does an act that is the same when repeated, and keeps it as the doubt if the server dies over it.
func (m *model) settle(t *testing.T, p *process, act func(t *testing.T, p *process) error) error {
	t.Helper()
	err := act(t, p)
	if err != nil {
		m.doubt = func(t *testing.T, p *process) {
			t.Helper()
			if err := act(t, p); err != nil {
				t.Fatalf("repeating the act in doubt: %v\n%s", err, p.output.String())
			}
		}
	}
	return err
}

// create makes a config, and a workspace for it.
func (m *model) create(t *testing.T, p *process) error {
	t.Helper()
	c := &config{name: m.next("config")}
	return m.settle(t, p, func(t *testing.T, p *process) error {
		var made struct{ ID string }
		if err := p.call(t, 201, "POST", "/credential-configs", "create-"+c.name, map[string]any{"name": c.name, "credential_type": "generic_env", "project_id": m.project}, &made); err != nil {
			return err
		}
		c.id = made.ID
		if err := p.call(t, 201, "POST", "/workspaces", "workspace-"+c.name, map[string]any{"name": c.name, "project_id": m.project, "credential_config_ids": []string{c.id}}, &made); err != nil {
			return err
		}
		c.workspace, c.attached = made.ID, true
		m.configs = append(m.configs, c)
		return nil
	})
}

// store gives a config new secrets.
func (m *model) store(t *testing.T, p *process, c *config) error {
	t.Helper()
	value := m.next("secret-EXAMPLE")
	return m.settle(t, p, func(t *testing.T, p *process) error {
		// Both halves hold the same, to see a torn version.
		err := p.call(t, 201, "POST", "/credential-configs/"+c.id+"/secrets", "store-"+value, map[string]any{"data": map[string]string{"FIRST": value, "SECOND": value}}, nil)
		if err == nil {
			c.value = value
		}
		return err
	})
}

// attach attaches or detaches a config.
func (m *model) attach(t *testing.T, p *process, c *config) error {
	t.Helper()
	ids := []string{}
	if !c.attached {
		ids = append(ids, c.id)
	}
	return m.settle(t, p, func(t *testing.T, p *process) error {
		err := p.call(t, 200, "PATCH", "/workspaces/"+c.workspace, "", map[string]any{"credential_config_ids": ids}, nil)
		if err == nil {
			c.attached = len(ids) == 1
		}
		return err
	})
}

// deliver takes a config's environment and compares it.
func (m *model) deliver(t *testing.T, p *process, c *config) error {
	t.Helper()
	if c.attached && c.value == "" {
		return p.call(t, 422, "POST", "/workspaces/"+c.workspace+"/environment", "", nil, nil)
	}
	var got struct {
		Env        map[string]string `json:"env"`
		DeliveryID string            `json:"delivery_id"`
	}
	if err := p.call(t, 200, "POST", "/workspaces/"+c.workspace+"/environment", "", nil, &got); err != nil {
		return err
	}
	m.delivered = append(m.delivered, got.DeliveryID)
	want := ""
	if c.attached {
		want = c.value
	}
	if got.Env["FIRST"] != want || got.Env["SECOND"] != want {
		t.Fatalf("config %s delivered %v, want %q twice", c.name, got.Env, want)
	}
	return nil
}

// remove deletes a config, after its workspace.
func (m *model) remove(t *testing.T, p *process, c *config) error {
	t.Helper()
	gone := func(p *process, path string, repeated bool) error {
		if repeated { // The first try may have done it.
			return p.callAny(t, []int{204, 404}, "DELETE", path)
		}
		return p.call(t, 204, "DELETE", path, "", nil, nil)
	}
	repeated := false
	return m.settle(t, p, func(t *testing.T, p *process) error {
		again := repeated
		repeated = true
		if err := gone(p, "/workspaces/"+c.workspace, again); err != nil {
			return err
		}
		if err := gone(p, "/credential-configs/"+c.id, again); err != nil {
			return err
		}
		c.deleted = true
		return nil
	})
}

// addKey makes an API key. Without an answer the key is lost, which is no doubt about anything acknowledged.
func (m *model) addKey(t *testing.T, p *process) error {
	t.Helper()
	var made struct{ ID, Key string }
	if err := p.call(t, 201, "POST", "/api-keys", "", map[string]any{"name": m.next("key"), "role": "reader"}, &made); err != nil {
		return err
	}
	m.keys = append(m.keys, &key{id: made.ID, raw: made.Key})
	return nil
}

// revoke revokes a key.
func (m *model) revoke(t *testing.T, p *process) error {
	t.Helper()
	for _, k := range m.keys {
		if k.revoked {
			continue
		}
		repeated := false
		return m.settle(t, p, func(t *testing.T, p *process) error {
			statuses := []int{204}
			if repeated {
				statuses = append(statuses, 404)
			}
			repeated = true
			err := p.callAny(t, statuses, "DELETE", "/api-keys/"+k.id)
			k.revoked = err == nil
			return err
		})
	}
	return nil
}

// rotate gives the vault a new primary key.
func (m *model) rotate(t *testing.T, p *process) error {
	t.Helper()
	return p.call(t, 202, "POST", "/vault/keys/rotation", "", nil, nil)
}

// callAny is call for an act whose repetition may be answered differently.
func (p *process) callAny(t *testing.T, wants []int, method, path string) error {
	t.Helper()
	status, err := p.status(t, p.key, method, path)
	if err != nil {
		return err
	}
	for _, want := range wants {
		if status == want {
			return nil
		}
	}
	t.Fatalf("%s %s: got %d, want one of %v", method, path, status, wants)
	return nil
}

// check compares the server with the model: everything acknowledged is there and equal, everything deleted is gone.
func (m *model) check(t *testing.T, p *process) {
	t.Helper()
	if m.doubt != nil {
		m.doubt(t, p)
		m.doubt = nil
	}
	for _, c := range m.configs {
		want := 200
		if c.deleted {
			want = 404
		}
		if err := p.call(t, want, "GET", "/credential-configs/"+c.id, "", nil, nil); err != nil {
			t.Fatal(err)
		}
		if !c.deleted {
			if err := m.deliver(t, p, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, k := range m.keys {
		want := 200
		if k.revoked {
			want = 401
		}
		if err := p.callAs(t, k.raw, want, "GET", "/whoami", "", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	m.checkDeliveries(t, p)
}

// checkDeliveries looks for the audit event of every delivery that was answered.
func (m *model) checkDeliveries(t *testing.T, p *process) {
	t.Helper()
	recorded := map[string]bool{} // delivery id → is in the trail
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				Details struct {
					DeliveryID string `json:"delivery_id"`
				}
			}
			NextCursor *string `json:"next_cursor"`
		}
		if err := p.call(t, 200, "GET", "/audit-events?limit=200&action=environment.deliver"+cursor, "", nil, &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			recorded[e.Details.DeliveryID] = true
		}
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	for _, id := range m.delivered {
		if !recorded[id] {
			t.Fatalf("delivery %s was answered, but is not in the audit trail", id)
		}
	}
}
