package host

// URLPath is a path of Windows in a URL, which only a test on Windows would see otherwise.
var URLPath = urlPath
