package forgecroft

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
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

// Equal reports whether two secrets are the same, in a time that tells nothing but their lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

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

// packedFormat begins what [Values.Encode] packs.
const packedFormat = "fcv1"

// Encode packs all values into one secret, the plaintext that a vault keeps: the format's name, the number of values, then
// name and value of each, sorted by name, every length as a varint before its bytes. Equal values encode equally. It is
// no JSON because every delivery decodes it.
func (v Values) Encode() Secret {
	packed := binary.AppendUvarint([]byte(packedFormat), uint64(len(v)))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		for _, text := range [2]string{name, v[name].Reveal()} {
			packed = binary.AppendUvarint(packed, uint64(len(text)))
			packed = append(packed, text...)
		}
	}
	return NewSecret(string(packed))
}

// DecodeValues unpacks what [Values.Encode] packed, whole or not at all.
func DecodeValues(packed Secret) (Values, error) {
	rest, found := strings.CutPrefix(packed.Reveal(), packedFormat)
	count, rest, ok := cutUvarint(rest)
	if !found || !ok || count > uint64(len(rest)) {
		return nil, errUnreadable
	}
	values := make(Values, count)
	for range count {
		var name, value string
		if name, rest, ok = cutText(rest); !ok {
			return nil, errUnreadable
		}
		if value, rest, ok = cutText(rest); !ok {
			return nil, errUnreadable
		}
		values[name] = NewSecret(value)
	}
	if rest != "" || uint64(len(values)) != count {
		return nil, errUnreadable
	}
	return values, nil
}

// errUnreadable says that a packed secret is none.
var errUnreadable = Errorf(KindIntegrity, "secret_unreadable", "The stored secret version is not readable.")

// cutUvarint reads a varint off the front.
func cutUvarint(text string) (n uint64, rest string, ok bool) {
	for i := range min(len(text), binary.MaxVarintLen64) {
		n |= uint64(text[i]&0x7f) << (7 * i)
		if text[i] < 0x80 {
			return n, text[i+1:], true
		}
	}
	return 0, "", false
}

// cutText reads a text with its length off the front.
func cutText(text string) (value, rest string, ok bool) {
	n, rest, ok := cutUvarint(text)
	if !ok || n > uint64(len(rest)) {
		return "", "", false
	}
	return rest[:n], rest[n:], true
}

// Size is the number of bytes that all names and values take.
func (v Values) Size() int {
	size := 0
	for name, value := range v {
		size += len(name) + value.Len()
	}
	return size
}
