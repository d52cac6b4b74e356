package cli

import (
	"fmt"
	"os"
)

// hideKeys takes the vault's keys out of the environment. Windows shows the environment as it is
// now, so that is enough; the settings have the keys already.
func hideKeys(string) error {
	if err := os.Unsetenv("FORGECROFT_KEY"); err != nil {
		return fmt.Errorf("taking the keys out of the environment: %w", err)
	}
	return nil
}
