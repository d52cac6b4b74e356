package broker

import (
	"encoding/base64"
	"errors"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// encodeKey makes text of key bytes, because vault values are text.
func encodeKey(key []byte) forgecroft.Secret {
	return forgecroft.NewSecret(base64.StdEncoding.EncodeToString(key))
}

// decodeKey turns the text back into the bytes of a 32-byte key.
func decodeKey(text forgecroft.Secret) (forgecroft.Secret, error) {
	key, err := base64.StdEncoding.DecodeString(text.Reveal())
	if err != nil || len(key) != 32 {
		return forgecroft.Secret{}, errors.New("an instance key in the vault is not 32 bytes of base64")
	}
	return forgecroft.NewSecret(string(key)), nil
}
