package runner

import (
	"fmt"
	"os"
	"strings"
)

// startTime is when a process started, in ticks since the machine did (proc(5), field 22 of stat).
// It tells a process from a later one with the same number. Empty: no such process can be seen.
func startTime(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	end := strings.LastIndexByte(string(text), ')') // A program's name may contain anything, also ") ".
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}
