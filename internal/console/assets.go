package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed static
var staticFiles embed.FS

// asset is a file that pages load.
type asset struct {
	text, packed []byte // as it is, and gzipped
	contentType  string
}

// assetSources are the files, by the name that templates use.
var assetSources = map[string]struct{ file, contentType string }{
	"console.css":  {"static/console.css", "text/css; charset=utf-8"},
	"console.js":   {"static/console.js", "text/javascript; charset=utf-8"},
	"htmx.min.js":  {"static/htmx/htmx.min.js", "text/javascript; charset=utf-8"},
	"favicon.svg":  {"static/favicon.svg", "image/svg+xml"},
	"htmx-LICENSE": {"static/htmx/LICENSE", "text/plain; charset=utf-8"},
}

// library is every asset under its public name, which holds the hash of its bytes: a browser may keep it for ever.
type library struct {
	names  map[string]string // name → public name
	assets map[string]asset  // public name → asset
}

var loadAssets = sync.OnceValue(func() library {
	l := library{map[string]string{}, map[string]asset{}}
	for name, source := range assetSources {
		text, err := staticFiles.ReadFile(source.file)
		if err != nil { // A file that is embedded is there.
			panic(err)
		}
		sum := sha256.Sum256(text)
		public := strings.TrimSuffix(name, path.Ext(name)) + "-" + hex.EncodeToString(sum[:8]) + path.Ext(name)
		l.names[name], l.assets[public] = public, asset{text, gzipped(text), source.contentType}
	}
	return l
})

// gzipped is a text at its smallest. Writing to memory does not fail.
func gzipped(text []byte) []byte {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = w.Write(text)
	_ = w.Close()
	return packed.Bytes()
}

// assetPath is where templates find an asset.
func assetPath(name string) string { return Root + "static/" + loadAssets().names[name] }

// static serves an asset.
func (c *Console) static(x *exchange, r *http.Request) {
	x.route = r.Method + " " + Root + "static/{name}"
	a, found := loadAssets().assets[r.PathValue("name")]
	if !found || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		c.fail(&visit{Request: r, exchange: x, now: c.now()}, errNoPage)
		return
	}
	h := x.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	text := a.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = a.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	x.WriteHeader(http.StatusOK)
	_, _ = x.Write(text)
}
