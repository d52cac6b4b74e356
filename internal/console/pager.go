package console

import (
	"net/url"
	"slices"
	"strings"
)

// maxBack is how many earlier pages an address leads back to.
const maxBack = 20

// older is the address of the next page of a list.
func older(v *visit, cursor string) string { return olderAt(v, v.URL.Path, cursor) }

// olderAt is the address of the next page of the list at a path. It keeps where the earlier pages begin: a cursor leads in one direction only.
func olderAt(v *visit, path, cursor string) string {
	if cursor == "" {
		return ""
	}
	query := v.URL.Query()
	back := append(backOf(query), query.Get("after"))
	query.Set("back", strings.Join(back[max(0, len(back)-maxBack):], ","))
	query.Set("after", cursor)
	return (&url.URL{Path: path, RawQuery: query.Encode()}).String()
}

// newer is the address of the page before, or "" on the first page.
func newer(v *visit) string { return newerAt(v, v.URL.Path) }

// newerAt is the address of the page before in the list at a path. Where the address does not know it, that is the first page.
func newerAt(v *visit, path string) string {
	query := v.URL.Query()
	if query.Get("after") == "" {
		return ""
	}
	back := backOf(query)
	query.Del("after")
	query.Del("back")
	if len(back) > 0 {
		if last := back[len(back)-1]; last != "" {
			query.Set("after", last)
		}
		if earlier := slices.Clone(back[:len(back)-1]); len(earlier) > 0 {
			query.Set("back", strings.Join(earlier, ","))
		}
	}
	return (&url.URL{Path: path, RawQuery: query.Encode()}).String()
}

// backOf are the cursors of the earlier pages, the first page's being empty.
func backOf(query url.Values) []string {
	if !query.Has("back") {
		return nil
	}
	return strings.Split(query.Get("back"), ",")
}
