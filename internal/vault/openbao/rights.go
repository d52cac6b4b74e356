package openbao

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// rightsTerm is how long an answer about the policy is believed.
const rightsTerm = 30 * time.Second

// rights are what the policy must allow below the mount; docs/operations.md has the policy.
func (v *Vault) rights() map[string][]string { // :: path → capabilities
	needed := map[string][]string{
		v.mount + "/data/" + v.prefix + "/secrets/x":     {"create", "read", "update"},
		v.mount + "/metadata/" + v.prefix + "/secrets/x": {"read", "delete"},
		v.mount + "/metadata/" + v.prefix + "/secrets/":  {"list"},
	}
	if v.ring != nil {
		needed[v.mount+"/destroy/"+v.prefix+"/secrets/x"] = []string{"update"}
	}
	return needed
}

// checkRights finds out whether the policy still allows all that the server needs: reading goes on when the right to write is lost, so
// that only the next store would tell. A server that does not answer about rights (its default policy was taken away) is
// believed to give them.
func (v *Vault) checkRights(ctx context.Context) error {
	if last := v.righted.Load(); last != nil && v.now().Sub(*last) < rightsTerm {
		return nil
	}
	needed := v.rights()
	paths := make([]string, 0, len(needed))
	for path := range needed {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	a, err := v.client.once(ctx, v.session.current().token, request{method: http.MethodPost, path: "sys/capabilities-self", body: map[string]any{"paths": paths}})
	if err != nil || !a.ok() {
		return nil // Whatever is wrong, other calls tell it better.
	}
	var given map[string][]string
	if decodeLists(a.data, &given) != nil {
		return nil
	}
	for _, path := range paths {
		has, told := given[path]
		if !told || slices.Contains(has, "root") {
			continue
		}
		for _, capability := range needed[path] {
			if !slices.Contains(has, capability) {
				return unavailable("vault_denied", "The vault's policy does not allow what the server needs: it lacks "+capability+" on "+strings.TrimSuffix(path, "x")+".",
					fmt.Errorf("the policy gives %q there", has))
			}
		}
	}
	now := v.now()
	v.righted.Store(&now)
	return nil
}

// decodeLists reads the lists of an object, and passes other members over.
func decodeLists(data []byte, into *map[string][]string) error {
	var members map[string]any
	if err := decode(data, &members); err != nil {
		return err
	}
	*into = map[string][]string{}
	for name, value := range members {
		items, is := value.([]any)
		if !is {
			continue
		}
		list := []string{}
		for _, item := range items {
			list = append(list, fmt.Sprint(item))
		}
		(*into)[name] = list
	}
	return nil
}
