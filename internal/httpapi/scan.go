package httpapi

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// scan refuses a text that is not exactly one JSON value as RFC 7493 (I-JSON) wants it: repeated members, invalid UTF-8, lone surrogates and
// trailing data are malformed, and so is what nests too deep or holds too many values. encoding/json accepts most of these, and two parsers that read one text
// differently are how checks are got around.
func scan(text []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	for values := 0; ; {
		token, err := d.ReadToken()
		switch {
		case err != nil:
			return malformed(err)
		case d.StackDepth() > MaxDepth:
			return forgecroft.Errorf(forgecroft.KindMalformed, "too_deep", "The JSON nests deeper than %d levels.", MaxDepth)
		}
		if isValue(d, token) {
			values++
		}
		if values > MaxMembers {
			return forgecroft.Errorf(forgecroft.KindMalformed, "too_many_members", "The JSON holds more than %d values.", MaxMembers)
		}
		if d.StackDepth() == 0 {
			return end(d)
		}
	}
}

// isValue reports whether the token that was just read begins a value: it neither ends one nor names a member.
func isValue(d *jsontext.Decoder, token jsontext.Token) bool {
	switch token.Kind() {
	case '}', ']':
		return false
	case '{', '[':
		return true
	}
	kind, length := d.StackIndex(d.StackDepth())
	return kind != '{' || length%2 == 0
}

// end refuses anything after the first value.
func end(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return forgecroft.Errorf(forgecroft.KindMalformed, "malformed_json", "Something follows the JSON value.")
	}
	return nil
}

// malformed says what is wrong without the parser's words, which may quote the text.
func malformed(err error) error {
	message := "The body is not valid JSON."
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF):
		message = "The body is empty; this operation takes JSON."
	case errors.Is(err, jsontext.ErrDuplicateName):
		message = "A JSON member stands there twice."
	case errors.As(err, &syntactic):
		return forgecroft.Errorf(forgecroft.KindMalformed, "malformed_json", "The body is not valid JSON (at byte %d).", syntactic.ByteOffset)
	}
	return forgecroft.Errorf(forgecroft.KindMalformed, "malformed_json", "%s", message)
}
