package console

import (
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// rivals are the values of a form's fields as they are stored now, by the name of the field.
type rivals map[string]string

// editAgain answers a form that could not be saved. If somebody else was faster, it says at each field what they have put there; if that is just what the form holds, such as after a second click,
// nothing is left to do.
func (v *visit) editAgain(err error, object string, theirs rivals, form func() (Page, error)) (answer, error) {
	stale := errors.Is(err, forgecroft.KindStale)
	if stale && theirs.same(v) {
		return to(object, "saved")
	}
	return v.again(err, func() (Page, error) {
		p, err := form()
		if view, ok := p.View.(FormView); ok && stale {
			theirs.mark(view.Fields)
		}
		return p, err
	})
}

// same reports whether the form holds what is stored.
func (r rivals) same(v *visit) bool {
	for name, value := range r {
		if v.line(name) != value {
			return false
		}
	}
	return true
}

// mark says at each field that differs what is stored.
func (r rivals) mark(fields []Field) {
	for i, f := range fields {
		value, known := r[f.Name]
		if !known || value == f.chosen() {
			continue
		}
		fields[i].Error = fmt.Sprintf("It is %q now. Saving again puts yours in its place.", f.reads(value))
	}
}

// chosen is the value that a field holds.
func (f Field) chosen() string {
	for _, o := range f.Options {
		if o.Chosen {
			return o.Value
		}
	}
	return f.Value
}

// reads is how a value of the field reads: a choice by its label.
func (f Field) reads(value string) string {
	for _, o := range f.Options {
		if o.Value == value {
			return o.Label
		}
	}
	return value
}
