package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// printJSON prints a value as the API would, indented.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.Out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// safe shows text of the server or a user without what a terminal would act on.
func safe(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsGraphic(r) {
			return r
		}
		return '�'
	}, text)
}

// printTable prints rows under headings, for people.
func (a *app) printTable(headings []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.Out, "none")
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(headings, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.ReplaceAll(safe(cell), "\n", " ")
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// printFields prints an object, one member a line. Members without a value are left out.
func (a *app) printFields(pairs ...string) error {
	w := tabwriter.NewWriter(a.Out, 0, 4, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", pairs[i], strings.ReplaceAll(safe(pairs[i+1]), "\n", "\n\t"))
		}
	}
	return w.Flush()
}

// Colours, for terminals only.
const (
	green  = "32"
	red    = "31"
	yellow = "33"
)

// colour colours a text if people see it on a terminal that has not asked for none (no-color.org).
func (a *app) colour(code, text string) string {
	out, isFile := a.Out.(*os.File)
	if !isFile || !term.IsTerminal(int(out.Fd())) || a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// when shows a time, or "never".
func when(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}
