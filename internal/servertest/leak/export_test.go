package leak

// What the tests of the scanner look at.
const Window = window

// Encodings is what the scanner looks for.
var Encodings = encodings
