package console

import (
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Page is everything that one page shows. It is all a template sees.
type Page struct {
	Title   string
	Section string // the entry of the navigation that it belongs to
	Viewer  *Viewer
	Notice  string   // what was just done; empty: nothing
	Problem *Problem // what stands in the way
	Version string   // of the server
	Once    string   // makes a form that is sent twice count once
	Now     time.Time
	View    any // one of the view structs
}

// Viewer is who sees a page, and what it may offer them.
type Viewer struct {
	KeyName, Role, Scope       string
	Reads, Writes, Keys, Audit bool
	Creates                    bool // credentials and workspaces, somewhere
}

// Problem is a failure in words: what, why, and which fields.
type Problem struct {
	Title   string
	Detail  string
	Fields  []forgecroft.FieldError
	Related []Link
}

// Of returns what is wrong with one field, or "".
func (p *Problem) Of(field string) string {
	if p == nil {
		return ""
	}
	for _, f := range p.Fields {
		if f.Field == field {
			return f.Message
		}
	}
	return ""
}

// Link is a named object with where it is.
type Link struct{ Name, Href, Kind string }

// linkTo leads to an object.
func linkTo(r forgecroft.Related) Link {
	area := map[string]string{"workspace": "workspaces", "credential_config": "credentials", "project": "projects", "api_key": "keys"}[r.Type]
	link := Link{Name: r.Name, Kind: strings.ReplaceAll(r.Type, "_", " ")}
	if area == "keys" {
		link.Href = Root + area
	} else if area != "" {
		link.Href = Root + area + "/" + r.ID
	}
	return link
}

// linksTo leads to objects.
func linksTo(related []forgecroft.Related) []Link {
	links := make([]Link, len(related))
	for i, r := range related {
		links[i] = linkTo(r)
	}
	return links
}

// Badge is a state in a word, with a colour and a sign, so that colour is never alone.
type Badge struct {
	Tone string // good, bad, warn or plain
	Text string
	Hint string // on hover; empty: none
}

// Field is one input of a form.
type Field struct {
	Name, Label, Help string
	Value             string // never a secret
	Error             string
	Kind              string // text, textarea, secret, secret-lines, select or number
	Placeholder       string
	Required          bool
	Options           []Option
}

// Option is one choice of a select.
type Option struct {
	Value, Label string
	Chosen       bool
}

// options makes the choices of a select from values that are their own labels.
func options(chosen string, values ...string) []Option {
	made := make([]Option, len(values))
	for i, value := range values {
		made[i] = Option{value, value, value == chosen}
	}
	return made
}

// Danger is the question before something that cannot be undone.
type Danger struct {
	Act      string // the button: Delete credential config
	Name     string // what is to be typed
	Warning  string // what will happen
	Breaks   []Link // what would stop working
	Used     bool   // of something that is used and not attached: it was,
	LastUse  time.Time
	Blocked  bool   // those must go first
	Detach   string // the ids of the workspaces that it is detached from first, joined with commas
	Confirm  bool   // the API key is asked for as well
	Again    string // instead: where to prove once more at the identity provider who one is
	Cancel   string // where to if not
	Revision int64
	Was      string // what is replaced, where that is no revision: sent twice, it is done once
}

func (Danger) template() string { return "danger" }
