package forgecroft

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// redacted is what a [Secret] shows wherever it is printed, logged or marshalled.
const redacted = "[redacted]"

// Secret is a value that must not be seen. Every way of printing, logging or marshalling it yields "[redacted]";
// [Secret.Reveal] is the only way out, and internal/arch holds the list of its callers.
//
// The value lies behind a pointer, because fmt's %p and the printing of structs around a Secret reach unexported fields, but do not follow pointers.
type Secret struct{ value *string }

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the value itself; the zero Secret is empty.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Len is the length of the value in bytes.
func (s Secret) Len() int { return len(s.Reveal()) }

// IsZero reports whether the value is empty.
func (s Secret) IsZero() bool { return s.Len() == 0 }

// String implements [fmt.Stringer].
func (s Secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (s Secret) GoString() string { return redacted }

// Format implements [fmt.Formatter], so that no verb reaches the field.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], which JSON uses as well.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Values are the fields of one secret version, by field name.
type Values map[string]Secret

// Encode packs all values into one secret, the plaintext that a vault keeps. Names are sorted, so equal values encode equally.
func (v Values) Encode() Secret {
	plain := make(map[string]string, len(v))
	for name, value := range v {
		plain[name] = value.Reveal()
	}
	text, err := json.Marshal(plain)
	if err != nil { // A map of strings always marshals.
		panic(err)
	}
	return NewSecret(string(text))
}

// DecodeValues unpacks what [Values.Encode] packed.
func DecodeValues(packed Secret) (Values, error) {
	var plain map[string]string
	if err := json.Unmarshal([]byte(packed.Reveal()), &plain); err != nil {
		// The decoder's own text may quote the input, so it is dropped.
		return nil, &Error{Kind: KindIntegrity, Code: "secret_unreadable", Message: "The stored secret version is not readable."}
	}
	values := make(Values, len(plain))
	for name, value := range plain {
		values[name] = NewSecret(value)
	}
	return values, nil
}

// Size is the number of bytes that all names and values take.
func (v Values) Size() int {
	size := 0
	for name, value := range v {
		size += len(name) + value.Len()
	}
	return size
}
