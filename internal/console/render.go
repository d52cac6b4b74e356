package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// pages reads the templates once: each page's own beside the layout and the components, so that all may define "content".
var pages = sync.OnceValues(readPages)

func readPages() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(functions()).ParseFS(templateFiles, "templates/shared/*.html.tmpl")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html.tmpl")
	if err != nil {
		return nil, err
	}
	read := map[string]*template.Template{} // page → its template
	for _, name := range names {
		page, err := shared.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, name)
		}
		if err != nil {
			return nil, err
		}
		read[strings.TrimSuffix(path.Base(name), ".html.tmpl")] = page
	}
	return read, nil
}

// functions are what templates can call. They only write: everything that is worked out comes in the view.
func functions() template.FuncMap {
	return template.FuncMap{
		"asset": assetPath,
		"when":  newMoment,
		"path":  func(parts ...string) string { return Root + escapePath(parts) },
		"dict":  dict,
		"label": fieldLabel,
	}
}

// fieldLabel is how the API's name of a field reads in a form.
func fieldLabel(field string) string {
	if name, variable := strings.CutPrefix(field, "data."); variable {
		return name
	}
	return strings.ReplaceAll(field, "_", " ")
}

// escapePath joins parts of a path.
func escapePath(parts []string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = url.PathEscape(part)
	}
	return strings.Join(escaped, "/")
}

// dict hands several values to a component.
func dict(pairs ...any) (map[string]any, error) {
	values := map[string]any{} // name → value
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("argument %d of dict is no name", i)
		}
		values[name] = pairs[i+1]
	}
	return values, nil
}

// templated is a view that says which template shows it.
type templated interface{ template() string }

// Render writes a page as HTML. Its view decides the template.
func Render(p Page) ([]byte, error) {
	view, ok := p.View.(templated)
	if !ok {
		return nil, fmt.Errorf("%T is no view of a page", p.View)
	}
	all, err := pages()
	if err != nil {
		return nil, err
	}
	page, found := all[view.template()]
	if !found {
		return nil, fmt.Errorf("there is no template %s", view.template())
	}
	var text bytes.Buffer
	if err := page.ExecuteTemplate(&text, "layout", p); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", view.template(), err)
	}
	return text.Bytes(), nil
}

// Moment is a time as people read it: how long ago, with the exact time on hover.
type Moment struct{ Text, Exact, Sortable, Machine string }

// newMoment words a time as seen from now. The zero time is never.
func newMoment(now, t time.Time) Moment {
	if t.IsZero() {
		return Moment{Text: "never"}
	}
	t = t.UTC()
	return Moment{Text: relative(now.Sub(t)), Exact: t.Format("2 January 2006, 15:04:05 UTC"), Sortable: t.Format("2006-01-02 15:04:05"), Machine: t.Format(time.RFC3339)}
}

// relative words a distance of time; a negative one lies ahead.
func relative(d time.Duration) string {
	ahead := d < 0
	if ahead {
		d = -d
	}
	text := ""
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		text = count(int(d.Seconds()), "second")
	case d < time.Hour:
		text = count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		text = count(int(d.Hours()), "hour")
	default:
		text = count(int(d.Hours()/24), "day")
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}

// count puts a number before its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// squeeze compresses an answer if the browser takes it. Pages hold no secret that a guess beside it could reveal by its length.
func squeeze(r *http.Request, text []byte) ([]byte, bool) {
	if len(text) < 1024 || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return nil, false
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, false
	}
	if err := w.Close(); err != nil {
		return nil, false
	}
	return packed.Bytes(), true
}
