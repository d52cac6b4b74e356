package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/forgecroft/forgecroft/internal/store"
)

// encodeRow writes the values of a row as a line of an archive. Equal rows are equal lines, whichever database they come from.
func encodeRow(values []any) ([]byte, error) {
	for _, v := range values {
		if text, is := v.(string); is && !utf8.ValidString(text) {
			return nil, errors.New("a text is not valid UTF-8: the database is damaged")
		}
	}
	line, err := json.Marshal(values) // Bytes become base64.
	if err != nil {
		return nil, fmt.Errorf("encoding a row: %w", err)
	}
	return append(line, '\n'), nil
}

// decodeRow reads a line.
func decodeRow(line []byte, columns []store.Column) ([]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var values []any
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("reading a row: %w", err)
	}
	if len(values) != len(columns) {
		return nil, fmt.Errorf("a row has %d values, not %d", len(values), len(columns))
	}
	for i, c := range columns {
		value, err := decodeValue(values[i], c.Kind)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		values[i] = value
	}
	return values, nil
}

// decodeValue turns a value of JSON into one of the column's kind.
func decodeValue(value any, kind store.ColumnKind) (any, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		switch kind {
		case store.Text:
			return v, nil
		case store.Blob:
			return base64.StdEncoding.Strict().DecodeString(v)
		}
	case json.Number:
		if kind == store.Integer {
			return v.Int64()
		}
	}
	return nil, fmt.Errorf("a %T is no %s", value, kind)
}

// digest sums up a set of rows whatever their order, because databases sort texts differently: the sum, modulo 2^256, of the SHA-256 of every line. It
// compares what we read with what we wrote; it is no defence against somebody who chooses the rows.
type digest [4]uint64

// add puts one line in.
func (d *digest) add(line []byte) {
	sum := sha256.Sum256(line)
	carry := uint64(0)
	for i := range d {
		d[i], carry = bits.Add64(d[i], binary.LittleEndian.Uint64(sum[8*i:]), carry)
	}
}

// bytes is the digest as it is written.
func (d *digest) bytes() []byte {
	var text []byte
	for _, word := range d {
		text = binary.LittleEndian.AppendUint64(text, word)
	}
	return text
}
