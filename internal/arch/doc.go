// Package arch holds the tests of the house itself: which package may import which, the direct dependencies with a reason each, and who
// may take a secret out of its wrapper. It has no code of its own.
package arch
