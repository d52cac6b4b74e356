package bao

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keptVersions is how many versions an engine keeps of an entry that says nothing else.
const keptVersions = 10

// readData answers with a version, the newest if none is named. What was deleted or destroyed is 404, but tells that it was there.
func (s *Server) readData(x *exchange, e *engine, path string) reply {
	found := e.entries[path]
	if found == nil {
		return nothing()
	}
	number := found.current
	if asked, err := strconv.Atoi(x.request.URL.Query().Get("version")); err == nil && asked > 0 {
		number = asked
	}
	v := found.versions[number]
	if v == nil {
		return nothing()
	}
	result := map[string]any{"data": nil, "metadata": v.describe(number)}
	if v.destroyed || v.gone(s.now()) {
		return s.success(http.StatusNotFound, result)
	}
	result["data"] = v.data
	return s.success(http.StatusOK, result)
}

// gone reports whether a version is deleted at a moment.
func (v *version) gone(now time.Time) bool { return !v.deleted.IsZero() && !now.Before(v.deleted) }

// describe is the metadata of a version that comes with its data.
func (v *version) describe(number int) map[string]any {
	return map[string]any{
		"created_time": stamp(v.created), "custom_metadata": nil, "deletion_time": stamp(v.deleted), "destroyed": v.destroyed, "version": number,
	}
}

// writeData adds a version, if the one that the caller counts on is the newest.
func (s *Server) writeData(x *exchange, e *engine, path string) reply {
	var in struct {
		Options struct {
			CAS *int `json:"cas"`
		} `json:"options"`
		Data json.RawMessage `json:"data"`
	}
	if refusal := x.body(&in); refusal.status != 0 {
		return refusal
	}
	found := e.entries[path]
	current := 0
	if found != nil {
		current = found.current
	}
	switch {
	case in.Data == nil || in.Data[0] != '{':
		return failure(http.StatusBadRequest, "no data provided")
	case in.Options.CAS != nil && *in.Options.CAS != current:
		return failure(http.StatusBadRequest, "check-and-set parameter did not match the current version")
	case len(in.Data) > maxEntry:
		return failure(http.StatusInternalServerError, "1 error occurred:\n\t* put failed due to value being too large\n\n")
	}
	now := s.now()
	if found == nil {
		found = &entry{created: now, versions: map[int]*version{}}
		e.entries[path] = found
	}
	found.add(in.Data, now)
	return s.success(http.StatusOK, found.versions[found.current].describe(found.current))
}

// add makes a version the newest, and lets go of the oldest ones.
func (e *entry) add(data json.RawMessage, now time.Time) {
	e.current++
	e.updated = now
	e.versions[e.current] = &version{data: data, created: now}
	kept := e.maxVersions
	if kept == 0 {
		kept = keptVersions
	}
	maps.DeleteFunc(e.versions, func(number int, _ *version) bool { return number <= e.current-kept })
}

// softDelete marks versions, the newest if none is named, as deleted. Their data stays.
func (e *engine) softDelete(path string, numbers []int, now time.Time) {
	found := e.entries[path]
	if found == nil {
		return
	}
	if numbers == nil {
		numbers = []int{found.current}
	}
	for _, number := range numbers {
		if v := found.versions[number]; v != nil && v.deleted.IsZero() {
			v.deleted = now
		}
	}
}

// changeVersions deletes, undeletes or destroys versions. Under a path that holds nothing it does nothing.
func (s *Server) changeVersions(x *exchange, e *engine, what, path string) reply {
	var in struct {
		Versions []int `json:"versions"`
	}
	if refusal := x.body(&in); refusal.status != 0 {
		return refusal
	}
	if len(in.Versions) == 0 {
		return failure(http.StatusBadRequest, "no version number provided")
	}
	found := e.entries[path]
	if what == "delete" {
		e.softDelete(path, in.Versions, s.now())
		return done()
	}
	for _, number := range in.Versions {
		if found == nil || found.versions[number] == nil {
			continue
		}
		if v := found.versions[number]; what == "destroy" {
			v.data, v.destroyed = nil, true
		} else if !v.destroyed {
			v.deleted = time.Time{}
		}
	}
	return done()
}

// readMetadata tells about an entry and its versions.
func (s *Server) readMetadata(e *engine, path string) reply {
	found := e.entries[path]
	if found == nil {
		return nothing()
	}
	versions := map[string]any{}
	oldest := 0
	for number, v := range found.versions {
		versions[strconv.Itoa(number)] = map[string]any{"created_time": stamp(v.created), "deletion_time": stamp(v.deleted), "destroyed": v.destroyed}
		if oldest == 0 || number < oldest {
			oldest = number
		}
	}
	if oldest == 1 {
		oldest = 0 // as the real one counts while nothing was let go of
	}
	return s.success(http.StatusOK, map[string]any{
		"cas_required": false, "created_time": stamp(found.created), "current_version": found.current, "custom_metadata": nil, "delete_version_after": "0s",
		"max_versions": found.maxVersions, "oldest_version": oldest, "updated_time": stamp(found.updated), "versions": versions,
	})
}

// writeMetadata sets how many versions an entry keeps. It makes the entry if there is none.
func (s *Server) writeMetadata(x *exchange, e *engine, path string) reply {
	var in struct {
		MaxVersions *int `json:"max_versions"`
	}
	if refusal := x.body(&in); refusal.status != 0 {
		return refusal
	}
	found := e.entries[path]
	if found == nil {
		found = &entry{created: s.now(), updated: s.now(), versions: map[int]*version{}}
		e.entries[path] = found
	}
	if in.MaxVersions != nil {
		found.maxVersions = *in.MaxVersions
	}
	return done()
}

// list names what is directly below a path, folders with a slash, in ascending order: up to limit names after a given one.
func (s *Server) list(x *exchange, e *engine, path string) reply {
	folder := strings.TrimSuffix(path, "/")
	if folder != "" {
		folder += "/"
	}
	after := x.request.URL.Query().Get("after")
	limit, err := strconv.Atoi(x.request.URL.Query().Get("limit"))
	if err != nil || limit < 1 || s.plainLists {
		limit = -1
	}
	if s.plainLists {
		after = ""
	}
	names := map[string]bool{} // name → is there
	for key := range e.entries {
		if below, found := strings.CutPrefix(key, folder); found {
			name, _, isFolder := strings.Cut(below, "/")
			if isFolder {
				name += "/"
			}
			names[name] = true
		}
	}
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool { return name <= after })
	if limit > 0 && len(keys) > limit {
		keys = keys[:limit]
	}
	if len(keys) == 0 {
		return nothing()
	}
	return s.success(http.StatusOK, map[string]any{"keys": keys})
}
