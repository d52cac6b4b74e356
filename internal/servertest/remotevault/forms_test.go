package remotevault_test

import (
	"encoding/base64"
	"encoding/hex"
)

// forms are the shapes in which a text may hide in a document: as it is, in hexadecimal, and in base64 of base64 at each offset, without what depends on
// what stands around it.
func forms(text string) [][]byte {
	all := [][]byte{[]byte(text), []byte(hex.EncodeToString([]byte(text)))}
	for _, once := range encoded([]byte(text)) {
		all = append(all, once)
		all = append(all, encoded(once)...)
	}
	return all
}

// encoded is a text in base64, at each of the three offsets.
func encoded(text []byte) [][]byte {
	var all [][]byte
	for offset := range 3 {
		whole := base64.StdEncoding.EncodeToString(append(make([]byte, offset), text...))
		all = append(all, []byte(whole[(offset*8+5)/6:len(whole)-4]))
	}
	return all
}
