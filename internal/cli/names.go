package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/forgecroft/forgecroft/sdk"
)

// names turns ids into the names that people know. It reads lists, never objects by id: asking for
// an object that was deleted would leave a denial in the audit trail. What it cannot tell stays an
// id.
type names struct {
	ctx    context.Context
	client *sdk.Client
	known  map[string]map[string]string // kind → id → name
	mute   bool                         // the caller's role reads no lists
	asked  bool                         // mute is known
}

// namesOf makes an empty book of names.
func namesOf(ctx context.Context, client *sdk.Client) *names {
	return &names{ctx: ctx, client: client, known: map[string]map[string]string{}}
}

// The kinds of objects that have names, as the audit trail calls them.
const (
	kindProject   = "project"
	kindWorkspace = "workspace"
	kindConfig    = "credential_config"
	kindKey       = "api_key"
)

// of is the name of an object, or its id.
func (n *names) of(kind, id string) string {
	if id == "" {
		return ""
	}
	if n.known[kind] == nil {
		n.known[kind] = n.load(kind)
	}
	return first(n.known[kind][id], id)
}

// load reads all names of a kind.
func (n *names) load(kind string) map[string]string { // :: id → name
	found := map[string]string{}
	if n.silent() {
		return found
	}
	note := func(id, name string) { found[id] = name }
	switch kind {
	case kindProject:
		each(n, n.client.Projects, func(p sdk.Project) { note(p.ID, p.Name) })
	case kindWorkspace:
		each(n, n.client.Workspaces, func(w sdk.Workspace) { note(w.ID, w.Name) })
	case kindConfig:
		each(n, n.client.CredentialConfigs, func(c sdk.CredentialConfig) { note(c.ID, c.Name) })
	case kindKey:
		each(n, n.client.APIKeys, func(k sdk.APIKey) { note(k.ID, k.Name) })
	}
	return found
}

// silent reports whether the caller may not read lists: to try would leave denials in the trail.
func (n *names) silent() bool {
	if !n.asked {
		who, err := n.client.Whoami(n.ctx)
		n.mute, n.asked = err != nil || who.Role == "runner", true
	}
	return n.mute
}

// each calls a function with every object of a list. Names are a help: a failure leaves the ids.
func each[T any](n *names, page func(context.Context, sdk.ListOptions) (sdk.List[T], error), note func(T)) {
	items, err := all(n.ctx, sdk.ListOptions{}, 0, page)
	if err != nil {
		return
	}
	for _, item := range items {
		note(item)
	}
}

// scope is where something belongs: to the organization, or to a project or workspace by name.
func (n *names) scope(s sdk.KeyScope) string {
	switch {
	case s.WorkspaceID != "":
		return "workspace " + n.of(kindWorkspace, s.WorkspaceID)
	case s.ProjectID != "":
		return "project " + n.of(kindProject, s.ProjectID)
	default:
		return s.Kind
	}
}

// list is a list of ids as names.
func (n *names) list(kind string, ids []string) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = n.of(kind, id)
	}
	return list
}

// objectID is the id of the object of any kind that a name stands for.
func (n *names) objectID(name string) (string, error) {
	if name == "" || uuid.MatchString(name) {
		return name, nil
	}
	var matches []string
	id := ""
	for _, kind := range []string{kindProject, kindWorkspace, kindConfig, kindKey} {
		n.of(kind, name) // loads
		for candidate, known := range n.known[kind] {
			if known == name {
				id = candidate
				matches = append(matches, kind+" "+candidate)
			}
		}
	}
	return onlyMatch(name, id, matches)
}

// keyID is the id of the API key that a name stands for, a revoked one included.
func (n *names) keyID(name string) (string, error) {
	if name == "" || uuid.MatchString(name) {
		return name, nil
	}
	n.of(kindKey, name) // loads
	var matches []string
	id := ""
	for candidate, known := range n.known[kindKey] {
		if known == name {
			id = candidate
			matches = append(matches, candidate)
		}
	}
	return onlyMatch(name, id, matches)
}

// onlyMatch refuses a name that stands for nothing, or for several objects.
func onlyMatch(name, id string, matches []string) (string, error) {
	switch len(matches) {
	case 0:
		return "", &exitError{exitNotFound, fmt.Errorf("nothing is called %q; give the id of what was deleted", name)}
	case 1:
		return id, nil
	default:
		return "", usage("%q is the name of several objects; give an id: %s", name, strings.Join(matches, ", "))
	}
}
