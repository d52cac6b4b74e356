package forgecroft

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of display text, in bytes of UTF-8.
const (
	MaxName        = 256
	MaxDescription = 2048
)

// checkName validates the name of a project, workspace, credential config or API key.
func checkName(field, name string) []FieldError {
	if name == "" {
		return []FieldError{{field, "required", "A name is required."}}
	}
	if len(name) > MaxName {
		return []FieldError{{field, "too_long", fmt.Sprintf("A name has at most %d bytes.", MaxName)}}
	}
	if ValidID(strings.ToLower(name)) {
		return []FieldError{{field, "id_as_name", "A name must not have the form of an id: where either may be given, it would be taken for one."}}
	}
	return checkText(field, name, false)
}

// checkDescription validates free text of several lines.
func checkDescription(field, text string) []FieldError {
	if len(text) > MaxDescription {
		return []FieldError{{field, "too_long", fmt.Sprintf("A description has at most %d bytes.", MaxDescription)}}
	}
	return checkText(field, text, true)
}

// checkText refuses what a terminal, a log or a browser could show as something else than it is: control and format
// characters (bidirectional overrides, zero-width ones), and white space at the ends.
func checkText(field, text string, multiline bool) []FieldError {
	if !utf8.ValidString(text) {
		return []FieldError{{field, "invalid_utf8", "Text must be valid UTF-8."}}
	}
	for _, r := range text {
		if multiline && (r == '\n' || r == '\t') {
			continue
		}
		if Invisible(r) {
			return []FieldError{{field, "invalid_character", "Text must not contain control, invisible or direction-changing characters."}}
		}
	}
	if first, _ := utf8.DecodeRuneInString(text); unicode.IsSpace(first) {
		return []FieldError{{field, "invalid_whitespace", "Text must not begin with white space."}}
	}
	if last, _ := utf8.DecodeLastRuneInString(text); unicode.IsSpace(last) {
		return []FieldError{{field, "invalid_whitespace", "Text must not end with white space."}}
	}
	return nil
}

// brailleBlank is drawn as nothing, but is a symbol to Unicode.
const brailleBlank = '\u2800'

// Invisible reports whether people cannot see a character, or see something else because of it: control and format characters,
// line and paragraph separators, and those that are ignored in display (Unicode's Default_Ignorable_Code_Point).
func Invisible(r rune) bool {
	return !unicode.IsGraphic(r) || r == brailleBlank ||
		unicode.In(r, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// ValidID reports whether id is a UUID in canonical lower-case form (RFC 9562 section 4). It is checked before any id
// reaches a database or a vault.
func ValidID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
